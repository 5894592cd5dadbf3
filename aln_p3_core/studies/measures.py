"""What a study tells of a training: measures by name, and where they stand in the reports.

A measure is read from the `results` of a report of `aln-p3 evaluate`, or from a campaign of `aln-p3 world drive`. One
that is not there is None, and its cell stays blank.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from aln_p3_core.studies.statistics import SceneSum
from aln_p3_core.world.closed_loop.statistics import ALL, METRICS, TOTALS

#: Commands that rows are told apart by: as the route has it, and withheld.
COMMANDS = ("given", "none")
_DRIVE = "closed_loop"
# A driver's row in tables of plans ("driver: command given, ego status planner"); the first that fits is the main one.
_PLANS = "*: command {command}, *"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a training.

    Attributes:
        name: in rows and study files. title, unit: in tables.
        better: which way is better.
        path: keys in a report's results, as patterns (the first key that fits counts), with {command}.
        scenes: likewise, of sums and counts by scene; () where the measure is no mean over samples.
        scale: from the report's unit to this one.
        digits: in tables.
        commands: rows of which commands have it.
        language: it needs an explainer.
    """

    name: str
    title: str
    unit: str
    better: Literal["less", "more"]
    path: tuple[str, ...]
    scenes: tuple[str, ...] = ()
    scale: float = 1.0
    digits: int = 2
    commands: tuple[str, ...] = COMMANDS
    language: bool = False

    def read(self, results: Mapping[str, Any], command: str) -> float | None:
        """Its value; None where it was not measured."""
        if command not in self.commands:
            return None
        value = _find(results, self.path, command)
        return float(value) * self.scale if _is_number(value) else None

    def read_scenes(self, results: Mapping[str, Any], command: str) -> dict[str, SceneSum] | None:
        """Sum and count of every scene; None where there are none."""
        if command not in self.commands or not self.scenes:
            return None
        found = _find(results, self.scenes, command)
        if not isinstance(found, Mapping) or not found:
            return None
        return {str(scene): (float(total) * self.scale, float(count)) for scene, (total, count) in found.items()}


def _plan(name: str, title: str, protocol: str, key: str, *, unit: str = "m", scale: float = 1.0) -> Measure:
    return Measure(
        name, title, unit, "less", ("planning", "protocols", protocol, _PLANS, key, "mean"),
        ("planning", "by_scene", protocol, _PLANS, key), scale,
    )  # fmt: skip


def _seen(name: str, title: str, unit: str, better: Literal["less", "more"], *path: str, **more: Any) -> Measure:
    return Measure(name, title, unit, better, path, commands=("given",), **more)


def _drive(name: str, title: str, unit: str, better: Literal["less", "more"]) -> Measure:
    return Measure(name, title, unit, better, (_DRIVE, name, "value"), (_DRIVE, name, "scenes"), commands=("given",))


def _words(name: str, title: str, unit: str = "", scale: float = 1.0, digits: int = 1) -> Measure:
    own = ("language", "*", "{command}")
    path, scenes = (*own, "measures", name), (*own, "by_scene", name)
    return Measure(name, title, unit, "more", path, scenes, scale, digits, language=True)


_ALL_MEASURES = (
    _plan("l2_vad", "L2 (vad)", "planning_vad_v1", "l2_mean_avg"),
    _plan("collision_vad", "collision (vad)", "planning_vad_v1", "collision_mean_avg", unit="%", scale=100.0),
    _plan("l2_uniad", "L2 (uniad)", "planning_uniad_v1", "l2_at_avg"),
    _plan("collision_uniad", "collision (uniad)", "planning_uniad_v1", "collision_at_avg", unit="%", scale=100.0),
    _plan("collision_p3", "collision (p3)", "planning_p3_v1", "collision_mean_avg", unit="%", scale=100.0),
    _plan("curb_p3", "curb (p3)", "planning_p3_v1", "curb_mean_avg", unit="%", scale=100.0),
    _seen("nds", "NDS (within 30 m)", "%", "more", "detection", "*", "within 30 m", "nds", scale=100.0, digits=1),
    _seen("nds_nuscenes", "NDS (nuscenes)", "%", "more", "detection", "*", "nuscenes", "nds", scale=100.0, digits=1),
    _seen("detection_map", "mAP (within 30 m)", "%", "more", "detection", "*", "within 30 m", "map", scale=100.0,
          digits=1),
    _seen("map_ap", "map mAP (p3)", "%", "more", "map", "*", "p3", "map", scale=100.0, digits=1),
    _seen("min_ade", "minADE vehicles (p3)", "m", "less", "motion", "*", "p3", "groups", "vehicle", "min_ade"),
    _seen("epa", "EPA vehicles (p3)", "", "more", "motion", "*", "p3", "groups", "vehicle", "epa", digits=3),
    _seen("obedience", "obedience", "%", "more", "planning", "obedience", "*", "given", scale=100.0, digits=1),
    _words("explanation_cider", "explanation CIDEr", scale=100.0),
    _words("explanation_bleu4", "explanation BLEU-4", scale=100.0),
    _words("explanation_meteor", "explanation METEOR", scale=100.0),
    _words("explanation_rouge", "explanation ROUGE-L", scale=100.0),
    _words("narration_cider", "narration CIDEr", scale=100.0),
    _words("reasoning_cider", "reasoning CIDEr", scale=100.0),
    _words("caption_cider", "caption CIDEr", scale=100.0),
    _words("qa_accuracy", "QA accuracy", "%", 100.0),
    _words("qa_accuracy_hop0", "QA accuracy, no hop", "%", 100.0),
    _words("qa_accuracy_hop1", "QA accuracy, one hop", "%", 100.0),
    _words("command_accuracy", "command accuracy (own rule)", "%", 100.0),
    _words("consistency", "consistency of plan and text", "%", 100.0),
    _drive("driving_score", "driving score", "", "more"),
    _drive("success_rate", "success", "%", "more"),
    _drive("collisions", "collisions in closed loop", "a route", "less"),
)  # fmt: skip

MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _ALL_MEASURES}


def read_report(folder: Path) -> dict[str, Any]:
    """Results of a report of `aln-p3 evaluate`."""
    results: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))["results"]
    return results


def read_drives(folder: Path) -> dict[str, Any]:
    """Results of a campaign of `aln-p3 world drive` with one planner: its metrics, and those of each route."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    group = next(g for g in summary["groups"] if g["scenario"] == ALL)
    routes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "routes").rglob("*.json"))]
    found: dict[str, Any] = {}
    for name, metric in METRICS.items():
        value = group["metrics"].get(name, {}).get("value")
        scenes = {r["episode"]["name"]: (v, 1.0) for r in routes if (v := metric(r["measures"])) is not None}
        if value is not None and name in TOTALS:
            value /= group["routes"]
        found[name] = {"value": value, "scenes": scenes}
    return {_DRIVE: found}


def read_measures(results: Mapping[str, Any], command: str) -> Iterator[tuple[str, float, dict[str, SceneSum] | None]]:
    """Name, value and scenes of every measure that the results have."""
    for name, measure in MEASURES.items():
        value = measure.read(results, command)
        if value is not None:
            yield name, value, measure.read_scenes(results, command)


def _find(tree: Any, path: tuple[str, ...], command: str) -> Any:
    for key in path:
        pattern = key.replace("{command}", command)
        if not isinstance(tree, Mapping):
            return None
        if pattern in tree:
            tree = tree[pattern]
            continue
        fitting = next((name for name in tree if fnmatchcase(str(name), pattern)), None)
        if fitting is None:
            return None
        tree = tree[fitting]
    return tree


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
