"""A campaign from planners' names to its report, with a progress bar: what `world drive` and `evaluate` both do."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aln_p3_core.errors import AlnP3Error
from aln_p3_core.world.closed_loop.campaign import (
    CampaignOutcome,
    CampaignRoute,
    RouteDriver,
    choose_planners,
    plan_campaign,
    run_campaign,
)
from aln_p3_core.world.closed_loop.report import ReportCard, write_report
from aln_p3_core.world.closed_loop.route_task import AUTO, Filming, RouteOutcome, RouteTask
from aln_p3_core.world.closed_loop.settings import DriveSettings

#: Stands for all planners that have names.
BASELINES = "baselines"


@dataclass(frozen=True, eq=False)
class CampaignPlan:
    """What is driven, and what its report says about it.

    Attributes:
        planners: names or checkpoints; BASELINES stands for all that have names.
        routes: what. said: that in words. seeds: repetitions. split: of the cities.
        settings: of every drive. films: that are made. command: the command line.
        jobs: processes. threads, precision: CPU threads and precision of a network.
        fresh: drive again what is there already.
        options: more of `RouteTask` (keep_trace, through).
    """

    planners: Sequence[str]
    routes: Sequence[CampaignRoute]
    said: str
    seeds: int
    split: str
    settings: DriveSettings
    command: str
    films: Filming = field(default_factory=Filming)
    jobs: int = 1
    threads: int = 1
    precision: str = AUTO
    fresh: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def drive_and_report(
    plan: CampaignPlan, out: Path, *, via: RouteDriver | None = None
) -> tuple[CampaignOutcome, dict[str, Path]]:
    """Drives what is not driven yet, and writes the report of all.

    Returns:
        What came of it, and the files of the report by kind.

    Raises:
        ConfigError: for planners that cannot be told apart, and for routes of the same name.
        AlnP3Error: when no route at all could be driven.
    """
    import torch
    from tqdm import tqdm

    from aln_p3_core.device import hardware_card
    from aln_p3_core.world.planners.registry import PLANNERS

    names = [name for planner in plan.planners for name in (PLANNERS if planner == BASELINES else (planner,))]
    hardware = hardware_card(torch.device("cpu")) | {"threads": plan.threads, "jobs": plan.jobs}
    tasks = plan_campaign(
        plan.routes, choose_planners(names), plan.settings, out, films=plan.films, commit=str(hardware["commit"]),
        threads=plan.threads, precision=plan.precision, **plan.options,
    )  # fmt: skip
    with tqdm(total=len(tasks), desc="drive", unit="route", file=sys.stderr) as bar:

        def show(task: RouteTask, outcome: RouteOutcome, reused: bool) -> None:
            if outcome.error:
                bar.write(f"{task.planner.label} {task.name}: {_last_line(outcome.error)}", file=sys.stderr)
            elif outcome.report is not None and not reused:
                bar.set_postfix_str(f"{task.planner.label} {outcome.report['measures']['driving_score']:.0f}")
            bar.update()

        outcome = run_campaign(tasks, out, jobs=plan.jobs, via=via, fresh=plan.fresh, on_route=show)
    if not outcome.reports:
        raise AlnP3Error(f"no route could be driven:\n{next(iter(outcome.errors.values()))}")
    card = ReportCard(plan.settings, plan.said, plan.seeds, plan.split, plan.command, hardware)
    return outcome, write_report(out, outcome, card)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
