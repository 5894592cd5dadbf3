"""A campaign: many routes, several planners, several processes, each route once.

    outcome = run_campaign(routes, ["expert", "route_blind"], DriveSettings(), Path("out/table"), jobs=2)
    write_report(Path("out/table"), outcome.reports, ...)

Every route gives the same bytes whatever the number of jobs and the order: one simulation a process at a time, and
nothing is carried from one route to the next but the planner's weights.
"""

from __future__ import annotations

import hashlib
import json
import signal
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from aln_p3_core.errors import AlnP3Error, ConfigError
from aln_p3_core.world.closed_loop.drives import Drive, LogDrive, drive_name
from aln_p3_core.world.closed_loop.human_drive import HUMAN
from aln_p3_core.world.closed_loop.route_task import (
    Filming,
    PlannerChoice,
    RouteDriver,
    RouteOutcome,
    RouteTask,
    drive_route,
    write_json,
)
from aln_p3_core.world.closed_loop.settings import DriveSettings

__all__ = ["CampaignOutcome", "CampaignRoute", "Filming", "RouteDriver", "choose_planners", "plan_campaign",
           "run_campaign", "seeded_routes"]  # fmt: skip

#: Folder of the routes' files in a report, and the file of the wall-clock times.
ROUTES_FOLDER = "routes"
TIMING_FILE = "timing.json"
#: Called with every task that is done, and whether it was there already.
ProgressListener = Callable[[RouteTask, RouteOutcome, bool], None]


@dataclass(frozen=True, slots=True)
class CampaignRoute:
    """A drive, and which of the repeated seeds it belongs to."""

    what: Drive
    repetition: int = 0


