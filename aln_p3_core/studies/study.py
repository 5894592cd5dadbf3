"""A study from its file to its table.

    open_study(read_study("alignment"), Path("out/study"), roots, new=False)
    run_all(...); write_results(...)

The folder: `study.yaml` and `plan.md` (written before anything runs), `study.json`, `runs/VARIANT/seed_N/`, and the
results `ablation.json`, `ablation_scenes.json`, `ablation_tests.json`, `table.md` and pictures.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.studies.plan import plan_text
from aln_p3_core.studies.plots import draw_study
from aln_p3_core.studies.results import analyse, to_json
from aln_p3_core.studies.rows import RESULT_ROWS, RESULT_SCENES, STUDY_CARD, collect, read_json
from aln_p3_core.studies.steps import Run
from aln_p3_core.studies.study_file import Study
from aln_p3_core.studies.table import table_text
from aln_p3_core.weights import resolve_checkpoint, resolve_explainer
from aln_p3_core.whole_files import write_json, written_whole

_BEGUN = ("study.yaml", "plan.md", STUDY_CARD, "runs")
_MARKED = (
    "v1.0*/scene.json",
    "v1.0*/splits.json",
    "v1.0*/sample_annotation.json",
    "language/*.json",
    "expert_plan.json",
)
#: Where earlier studies of a folder go.
EARLIER = "earlier"


def find_roots(study: Study, given: Mapping[str, Path]) -> dict[str, Path]:
    """Places of the study's data: those given, else those of its file.

    Raises:
        ConfigError: for a name that the study does not have, and a folder that is not there.
    """
    if unknown := sorted(set(given) - set(study.roots)):
        raise ConfigError(f"study {study.name} has no data {', '.join(unknown)}; it has {', '.join(study.roots)}")
    roots = {name: Path(given.get(name, place)) for name, place in study.roots.items()}
    if missing := [f"{name} at {path}" for name, path in roots.items() if not path.is_dir()]:
        raise ConfigError(f"no data {', '.join(missing)}: say where they are, --data NAME=FOLDER")
    return roots


def require_beginning(study: Study) -> None:
    """Raises ConfigError when a file that the study's trainings begin with is not there."""
    training = study.training
    for setting, path in (
        ("init", resolve_checkpoint(training.init)),
        ("init_explainer", resolve_explainer(training.init_explainer)),
    ):
        if getattr(training, setting) and not path.is_file():
            raise ConfigError(f"training.{setting} of study {study.name}: there is no file {path}")


def open_study(study: Study, folder: Path, roots: Mapping[str, Path], *, new: bool) -> None:
    """Writes down what the study is, or holds it against what was written down when it began.

    Args:
        study: its file as it is now.
        folder: of the study.
        roots: of `find_roots`.
        new: begin a new study where the file or the data changed; what was there goes to `earlier/HASH`.

    Raises:
        ConfigError: when the file or the data changed since the study began.
    """
    card: dict[str, Any] = {"study": study.name, "hash": study.hash, "data": data_marks(roots)}
    begun = read_json(folder / STUDY_CARD)
    changed = [] if begun is None else [key for key in ("hash", "data") if begun[key] != card[key]]
    if changed and not new:
        what = {
            "hash": f"the study file changed since it began (then {begun['hash']}, now {study.hash})",
            "data": f"the data changed since it began ({', '.join(_differing(begun['data'], card['data']))})",
        }
        raise ConfigError(
            f"{' and '.join(what[key] for key in changed)}: its rows would not be of what was written down. Restore "
            f"{'study.yaml of ' + str(folder) if 'hash' in changed else 'them'}, or begin a new study with --new"
        )
    if changed:
        away = folder / EARLIER / f"{begun['hash']}_{datetime.now(UTC):%Y%m%d_%H%M%S}"
        away.mkdir(parents=True)
        for path in (*(folder / name for name in _BEGUN), *folder.glob("ablation*"), *folder.glob("*.png")):
            if path.exists():
                path.rename(away / path.name)
    if begun is None or changed:
        for name, text in (("study.yaml", study.source), ("plan.md", plan_text(study))):
            with written_whole(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        write_json(folder / STUDY_CARD, {**card, "began": f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC}"})


def data_marks(roots: Mapping[str, Path]) -> dict[str, str]:
    """A mark of each root's content, wherever it lies: of scenes, splits, objects, words and plans, not of pictures."""
    marks = {}
    for name, root in roots.items():
        digest = hashlib.sha256()
        for pattern in _MARKED:
            for path in sorted(root.glob(pattern)):
                digest.update(f"{path.name} ".encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        marks[name] = digest.hexdigest()[:12]
    return marks


def write_results(study: Study, runs: Sequence[Run], folder: Path, command: str) -> dict[str, Path]:
    """Rows, tests, table and pictures of all runs that have ended. Returns the files by kind.

    Args:
        study: its file.
        runs: all of the study, done or not.
        folder: where the results go.
        command: command line, for the table.
    """
    rows, scenes = collect(runs)
    results = analyse(study, rows, scenes)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"rows": folder / RESULT_ROWS, "scenes": folder / RESULT_SCENES, "tests": folder / "ablation_tests.json"}
    write_json(files["rows"], rows)
    write_json(files["scenes"], scenes, indent=None)
    write_json(files["tests"], to_json(results))
    files["table"] = folder / "table.md"
    with written_whole(files["table"]) as temporary:
        temporary.write_text(table_text(results, command), encoding="utf-8")
    return files | {path.stem: path for path in draw_study(results, folder)}


def default_threads(jobs: int) -> int:
    """CPU threads of each of so many trainings at a time."""
    return max(1, len(os.sched_getaffinity(0)) // jobs)


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
