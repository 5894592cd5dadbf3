"""`evaluate`: everything that is measured of drivers and planners, in one report.

evaluate(Request(subjects=("out/nano/driver.safetensors",), data=Path("out/world"), report=Path("out/report")))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.report_blocks import Section
from aln_p3_core.evaluation.report_page import write_report
from aln_p3_core.evaluation.request import ALL_SUITES, SUITES, Request
from aln_p3_core.evaluation.subjects import Subject, explainer_card, find_explainers, find_subjects

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.evaluation.ego_status_mlp import EgoStatusMlp
    from aln_p3_core.evaluation.open_loop import OpenLoop

#: Folder of the recorded logs in a report.
LOGS_FOLDER = "logs"
_OPEN_LOOP = frozenset(SUITES) - {"closed_loop"}


@dataclass(eq=False)
class _Findings:
    """Chapters, numbers and card lines, as they come."""

    sections: list[Section] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)


def evaluate(request: Request) -> dict[str, Path]:
    """Measures, and writes report.html, report.md and report.json. Returns the files by kind: page, table, json.

    Raises:
        ConfigError: for an unknown suite, subject, split, rate or number of jobs.
        CheckpointError: for a file that is no checkpoint of a driver.
        DataError: for a root that cannot be read.
    """
    suites = find_suites(request.suites)
    if request.jobs < 1:
        raise ConfigError(f"the number of jobs must be 1 or more, not {request.jobs}")
    if "closed_loop" in suites and request.device != "auto":
        raise ConfigError("--device is of the other suites: leave closed_loop out (--suite), or --device")
    if "closed_loop" in suites:
        _check_closed_loop(request)
    subjects = find_subjects(
        request.subjects,
        device=request.device,
        precision=request.precision,
        threads=request.threads,
        batch=request.batch,
        maps=request.maps,
    )
    explainers: dict[str, str | Path] = {}
    if "language" in suites:
        explainers = find_explainers(request.explainers, subjects)
        if not explainers and "language" in request.suites:
            raise ConfigError("no explainer beside the drivers, and none that ships with them: name one (--explainer)")
        suites = tuple(s for s in suites if s != "language" or explainers)
    needing = [s for s in suites if s in _OPEN_LOOP and not (s == "planning" and request.logs)]
    if request.data is None and needing:
        raise ConfigError(f"{', '.join(needing)} need a data set: name its root (--data)")
    findings = _Findings(card=_card(request, subjects, suites))
    mlp: EgoStatusMlp | None = None
    if request.data is not None and _OPEN_LOOP & set(suites):
        mlp = _open_loop(request, request.data, subjects, suites, findings, explainers)
    if request.logs and "planning" in suites:
        _recorded_logs(request, subjects, findings, mlp)
    if "closed_loop" in suites:
        _closed_loop(request, subjects, findings)
    title = f"Evaluation of {', '.join(subject.label for subject in subjects)}"
    return write_report(request.report, title, findings.card, findings.sections, findings.results)


def find_suites(names: Sequence[str]) -> tuple[str, ...]:
    """The suites that are asked for, in the order of SUITES. Raises ConfigError for an unknown one."""
    unknown = [name for name in names if name not in (*SUITES, ALL_SUITES)]
    if unknown or not names:
        raise ConfigError(f"no suite {', '.join(unknown)!r}; choose from {', '.join((ALL_SUITES, *SUITES))}")
    return SUITES if ALL_SUITES in names else tuple(name for name in SUITES if name in names)


def chosen_scenes(dataset: NuScenesDataset, split: str, limit: int = 0) -> tuple[str, ...]:
    """Scenes of a split; with a limit, so many of them, evenly spread. Raises ConfigError for an unknown split."""
    from aln_p3_core.datasets.splits import scenes_of_split

    scenes = scenes_of_split(dataset, split)
    if not 0 < limit < len(scenes):
        return scenes
    return tuple(scenes[i * len(scenes) // limit] for i in range(limit))


def _open_loop(
    request: Request,
    root: Path,
    subjects: Sequence[Subject],
    suites: Sequence[str],
    findings: _Findings,
    explainers: Mapping[str, str | Path],
) -> EgoStatusMlp | None:
    """Adds the chapters; returns the root's ego-status MLP where plans were measured."""
    from aln_p3_core.datasets.language_files import find_language
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.evaluation.open_loop import OpenLoop

    dataset = NuScenesDataset(root)
    scenes = chosen_scenes(dataset, request.split, request.scenes_limit)
    open_loop = OpenLoop(dataset, scenes, subjects, request, explainers=explainers)
    findings.card |= {
        "data": str(root),
        "split": request.split,
        **({"texts": str(request.texts)} if request.texts else {}),
        **({"training texts": str(request.train_texts)} if request.train_texts else {}),
        "scenes": len(scenes),
        "samples": len(open_loop.tokens),
        "commands": open_loop.command_sources(),
        "frames a second": ", ".join(map(str, request.rates_hz)),
        **{f"explainer of {label}": explainer_card(source) for label, source in explainers.items()},
    }
    untold = request.texts is None and not find_language(dataset.root, request.split).any
    if "language" not in request.suites and untold:
        suites = [suite for suite in suites if suite != "language"]  # "all" of what there is
    for suite in suites:
        if suite in _OPEN_LOOP:
            section, results = _chapter(open_loop, suite)
            findings.sections.append(section)
            findings.results[suite] = results
    return open_loop.mlp if "planning" in suites else None


