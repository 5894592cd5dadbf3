"""Rows of a study: what each training came to, as JSON.

A row is of one training, split and command (given, or withheld: none):

    {"study", "study_hash", "variant_hash", "variant", "seed", "split", "command", "state": "finished" | "failed",
     "reason", "measures": {name: value}, "commit", "evaluation_commit", "evaluation_dtype", "drive_commit",
     "data": {root: mark}, "hardware", "dtype", "steps", "seconds": {step: s}}

Sums and counts by scene lie beside the rows, not in them:

    {"variant seed split command": {measure: {scene: [sum, count]}}}
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.studies.measures import COMMANDS, read_drives, read_measures, read_report
from aln_p3_core.studies.steps import TRAIN, Run
from aln_p3_core.whole_files import write_json

#: What a study was when it began: its hash and marks of its data.
STUDY_CARD = "study.json"
ROWS = "rows.json"
FAILED = "failed.json"
#: Of all runs, in a study's folder of results.
RESULT_ROWS, RESULT_SCENES = "ablation.json", "ablation_scenes.json"
Row = dict[str, Any]
#: By "variant seed split command", measure and scene: [sum, count].
SceneValues = dict[str, dict[str, dict[str, list[float]]]]


def scene_key(row: Mapping[str, Any]) -> str:
    """Under which the values of a row's scenes lie."""
    return f"{row['variant']} {row['seed']} {row['split']} {row['command']}"


def rows_of_run(run: Run, seconds: Mapping[str, float], without: Collection[str] = ()) -> tuple[list[Row], SceneValues]:
    """Rows of a run that is measured, and its values by scene. Reads its reports.

    Args:
        run: of the study.
        seconds: of its steps.
        without: names of evaluations that failed.
    """
    common = _card(run) | {"state": "finished", "seconds": dict(seconds)}
    rows: dict[tuple[str, str], Row] = {}
    scenes: SceneValues = {}
    for evaluation in run.study.evaluation:
        folder = run.folder / evaluation.name
        if not folder.is_dir() or evaluation.name in without:
            continue
        results = read_drives(folder) if evaluation.routes else read_report(folder)
        facts = _drive_facts(folder) if evaluation.routes else _evaluation_facts(folder)
        for command in COMMANDS:
            for name, value, by_scene in read_measures(results, command):
                row = rows.setdefault(
                    (evaluation.split, command),
                    _named(run) | {"split": evaluation.split, "command": command, "measures": {}} | common,
                )
                row.update(facts)
                row["measures"][name] = round(value, 6)
                if by_scene is not None:
                    kept = {scene: [round(v, 6) for v in pair] for scene, pair in by_scene.items()}
                    scenes.setdefault(scene_key(row), {})[name] = kept
    return list(rows.values()), scenes


def failed_row(run: Run, step: str, reason: str) -> Row:
    """The row of a run that failed: told, not left out."""
    tests = run.study.tests
    return _named(run) | {
        "split": tests.split, "command": tests.command, "measures": {}, "state": "failed",
        "reason": f"{step}: {reason}",
    }  # fmt: skip


