"""The demonstration that drives: the world, the driver, the view and a recorder, for a minute of simulated time."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aln_p3_core.config import RECIPES
from aln_p3_core.errors import AlnP3Error, CheckpointError, ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.interruption import raise_noted
from aln_p3_core.weights import SHIPPED, shipped_explainer
from aln_p3_core.world.planners.registry import PLANNERS, UNTRAINED
from aln_p3_ros.bringup.demo import RECORDER, DemoFiles, demo_log, recording, with_parameters
from aln_p3_ros.bringup.graph import GraphPlan, graph
from aln_p3_ros.bringup.up import RunningGraph, describe_exit
from aln_p3_ros.topics import TOPICS

#: Sets of images, and plans, a second. In lock-step the world waits for every plan, so that a slow machine drives
#: the same drive as a fast one, and only takes longer.
CAMERA_RATE_HZ = 2
#: Where the demonstration drives.
SCENARIO, CITY, SEED = "free_driving", "poplar-green", 0
#: Every so many pictures of the view are kept as files.
_PICTURES_EVERY = 4
_SAY_EVERY_S = 10.0
#: The view's pictures are not recorded: they can be drawn again, and are ten times as large as all the rest.
_NOT_RECORDED = ("mosaic", "bev", "scene_tokens")
#: A drive begins without its explainer when that is not ready after this time, s.
_EXPLAINER_PATIENCE_S = 180.0
_UNTRAINED_NOTE = "untrained heads: the plan means nothing"


@dataclass(frozen=True)
class DemoDriver:
    """Who drives the demonstration.

    Attributes:
        said: for people.
        arguments: of the graph.
        note: shown in every picture, "" for nothing.
    """

    said: str
    arguments: Mapping[str, str]
    note: str

    @property
    def is_autopilot(self) -> bool:
        """A planner inside the simulator drives, no driver_node."""
        return "autopilot" in self.arguments


def demo_driver(name: str) -> DemoDriver:
    """The driver of a name.

    Args:
        name: a planner (such as expert), a driver that ships with the package (nano), the path of a checkpoint, or an
            untrained recipe: "untrained:nano", or its name alone where no driver ships under it.

    Raises:
        ConfigError: for any other name.
    """
    if name in PLANNERS:
        said = f"planner {name!r}, which reads the world's ground truth: it shows the world, not what a camera can do"
        return DemoDriver(said, {"autopilot": name}, f"driven by the planner {name}: no network")
    if name in SHIPPED:
        said = f"driver {name!r}, trained in the embedded world: six cameras in, a plan out"
        return DemoDriver(said, {"driver": "true", "checkpoint": name}, "")
    recipe = name.removeprefix(UNTRAINED)
    if recipe in RECIPES:
        said = f"recipe {recipe!r} with UNTRAINED heads: it cannot drive (DRIVER=expert shows the world driven well)"
        return DemoDriver(said, {"driver": "true", "recipe": recipe}, _UNTRAINED_NOTE)
    if Path(name).is_file():
        return DemoDriver(f"checkpoint {name}", {"driver": "true", "checkpoint": name}, "")
    raise ConfigError(
        f"nobody called {name!r} can drive: name {', '.join(SHIPPED)} (the trained driver that ships), a planner "
        f"({', '.join(PLANNERS)}), the file of a checkpoint, or a recipe with untrained heads "
        f"({', '.join(UNTRAINED + recipe for recipe in RECIPES)})"
    )


#: What `--explainer` may be beside a file: the one that ships with the driver, where it does; nobody.
WITH_DRIVER, NOBODY = "auto", "off"


def demo_explainer(who: DemoDriver, name: str) -> str:
    """The graph's argument `explainer` for a demonstration; "" for none.

    Args:
        who: drives. name: "auto", "off", a name that ships, or a file.

    Raises:
        ConfigError: when somebody is asked to explain a planner, which has no scene tokens.
        CheckpointError: when no explainer ships under the name.
    """
    if name == NOBODY:
        return ""
    if name == WITH_DRIVER:
        shipped = who.arguments.get("checkpoint", "")
        if shipped not in SHIPPED:
            return ""
        try:
            shipped_explainer(shipped)
        except CheckpointError:
            return ""
        return shipped
    if who.is_autopilot:
        raise ConfigError("a planner has no scene tokens, which an explainer reads: leave --explainer out")
    if name in SHIPPED:
        shipped_explainer(name)
    elif not Path(name).is_file():
        raise ConfigError(f"there is no explainer {name!r}: name {', '.join(SHIPPED)}, a file, or {NOBODY}")
    return name


@dataclass(frozen=True)
class DriveDemo:
    """What a driven demonstration has left.

    Attributes:
        files: bag, pictures, log.
        report: of the drive (JSON). trace: file of its trace.
        wall_s: of the drive, from its first image to its end.
    """

    files: DemoFiles
    report: Mapping[str, Any]
    trace: Path
    wall_s: float


def run_drive_demo(
    driver: DemoDriver,
    out: Path,
    *,
    seconds: float,
    timeout_s: float,
    say: Callable[[str], None],
    explainer: str = "",
) -> DriveDemo:
    """Drives.

    Args:
        driver: who drives.
        out: folder for everything that is left behind.
        seconds: simulated time.
        timeout_s: give up when the drive is not over after this time (wall clock).
        say: takes progress lines.
        explainer: speaks beside: the graph's argument; "" for nobody.

    Raises:
        AlnP3Error: when a node failed, or the time was over; the log's path is in the message.
    """
    files = DemoFiles.below(out)
    results = out / "drive"
    shutil.rmtree(results, ignore_errors=True)
    plan = _drive_plan(driver, files, results, seconds, explainer)
    progress = _Progress(say, seconds)
    topics = [name for key in TOPICS if key not in _NOT_RECORDED for name in _names(key)]
    say("starting the world" if driver.is_autopilot else "starting the world, loading the model")
    until = time.monotonic() + timeout_s
    with demo_log(files) as (log, received), recording(files.bag, plan, log.fileno(), topics):

        def show(line: str) -> None:
            print(line, file=log, flush=True)
            progress.listen(line)

        beside, world = _parted(plan)
        running = RunningGraph(beside, show)
        try:
            if explainer:
                say("loading the explainer")
                patience = min(until, time.monotonic() + _EXPLAINER_PATIENCE_S)
                running.wait(lambda: bool(received) or progress.explainer_settled or time.monotonic() > patience)
            running.start(world)
            ended = running.wait(lambda: bool(received) or progress.look(files.pictures) or time.monotonic() > until)
        finally:
            running.stop()
    raise_noted(received)
    if ended is None:
        raise AlnP3Error(f"the drive was not over after {timeout_s:.0f} s; the nodes' output is in {files.log}")
    spec, code = ended
    reports = sorted(results.glob("*.json"))
    if spec.name != "simulator_node" or code != 0 or not reports:
        raise AlnP3Error(f"{spec.name} ended ({describe_exit(code)}); its output is in {files.log}")
    report = json.loads(reports[0].read_text(encoding="utf-8"))
    return DriveDemo(files, report, reports[0].with_suffix(".npz"), progress.wall_s)


class _Progress:
    """Says now and then how far the drive is."""

    def __init__(self, say: Callable[[str], None], seconds: float) -> None:
        self._say, self._seconds = say, seconds
        self._begun = self._over = 0.0
        self._said_s = 0.0
        self._first_ns: int | None = None
        #: Whether the explainer speaks, or will never.
        self.explainer_settled = False

    @property
    def wall_s(self) -> float:
        """Seconds of wall clock from the drive's first moment to its last; 0 when it never began."""
        return max(self._over - self._begun, 0.0) if self._begun else 0.0

    def listen(self, line: str) -> None:
        """Reads the words of the simulator and of the explainer's manager."""
        if line.startswith("[explainer_manager]") or line.startswith("[up] explainer_manager"):
            self.explainer_settled = True
        if line.startswith("[simulator_node]"):
            self._over = time.monotonic()
            if ": driving " in line and not self._begun:
                self._begun = self._over
                self._say(f"driving for {self._seconds:.0f} s of simulated time, or to the end of the route")

    def look(self, pictures: Path) -> bool:
        """Looks at the newest picture's stamp. Always False, to be used as a condition to go on."""
        stamps = [int(path.name.partition("_")[0]) for path in pictures.glob("*_mosaic.png")]
        if stamps:
            self._first_ns = min(stamps) if self._first_ns is None else self._first_ns
            driven_s = (max(stamps) - self._first_ns) * 1e-9
            if driven_s >= self._said_s + _SAY_EVERY_S:
                self._said_s = driven_s
                rate = driven_s / max(time.monotonic() - self._begun, 1e-3)
                self._say(f"  {driven_s:.0f} s driven, {rate:.2f} x real time")
        return False