def _chapter(open_loop: OpenLoop, suite: str) -> tuple[Section, dict[str, Any]]:
    """A chapter of the report, and its numbers as JSON: any of SUITES but the closed loop."""
    if suite == "planning":
        from aln_p3_core.evaluation.planning_suite import planning_suite

        return planning_suite(open_loop)
    if suite == "language":
        from aln_p3_core.evaluation.language.language_suite import language_suite

        return language_suite(open_loop)
    from aln_p3_core.evaluation.perception_suite import PERCEPTION_SUITES

    return PERCEPTION_SUITES[suite](open_loop)


def _recorded_logs(
    request: Request, subjects: Sequence[Subject], findings: _Findings, mlp: EgoStatusMlp | None
) -> None:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.evaluation.open_loop import OpenLoop
    from aln_p3_core.evaluation.recorded_logs import record_logs

    home = request.report / LOGS_FOLDER
    scenes = record_logs(home / "root", request.logs, request.jobs, progress=request.progress)
    dataset = NuScenesDataset(home / "root")
    own = replace(request, report=home, per_scene=True, rates_hz=(2,))
    open_loop = OpenLoop(dataset, scenes, subjects, own, mlp)
    section, results = _chapter(open_loop, "planning")
    text = f"Drives of human drivers, recorded, in rendered pictures: never learnt from. {section.text}"
    findings.sections.append(replace(section, title="Recorded logs", text=text.strip()))
    findings.results["recorded_logs"] = results


def _closed_loop(request: Request, subjects: Sequence[Subject], findings: _Findings) -> None:
    from aln_p3_core.evaluation.closed_loop_suite import ClosedLoopSettings, closed_loop_suite
    from aln_p3_core.world.planners.registry import PLANNERS

    settings = ClosedLoopSettings(
        routes=request.routes,
        seeds=request.seeds,
        split=request.split,
        rate_hz=request.drive_rate_hz,
        jobs=request.jobs,
        threads=request.threads,
        precision=request.precision,
        fresh=request.fresh,
    )
    drivers = [s.source for s in subjects if s.predictor is not None or s.source in PLANNERS]
    section, results = closed_loop_suite(drivers, settings, request.report, request.command)
    findings.sections.append(section)
    findings.results["closed_loop"] = results


def _check_closed_loop(request: Request) -> None:
    """Raises ConfigError for routes, a split or a rate that the closed loop, which comes last, would refuse."""
    from aln_p3_core.world.closed_loop.settings import DriveSettings
    from aln_p3_core.world.scenarios.draw import route_set

    DriveSettings(request.drive_rate_hz)
    route_set(request.routes, request.seeds, split=request.split)


def _card(request: Request, subjects: Sequence[Subject], suites: Sequence[str]) -> dict[str, Any]:
    """What the figures are made with: everything that a reader needs to make them again."""
    from aln_p3_core.device import hardware_card, resolve_device

    device = resolve_device(request.device)
    hardware: Mapping[str, Any] = hardware_card(device) | {"threads": request.threads, "jobs": request.jobs}
    return {
        **{subject.label: subject.card() for subject in subjects},
        "suites": ", ".join(suites),
        "commit": hardware["commit"],
        "hardware": {key: value for key, value in hardware.items() if key != "commit"},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": request.command,
    }
