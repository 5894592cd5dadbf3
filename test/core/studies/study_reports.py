"""Reports as `aln-p3 evaluate` writes them, without any of its imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_report(folder: Path, **results: Any) -> None:
    """A report of `aln-p3 evaluate` with these results."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"driver": {"precision": "fp32 on cpu"}, "commit": "def", "suites": "planning"}
    (folder / "report.json").write_text(json.dumps({"card": card, "results": results}))


def planning_results(collision: float, l2: float = 0.5) -> dict[str, Any]:
    """The part "planning" of a report's results, with two scenes."""
    rows = {
        "driver: command given, ego status planner": collision,
        "driver: command none, ego status planner": 2 * collision,
        "driver: command given, ego status none": 9.0,
        "human": 0.0,
    }
    protocols = {
        name: {"collision_mean_avg": {"mean": value, "samples": 4}, "l2_mean_avg": {"mean": l2, "samples": 4}}
        for name, value in rows.items()
    }
    by_scene = {
        name: {"collision_mean_avg": {"a": [3 * value, 3], "b": [value, 1]}}
        for name, value in rows.items()
        if name != "human"
    }
    return {"protocols": {"planning_vad_v1": protocols}, "by_scene": {"planning_vad_v1": by_scene}}