def _drive_plan(driver: DemoDriver, files: DemoFiles, results: Path, seconds: float, explainer: str) -> GraphPlan:
    texts = {
        "scenario": SCENARIO,
        "city": CITY,
        "seed": str(SEED),
        "condition": "day",
        "duration": str(seconds),
        "time_mode": "lockstep",
        "camera_rate": str(CAMERA_RATE_HZ),
        "ground_truth": "true",
        "report": str(results),
        "view": "true",
        **driver.arguments,
        "explainer": explainer,
    }
    followers = ["view_node", RECORDER] if driver.is_autopilot else ["driver_node", "view_node", RECORDER]
    return with_parameters(
        graph("simulate").plan(texts),
        {
            # It drives for its time, however little it gets on.
            "simulator_node": {"wait_for_nodes": followers, "blocked_after_s": max(seconds, 1.0)},
            "view_node": {
                "folder": str(files.pictures.absolute()),
                "every": _PICTURES_EVERY,
                "note": driver.note,
            },
            # In lock-step nobody is late because of it, and the film shows no captions.
            "explainer_node": {"nice": 0, "captions": 0},
        },
    )


def _parted(plan: GraphPlan) -> tuple[GraphPlan, GraphPlan]:
    """Everybody else, and the world: in lock-step it drives on as soon as the driver is there."""
    world = tuple(spec for spec in plan.nodes if spec.name == "simulator_node")
    others = tuple(spec for spec in plan.nodes if spec.name != "simulator_node")
    return replace(plan, nodes=others), replace(plan, nodes=world)


def _names(key: str) -> list[str]:
    name = TOPICS[key].name
    return [name.replace("{camera}", camera.lower()) for camera in NUSCENES_CAMERAS] if "{camera}" in name else [name]
