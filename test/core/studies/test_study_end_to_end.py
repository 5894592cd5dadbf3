"""A study with real trainings and evaluations, of a small network on made-up scenes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from study_helpers import small_tree

from aln_p3_core.cli import CORE_COMMANDS, make_cli

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from run_helpers import SMALL, write_split_scenes


@pytest.mark.slow
def test_real_trainings(make_root: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_split_scenes(make_root, train=2, val=2)
    settings = {k: v for k, v in SMALL.items() if k != "run.threads"} | {"stages.0.steps": 3}
    tree = small_tree(
        training={"recipe": "nano", "data": ["world"], "settings": settings},
        variants={
            "none": {"description": "as it is", "seeds": 1, "language": False},
            "all": {"description": "faster", "seeds": 1, "language": False,
                    "settings": {"optimizer.learning_rate": 0.05}},
            "alone": {"description": "cannot be", "seeds": 1, "settings": {"stages.0.frozen": ["wheels"]}},
        },
    )  # fmt: skip
    tree["tests"] |= {"primary": ["l2_uniad"], "secondary": ["l2_vad"]}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    arguments = ["ablate", "small.yaml", "--out", "study", "--data", f"world={root}", "--cache", "cache"]
    result = CliRunner().invoke(make_cli(CORE_COMMANDS), [*arguments, "--threads", "1"])
    # One variant cannot be trained; the others are measured all the same.
    assert "1 of 3 trainings have no rows: alone, seed 0" in result.output, result.output
    rows = json.loads((tmp_path / "study" / "ablation.json").read_text())
    failed = [row for row in rows if row["state"] == "failed"]
    assert [row["variant"] for row in failed] == ["alone"] and "names wheels; there are backbone" in failed[0]["reason"]
    given = {row["variant"]: row for row in rows if row["command"] == "given" and row["state"] == "finished"}
    distances = {name: row["measures"]["l2_uniad"] for name, row in given.items()}
    assert set(distances) == {"none", "all"} and distances["none"] != distances["all"]
    # Without a command a driver goes straight on, as all of these scenes do.
    withheld = {row["variant"]: row["measures"]["l2_uniad"] for row in rows if row["command"] == "none"}
    assert withheld == distances
    assert given["all"]["steps"] == 3 and given["all"]["seconds"]["train"] > 0
    scenes = json.loads((tmp_path / "study" / "ablation_scenes.json").read_text())
    sums = scenes["all 0 val given"]["l2_uniad"]
    assert len(sums) == 2
    total, count = (sum(pair[i] for pair in sums.values()) for i in (0, 1))
    assert total / count == pytest.approx(distances["all"], abs=1e-5)
    # Made-up scenes end before `vad` has its six future frames: blank, not zero.
    table = (tmp_path / "study" / "table.md").read_text()
    assert "all, none | 1 |" in table
    assert all(run["dtype"] == {"train": "fp32"} and run["evaluation_dtype"] for run in given.values())
