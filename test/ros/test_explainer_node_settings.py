"""The explainer's settings, the file that repeats them, and the limits of its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.parameters import setting_infos

FILE = Path(__file__).resolve().parents[2] / "config" / "explainer.yaml"


def test_the_file_holds_every_parameter_with_its_default_and_explains_it() -> None:
    text = FILE.read_text()
    given = yaml.safe_load(text)["/**"]["ros__parameters"]
    infos = setting_infos(ExplainerSettings)
    assert given == {name: default for name, (default, _) in infos.items()}
    assert {name: type(value) for name, value in given.items()} == {n: type(d) for n, (d, _) in infos.items()}
    said = " ".join(line.strip().removeprefix("#").strip() for line in text.splitlines())
    for name, (_, info) in infos.items():
        assert info.description in said, name
        assert ("(live)" in text.partition(f"    {name}:")[0].rpartition("\n    #")[2]) == info.live, name


def test_an_explainer_must_be_named() -> None:
    with pytest.raises(ConfigError, match="nano"):
        ExplainerSettings(explainer="")


def test_all_threads_of_a_process_are_limited(tmp_path: Path) -> None:
    program = tmp_path / "limited.py"
    program.write_text("""
import os, threading, torch
from pathlib import Path
from aln_p3_ros.explaining.model_loading import limit_process
ending = threading.Event()
threading.Thread(target=ending.wait, daemon=True).start()
limit_process(1, 15)
tasks = [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
assert len(tasks) > 1
print({os.getpriority(os.PRIO_PROCESS, task) for task in tasks}, torch.get_num_threads())
""")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip().endswith("{15} 1"), done.stdout + done.stderr
