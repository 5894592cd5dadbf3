"""Which tests run together and first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import run_order
from run_order import LONGEST, TOGETHER, group_of, order

TESTS = Path(run_order.__file__).parent


def test_files_that_share_a_fixture_run_together() -> None:
    assert group_of("test/core/test_loading.py::test_a[x]") == group_of("test/core/test_export.py::test_b")
    assert group_of("test/core/test_scene.py::test_a") == "test_scene"


def test_the_longest_begin_first_and_the_others_stay_in_order() -> None:
    files = ["test_scene", LONGEST[1], "test_frame", LONGEST[0], "test_scene", LONGEST[1]]
    assert order([f"test/core/{file}.py::test_a" for file in files]) == [3, 1, 5, 0, 2, 4]


@pytest.mark.parametrize(
    ("fixture", "asked_for"),
    [
        ("exported_small", r"\bexported_small: Path"),
        ("recorded_root", r"\brecorded_root: Path"),
        ("built_messages", r"\b(built|foreign)_messages\b"),
    ],
)
def test_all_that_need_a_fixture_are_named(fixture: str, asked_for: str) -> None:
    sources = {path.stem: path.read_text() for path in TESTS.rglob("test_*.py") if path != Path(__file__)}
    assert {name for name, text in sources.items() if re.search(asked_for, text)} == set(TOGETHER[fixture])


def test_all_that_take_long_are_there() -> None:
    assert set(LONGEST) <= {path.stem for path in TESTS.rglob("test_*.py")} | set(TOGETHER)


def test_two_processes_take_whole_groups(tmp_path: Path) -> None:
    for name in ("test_a", "test_b", "test_loading", "test_export"):
        tests = [f"def test_{i}(): print('ran', __name__, os.environ['PYTEST_XDIST_WORKER'])" for i in range(4)]
        (tmp_path / f"{name}.py").write_text("\n".join(["import os", *tests]))
    command = [sys.executable, "-m", "pytest", "-p", "run_order", "-p", "no:cacheprovider", "-rA", "-v", "-n", "2"]
    done = subprocess.run(
        [*command, "--dist", "loadfile", "--rootdir", str(tmp_path), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(TESTS)}, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    ran = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert len(ran) == 16, done.stdout + done.stderr
    assert len({worker for file, worker in ran if file in ("test_loading", "test_export")}) == 1
    assert len({(file, worker) for file, worker in ran}) == 4 and len({worker for _, worker in ran}) == 2
