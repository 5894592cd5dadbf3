"""Closed loop as a chapter of the evaluation report: the campaign of `aln-p3 world drive`, and its tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.evaluation.report_blocks import Picture, Section, Table
from aln_p3_core.world.closed_loop.campaign import seeded_routes
from aln_p3_core.world.closed_loop.report import COLUMNS, shown
from aln_p3_core.world.closed_loop.reported_campaign import BASELINES, CampaignPlan, drive_and_report
from aln_p3_core.world.closed_loop.route_task import AUTO, PROTOCOL
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.statistics import ALL, GroupSummary, summarise

#: Folder of the campaign in a report.
FOLDER = "closed_loop"


@dataclass(frozen=True, slots=True)
class ClosedLoopSettings:
    """What is driven.

    Attributes:
        routes: named set: "quick", "free", "scenarios" or "all". seeds: repetitions. split: of the cities.
        rate_hz: plans a second. jobs: processes. threads, precision: of a network. fresh: drive again what is there.
        baselines: beside the subjects: planners, or BASELINES for all that have names.
    """

    routes: str = "all"
    seeds: int = 3
    split: str = "val"
    rate_hz: int = 2
    jobs: int = 1
    threads: int = 1
    precision: str = AUTO
    fresh: bool = False
    baselines: tuple[str, ...] = (BASELINES,)


def closed_loop_suite(
    subjects: Sequence[str], settings: ClosedLoopSettings, report: Path, command: str
) -> tuple[Section, dict[str, Any]]:
    """Drives the subjects and all baselines, and tells it in a section and as JSON.

    Args:
        subjects: checkpoints, or names of planners of the world.
        settings: what is driven.
        report: folder; the campaign's own report is its folder `closed_loop`.
        command: the command line.

    Raises:
        ConfigError: for an unknown set or split.
        AlnP3Error: when no route could be driven.
    """
    from aln_p3_core.world.planners.registry import PLANNERS

    others = [p for name in settings.baselines for p in (PLANNERS if name == BASELINES else (name,))]
    seeds = f"{settings.seeds} seed{'s' if settings.seeds > 1 else ''}"
    plan = CampaignPlan(
        planners=[*subjects, *(name for name in others if name not in subjects)],
        routes=seeded_routes(settings.routes, settings.seeds, split=settings.split),
        said=f"{settings.routes} routes, {seeds}, split {settings.split}",
        seeds=settings.seeds,
        split=settings.split,
        settings=DriveSettings(settings.rate_hz),
        command=command,
        jobs=settings.jobs,
        threads=settings.threads,
        precision=settings.precision,
        fresh=settings.fresh,
    )
    outcome, files = drive_and_report(plan, report / FOLDER)
    groups = summarise(outcome.reports)
    tables = [_planners(groups)]
    for heading, metric in (("Success % by scenario", "success_rate"), ("Driving score by scenario", "driving_score")):
        tables.append(_scenarios(groups, heading, metric))
    picture = Picture(files["plot"].read_bytes(), "png", "Bars: means; whiskers: least and greatest over seeds.")
    failed = f" {len(outcome.errors)} routes could not be driven." if outcome.errors else ""
    section = Section(
        "Closed loop",
        f"{plan.said}, {settings.rate_hz} plans a second, protocol {PROTOCOL}.{failed} Every route with its films and "
        f"infractions: {FOLDER}/{files['page'].name}.",
        (*tables, picture),
    )
    results: dict[str, Any] = json.loads(files["json"].read_text(encoding="utf-8"))
    return section, results


def _planners(groups: Sequence[GroupSummary]) -> Table:
    whole = [group for group in groups if group.scenario == ALL]
    rows = [
        (g.planner, str(g.routes), *(shown(g.statistics.get(name), digits) or None for _, name, digits in COLUMNS))
        for g in whole
    ]
    return Table(
        ("planner", "routes", *(heading for heading, _, _ in COLUMNS)),
        tuple(rows),
        note="Means over routes (collisions to time-outs: totals); least and greatest over seeds in brackets.",
    )


def _scenarios(groups: Sequence[GroupSummary], heading: str, metric: str) -> Table:
    by_key = {(group.planner, group.scenario): group for group in groups}
    planners = list(dict.fromkeys(group.planner for group in groups))
    scenarios = list(dict.fromkeys(group.scenario for group in groups if group.scenario != ALL))
    rows = []
    for scenario in scenarios:
        found = [by_key.get((planner, scenario)) for planner in planners]
        rows.append((scenario, *(None if g is None else shown(g.statistics.get(metric), 1) or None for g in found)))
    return Table(("scenario", *planners), tuple(rows), heading=heading)