def read_json(path: Path) -> Any:
    """Content of a JSON file that this study wrote; None where there is none, or a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def collect(runs: Iterable[Run]) -> tuple[list[Row], SceneValues]:
    """Rows and values by scene of all runs that have ended."""
    rows: list[Row] = []
    scenes: SceneValues = {}
    for run in runs:
        found = read_json(run.folder / ROWS)
        if found is not None and found["hash"] == run.study.hash:
            rows += found["rows"]
            scenes |= found["scenes"]
        if (failed := read_json(run.folder / FAILED)) is not None:
            rows.append(failed_row(run, failed["step"], failed["reason"]))
    return rows, scenes


def take_rows(runs: Sequence[Run], folder: Path, same_data: Mapping[str, Collection[str]] | None = None) -> list[Run]:
    """Takes the rows of runs that were measured elsewhere: the runs that have rows now and had none.

    Args:
        runs: of the study.
        folder: results of the same study (`ablation.json` and `ablation_scenes.json`), of another machine, say; also of
            the study before other variants than a run's own were changed.
        same_data: marks by root that stand for the study's own data: the same scenes, recorded on another machine.

    Raises:
        ConfigError: for a folder without results, or with none but those of another study.
    """
    rows, scenes = read_json(folder / RESULT_ROWS), read_json(folder / RESULT_SCENES)
    if not isinstance(rows, list) or not isinstance(scenes, dict):
        raise ConfigError(f"{folder} holds no results of a study ({RESULT_ROWS} and {RESULT_SCENES})")
    taken, others = [], set()
    for run in runs:
        own = [
            r for r in rows if (r["variant"], r["seed"]) == (run.variant.name, run.seed) and r["state"] == "finished"
        ]
        if any(not _is_of(row, run) for row in own):
            others |= {row["study_hash"] for row in own}
            continue
        for row in own:
            _require_data(row, _data(run), same_data or {}, folder)
        if not own or (run.folder / ROWS).exists():
            continue
        keys = {scene_key(row) for row in own}
        content = {"hash": run.study.hash, "rows": own, "scenes": {k: v for k, v in scenes.items() if k in keys}}
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / ROWS, content, indent=None)
        taken.append(run)
    if others and not taken:
        raise ConfigError(
            f"the results in {folder} are of the study {', '.join(sorted(others))}, not of {runs[0].study.hash}"
        )
    return taken


def _require_data(row: Row, here: Mapping[str, str], same_data: Mapping[str, Collection[str]], folder: Path) -> None:
    there = row["data"]
    other = {
        name: there.get(name, "")
        for name in sorted({*here, *there})
        if there.get(name) != here.get(name) and there.get(name) not in same_data.get(name, ())
    }
    if other:
        marks = "; ".join(f"{name}: {mark}, here {here.get(name, 'none')}" for name, mark in other.items())
        hint = " ".join(f"--same-data {name}={mark}" for name, mark in other.items())
        raise ConfigError(
            f"the results in {folder} were made with other data than this study's ({marks}). Where they are the same "
            f"scenes, recorded on a CPU that rounds otherwise, say so: {hint}"
        )


def _is_of(row: Row, run: Run) -> bool:
    """Whether the study file says of a run today what it said when the row was made."""
    return row["study_hash"] == run.study.hash or row.get("variant_hash") == run.study.variant_hashes[run.variant.name]


def _named(run: Run) -> Row:
    return {
        "study": run.study.name, "study_hash": run.study.hash,
        "variant_hash": run.study.variant_hashes[run.variant.name], "variant": run.variant.name, "seed": run.seed,
    }  # fmt: skip


def _card(run: Run) -> Row:
    """Commit, hardware, types and steps of the training."""
    card = read_json(run.folder / TRAIN / "run.json") or {}
    hardware = card.get("hardware") or {}
    precision = card.get("training", {}).get("run", {}).get("precision", "")
    return {
        "commit": ", ".join(card.get("commits") or [hardware.get("commit", "")]),
        "data": _data(run),
        "hardware": {key: value for key, value in hardware.items() if key != "commit"},
        "dtype": {"train": precision},
        "steps": card.get("step"),
    }


def _data(run: Run) -> Mapping[str, str]:
    """Marks of the study's data."""
    marks: Mapping[str, str] = (read_json(run.folder.parents[2] / STUDY_CARD) or {}).get("data", {})
    return marks


def _drive_facts(folder: Path) -> Row:
    hardware = (read_json(folder / "summary.json") or {}).get("hardware", {})
    return {"drive_commit": hardware.get("commit", "")}


def _evaluation_facts(folder: Path) -> Row:
    card = (read_json(folder / "report.json") or {}).get("card", {})
    own = next((v for v in card.values() if isinstance(v, dict) and "precision" in v), {})
    return {"evaluation_commit": card.get("commit", ""), "evaluation_dtype": own.get("precision", "")}
