"""One route of a campaign: driven by one planner, filmed, and written as one JSON file, all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from aln_p3_core.errors import DataError
from aln_p3_core.whole_files import write_json
from aln_p3_core.world.closed_loop.drives import Drive, OpenDrive, drive_name, name_drive, open_drive
from aln_p3_core.world.closed_loop.human_drive import HUMAN, drive_human
from aln_p3_core.world.closed_loop.runner import RouteResult, drive_episode, make_renderer
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.trace import Trace
from aln_p3_core.world.planners.model_planner import ModelPlanner
from aln_p3_core.world.planners.planner import Planner
from aln_p3_core.world.planners.registry import PLANNERS, make_planner

#: The precision that a network takes by itself (`device.resolve_precision`).
AUTO = "auto"
#: Definitions of the measures, and the version of them: results compare only where this is equal.
PROTOCOL = "aln_p3_closed_loop_v1"


class RouteDriver(Protocol):
    """Drives one route in another way than in this process, such as through ROS topics, to the same result."""

    def __call__(
        self, what: Drive, planner: str, settings: DriveSettings, threads: int = 1, precision: str = AUTO
    ) -> RouteResult:
        """Drives it from its start to its end, in lock-step.

        Args:
            what: an `Episode`, or a `LogDrive` (path and mode).
            planner: name or checkpoint, as `planners.registry.make_planner` takes it.
            settings: how; with `settings.trace` the result holds a trace.
            threads: CPU threads of a network. precision: of it.
        """


@dataclass(frozen=True, slots=True)
class PlannerChoice:
    """A planner of a campaign.

    Attributes:
        label: in tables and file names; unique in the campaign.
        name: what `make_planner` takes. HUMAN is the human driver of a recording.
        checkpoint_hash: of the checkpoint's bytes, "" where there is none.
    """

    label: str
    name: str
    checkpoint_hash: str = ""

    @property
    def is_network(self) -> bool:
        """Whether it is a driver, which computes in some precision."""
        return self.name not in PLANNERS and self.name != HUMAN


@dataclass(frozen=True, slots=True)
class Filming:
    """Films that a campaign makes of every route.

    Attributes:
        views: "bev" (from above), "cameras", both or none. format: "gif" or "mp4".
        fps: pictures a second of the film from above. camera_fps: of the film of the cameras.
    """

    views: tuple[str, ...] = ()
    format: str = "gif"
    fps: float = 5.0
    camera_fps: float = 2.5


@dataclass(frozen=True, slots=True)
class RouteTask:
    """What to drive, and where the results go.

    Attributes:
        what: the drive. planner: who drives. settings: how. repetition: which of the repeated seeds it belongs to.
        folder: of the planner's results. films: that are made.
        keep_trace: stores the trace beside the JSON (films can be made of it later).
        through: "python" or "ros". commit: of the source, "" when unknown.
        threads: of the network, whatever the number of jobs: results depend on it in their last digits.
        precision: of the network: "fp32", "bf16", "fp16", or AUTO. The report says which it was.
    """

    what: Drive
    planner: PlannerChoice
    settings: DriveSettings
    folder: Path
    repetition: int = 0
    films: Filming = field(default_factory=Filming)
    keep_trace: bool = False
    through: str = "python"
    commit: str = ""
    threads: int = 1
    precision: str = AUTO

    @property
    def name(self) -> str:
        """File name of the results, without an ending."""
        return drive_name(self.what)

    @property
    def json_path(self) -> Path:
        """Where the result goes."""
        return self.folder / f"{self.name}.json"

    def film_path(self, view: str) -> Path:
        """Where a film goes."""
        return self.folder / f"{self.name}.{view}.{self.films.format}"

    def identity(self) -> dict[str, Any]:
        """What decides the result: two results compare, and one need not be driven again, where this is equal."""
        return {
            "protocol": PROTOCOL,
            "planner": self.planner.label,
            "planner_name": self.planner.name,
            "checkpoint_hash": self.planner.checkpoint_hash,
            "threads": self.threads,
            "through": self.through,
            "commit": self.commit,
            "episode": name_drive(self.what),
            "settings": self.settings.to_json(),
        }

    def finished(self) -> dict[str, Any] | None:
        """The result of an earlier run that still holds, with all files that are asked for; None without one.

        With AUTO a network's result holds whatever precision it was driven in, also where the report does not say it.
        """
        try:
            report: dict[str, Any] = json.loads(self.json_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        identity = self.identity()
        wanted = [self.film_path(view) for view in self.films.views]
        wanted += [self.json_path.with_suffix(".npz")] if self.keep_trace else []
        if {key: report.get(key) for key in identity} != identity or not all(path.exists() for path in wanted):
            return None
        if self.planner.is_network and self.precision not in (AUTO, report.get("precision")):
            return None
        return report | {"repetition": self.repetition}


@dataclass(frozen=True, slots=True)
class RouteOutcome:
    """What came of a task: the report as it was written, wall-clock seconds by part, or what went wrong."""

    report: Mapping[str, Any] | None = None
    timing: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


def drive_route(task: RouteTask, via: RouteDriver | None = None) -> tuple[dict[str, Any], Mapping[str, float]]:
    """Drives a task and writes its files. Returns the report and the timing (which is not part of the report)."""
    film_or_trace = task.keep_trace or bool(task.films.views)
    opened: OpenDrive | None = None
    settings = replace(task.settings, trace=film_or_trace)
    if via is not None and task.planner.name != HUMAN:
        result = via(task.what, task.planner.name, settings, task.threads, task.precision)
    else:
        opened = open_drive(task.what)
        result = drive_opened(task, opened, settings)
    report = {**task.identity(), "precision": result.precision, "repetition": task.repetition}
    report |= {key: value for key, value in result.to_json().items() if key in ("measures", "human")}
    task.folder.mkdir(parents=True, exist_ok=True)
    if task.keep_trace and result.trace is not None:
        result.trace.save(task.json_path.with_suffix(".npz"))
    if task.films.views and result.trace is not None:
        opened = opened or closed_stage(task.what)
        make_films(report, result.trace, opened, task)
    report["films"] = {view: task.film_path(view).name for view in task.films.views}
    report["trace"] = task.json_path.with_suffix(".npz").name if task.keep_trace else None
    write_json(task.json_path, report)
    return report, result.timing


def closed_stage(what: Drive) -> OpenDrive:
    """Roads, scenery and route of a drive, its traffic already ended."""
    opened = open_drive(what)
    opened.stage.traffic.close()
    return opened


def make_films(report: Mapping[str, Any], trace: Trace, opened: OpenDrive, task: RouteTask) -> None:
    """Makes the films of a task from a trace."""
    from aln_p3_core.world.closed_loop.film import Reel, bev_film, camera_film

    reel = Reel.of_report(report, trace)
    stage, films = opened.stage, task.films
    if "bev" in films.views:
        bev_film(reel, stage.city, task.film_path("bev"), fps=films.fps)
    if "cameras" in films.views:
        renderer = make_renderer(stage, opened.weather, task.settings)
        path = task.film_path("cameras")
        try:
            camera_film(reel, stage.city, stage.route, renderer, path, fps=films.camera_fps)
        finally:
            renderer.close()


def read_report(path: Path) -> dict[str, Any]:
    """The JSON of a route.

    Raises:
        DataError: when it is missing or no report of a route.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"protocol", "planner", "episode", "settings", "measures"} <= set(report):
            raise ValueError("it lacks keys of a route's report")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is no report of a route ({error}); `aln-p3 world drive --report` writes them"
        ) from error
    return report


def drive_opened(task: RouteTask, opened: OpenDrive, settings: DriveSettings) -> RouteResult:
    """Drives a task on a stage that is set, in this process. Its traffic is closed afterwards."""
    if task.planner.name == HUMAN:
        return drive_human(opened.stage, settings, name_drive(task.what))
    try:
        planner = _planner(task.planner, task.threads, task.precision)
    except BaseException:
        opened.stage.traffic.close()
        raise
    result = drive_episode(
        opened.stage,
        planner,
        settings,
        weather=opened.weather,
        identity=name_drive(task.what),
        time_limit_s=opened.time_limit_s,
    )
    return replace(result, precision=planner.driver.precision if isinstance(planner, ModelPlanner) else "")


@lru_cache(maxsize=1)
def _planner(choice: PlannerChoice, threads: int, precision: str) -> Planner:
    """The planner, kept for the next route: a checkpoint is read once. `reset` parts the episodes."""
    if not choice.is_network:
        return make_planner(choice.name)
    import torch

    torch.set_num_threads(threads)
    return make_planner(choice.name, precision=precision)