@dataclass(eq=False)
class CampaignOutcome:
    """What a campaign gave.

    Attributes:
        reports: of every route that was driven, now or earlier, in the campaign's order.
        timing: "planner/route" -> wall-clock seconds by part, as far as known.
        errors: "planner/route" -> what went wrong (with the traceback where it is no error of ours).
        reused: how many routes were there already.
    """

    reports: list[Mapping[str, Any]] = field(default_factory=list)
    timing: dict[str, Mapping[str, float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    reused: int = 0


def seeded_routes(routes: str, seeds: int, *, split: str) -> list[CampaignRoute]:
    """The routes of a named set, with the seed that each came with.

    A set of two seeds holds the set of one: what the second seed adds is its repetition.
    """
    from aln_p3_core.world.scenarios import route_set

    if seeds < 1:
        raise ConfigError(f"the number of seeds must be 1 or more, not {seeds}")
    found: list[CampaignRoute] = []
    known: set[str] = set()
    for count in range(1, seeds + 1):
        for episode in route_set(routes, count, split=split):
            name = drive_name(episode)
            if name not in known:
                known.add(name)
                found.append(CampaignRoute(episode, count - 1))
    return found


def choose_planners(names: Iterable[str]) -> list[PlannerChoice]:
    """Planners by name or checkpoint, with labels that are unique: the checkpoint's name, with its folder if need be.

    Raises:
        ConfigError: for an unknown name, for a planner named twice, and for checkpoints that cannot be told apart.
    """
    from aln_p3_core.world.planners.registry import PLANNERS, UNGUARDED, UNTRAINED, find_checkpoint

    chosen: dict[str, PlannerChoice] = {}
    for name in names:
        if name in PLANNERS or name == HUMAN or name.startswith(UNTRAINED):
            choice = PlannerChoice(name.replace(":", "-"), name)
        else:
            file = find_checkpoint(name)
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
            before = UNGUARDED.replace(":", "-") if name.startswith(UNGUARDED) else ""
            path = Path(name.removeprefix(UNGUARDED))
            label = f"{before}{path.stem}"
            if label in chosen:
                label = f"{before}{path.resolve().parent.name}-{path.stem}"
            choice = PlannerChoice(label, name, digest)
        if choice.label in chosen:
            raise ConfigError(f"planner {choice.label!r} is named twice; name each once, or rename the checkpoint")
        chosen[choice.label] = choice
    return list(chosen.values())


def plan_campaign(
    routes: Sequence[CampaignRoute],
    planners: Sequence[PlannerChoice],
    settings: DriveSettings,
    out: Path,
    **options: Any,
) -> list[RouteTask]:
    """All tasks, planner by planner; `options` are those of `RouteTask`.

    The human driver is left out where there is none.

    Raises:
        ConfigError: when two routes have the same name.
    """
    names = [drive_name(route.what) for route in routes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"routes must differ in scenario, city, seed or weather; twice: {', '.join(twice)}")
    return [
        RouteTask(
            what=route.what,
            planner=planner,
            settings=settings,
            folder=out / ROUTES_FOLDER / planner.label,
            repetition=route.repetition,
            **options,
        )
        for planner in planners
        for route in routes
        if planner.name != HUMAN or isinstance(route.what, LogDrive)
    ]


def run_campaign(
    tasks: Sequence[RouteTask],
    out: Path,
    *,
    jobs: int = 1,
    via: RouteDriver | None = None,
    fresh: bool = False,
    on_route: ProgressListener = lambda task, outcome, reused: None,
) -> CampaignOutcome:
    """Drives what is not driven yet.

    Args:
        tasks: of `plan_campaign`.
        out: the report's folder.
        jobs: processes; with one, routes are driven in this process.
        via: drives routes in another way, one after the other.
        fresh: drives everything again.
        on_route: listens to every route that is done.

    A route that fails is told in `CampaignOutcome.errors`, and so is one that takes its process with it; the others go
    on. The files of all that was driven stay, so that the campaign can be called again.
    """
    if via is not None and jobs != 1:
        raise ConfigError("routes through ROS are driven one after the other; use one job")
    if jobs < 1:
        raise ConfigError(f"the number of jobs must be 1 or more, not {jobs}")
    outcome = CampaignOutcome(timing=_read_timing(out))
    results: dict[int, RouteOutcome] = {}
    for index, task in enumerate(tasks):
        report = None if fresh else task.finished()
        if report is not None:
            results[index] = RouteOutcome(report)
            outcome.reused += 1
            on_route(task, results[index], True)
    waiting = [index for index in range(len(tasks)) if index not in results]

    def done(index: int, result: RouteOutcome) -> None:
        task, key = tasks[index], f"{tasks[index].planner.label}/{tasks[index].name}"
        results[index] = result
        if result.error:
            outcome.errors[key] = result.error
        else:
            outcome.timing[key] = result.timing
            write_json(out / TIMING_FILE, dict(sorted(outcome.timing.items())))
        on_route(task, result, False)

    out.mkdir(parents=True, exist_ok=True)
    if jobs == 1 or len(waiting) == 1:
        for index in waiting:
            done(index, _attempt(tasks[index], via))
    elif waiting:
        _run_in_processes(tasks, waiting, min(jobs, len(waiting)), done)
    outcome.reports = [found for i in range(len(tasks)) if (found := results[i].report) is not None]
    return outcome


def _run_in_processes(
    tasks: Sequence[RouteTask], waiting: Sequence[int], jobs: int, done: Callable[[int, RouteOutcome], None]
) -> None:
    """Drives tasks in `jobs` processes. When one of them dies, those that ran just then go on in one each."""
    while waiting:
        lost = _run_in_pool(tasks, waiting, jobs, done)
        suspects, waiting = lost[:jobs], lost[jobs:]
        for index in suspects:
            if _run_in_pool(tasks, [index], 1, done):
                done(index, RouteOutcome(error="its process died (killed, out of memory, or a crash in native code)"))


def _run_in_pool(
    tasks: Sequence[RouteTask], waiting: Sequence[int], jobs: int, done: Callable[[int, RouteOutcome], None]
) -> list[int]:
    """Returns the tasks without a result because a process died."""
    lost: list[int] = []
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        running: dict[Future[RouteOutcome], int] = {pool.submit(_attempt, tasks[index]): index for index in waiting}
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                index = running.pop(future)
                try:
                    done(index, future.result())
                except BrokenProcessPool:
                    lost.append(index)
    except BaseException:
        # Nobody waits for routes of a campaign that was stopped.
        for worker in active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return sorted(lost)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers


def _attempt(task: RouteTask, via: RouteDriver | None = None) -> RouteOutcome:
    """Drives one task; what goes wrong becomes part of the outcome."""
    try:
        report, timing = drive_route(task, via)
    except AlnP3Error as error:
        return RouteOutcome(error=f"{type(error).__name__}: {error}")
    except Exception:
        return RouteOutcome(error=traceback.format_exc())
    return RouteOutcome(report, timing)


def _read_timing(out: Path) -> dict[str, Mapping[str, float]]:
    try:
        timing: dict[str, Mapping[str, float]] = json.loads((out / TIMING_FILE).read_text(encoding="utf-8"))
        return timing
    except (OSError, ValueError):
        return {}
