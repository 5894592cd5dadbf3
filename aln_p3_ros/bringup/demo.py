"""The demonstration's common part: where its files go, the recorder beside the graph, and the replay of a clip."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import AlnP3Error, DataError
from aln_p3_core.interruption import noted_signals, raise_noted
from aln_p3_ros.bags.writer import check_free
from aln_p3_ros.bringup.graph import GraphPlan, graph
from aln_p3_ros.bringup.up import RunningGraph, describe_exit

# A scene shorter than this is slowed down, so that every frame of it reaches the driver and the viewer.
_SHORT_SCENE_S = 2.0
_SHORT_SCENE_RATE = 0.2
#: Name of the node that records.
RECORDER = "recorder"


@dataclasses.dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demonstration leaves what.

    Attributes:
        bag: MCAP bag of the topics.
        pictures: mosaics and bird's-eye views that the view node drew.
        log: output of all nodes.
        rate: recorded seconds per second that was replayed with.
    """

    bag: Path
    pictures: Path
    log: Path
    rate: float = 1.0

    @classmethod
    def below(cls, out: Path, rate: float = 1.0) -> DemoFiles:
        """The files of a demonstration in a folder; what an earlier one left is removed, but for its bag.

        Raises:
            ConfigError: when something else lies where the bag goes.
        """
        files = cls(out / "bag", out / "pictures", out / "nodes.log", rate)
        check_free(files.bag, force=True)
        shutil.rmtree(files.pictures, ignore_errors=True)
        files.pictures.mkdir(parents=True)
        # Figures and films of an earlier drive would pass for this one's, should it be stopped.
        for pattern in ("summary.md", "mosaic.png", "bev.png", "drive_*.gif", "drive_*.mp4"):
            for path in out.glob(pattern):
                path.unlink()
        return files


def run_replay_demo(
    root: Path,
    out: Path,
    *,
    rate: float | None,
    seconds: float,
    timeout_s: float,
    driver_arguments: Mapping[str, str],
    note: str,
    say: Callable[[str], None],
    explainer: str = "",
) -> DemoFiles:
    """Runs replay, driver, view and recorder for a while: the recorded images do not answer to the plan.

    Args:
        root: nuScenes-schema root.
        out: folder for everything that is left behind.
        rate: recorded seconds per second; None: 1, or slower for a very short clip.
        seconds: how long to go on after the first picture.
        timeout_s: give up when there is no picture after this time.
        driver_arguments: graph arguments of the driver, such as {"checkpoint": "nano"}.
        note: shown in every picture, "" for nothing.
        say: takes progress lines.
        explainer: speaks beside: the graph's argument; "" for nobody.

    Raises:
        DataError: when there is no such root.
        AlnP3Error: when a node ended, or when nothing was drawn in time; the log's path is in the message.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; DATA= names a nuScenes-schema root")
    dataset = NuScenesDataset(root)
    scene = dataset.scenes[0]
    records = dataset.sensor_records(scene)
    length_s = (records[-1].stamp_ns - records[0].stamp_ns) * 1e-9
    rate = rate or (_SHORT_SCENE_RATE if length_s < _SHORT_SCENE_S else 1.0)
    files = DemoFiles.below(out, rate)
    say(f"replaying {root}, scene {scene} ({length_s:.1f} s, {len(records)} messages) at {rate:g} x, over and over")
    front = [record for record in records if record.channel == dataset.cameras_of(scene)[0]]
    period_s = length_s / max(len(front) - 1, 1)
    plan = _replay_plan(root, scene, files, {**driver_arguments, "explainer": explainer}, note, period_s)
    with demo_log(files) as (log, received), recording(files.bag, plan, log.fileno()):
        running = RunningGraph(plan, show=lambda line: print(line, file=log, flush=True))
        try:
            say("loading the model")
            until = time.monotonic() + timeout_s
            ended = running.wait(lambda: bool(received) or _any_picture(files.pictures) or time.monotonic() > until)
            if ended is None and _any_picture(files.pictures):
                say(f"driving for {seconds:.0f} s")
                until = time.monotonic() + seconds
                ended = running.wait(lambda: bool(received) or time.monotonic() > until)
        finally:
            running.stop()
    raise_noted(received)
    if ended is not None:
        spec, code = ended
        raise AlnP3Error(f"{spec.name} ended ({describe_exit(code)}); its output is in {files.log}")
    if not _any_picture(files.pictures):
        raise AlnP3Error(f"nothing was drawn within {timeout_s:.0f} s; the nodes' output is in {files.log}")
    return files


def with_parameters(plan: GraphPlan, extra: dict[str, dict[str, Any]]) -> GraphPlan:
    """The plan with more parameters, by node name."""
    nodes = tuple(
        dataclasses.replace(spec, parameters={**spec.parameters, **extra.get(spec.name, {})}) for spec in plan.nodes
    )
    return dataclasses.replace(plan, nodes=nodes)


@contextmanager
def demo_log(files: DemoFiles) -> Iterator[tuple[IO[str], list[int]]]:
    """The nodes' log, open while they run, and the signals that come meanwhile: they end the nodes, in order.

    The caller looks at the signals, and raises them (`raise_noted`) when all has ended.
    """
    with noted_signals() as received, files.log.open("w", encoding="utf-8") as log:
        yield log, received


@contextmanager
def recording(bag: Path, plan: GraphPlan, log: int, topics: Sequence[str] = ()) -> Iterator[None]:
    """Records topics (all, when none is named) while the block runs."""
    command = [sys.executable, "-m", "aln_p3_ros", "record", "--out", str(bag), "--force"]
    for topic in topics:
        command += ["--topics", topic]
    child = subprocess.Popen(
        command, stdout=log, stderr=log, env={**os.environ, **plan.environment}, start_new_session=True
    )
    try:
        yield
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            child.kill()
            child.wait()


def _replay_plan(
    root: Path, scene: str, files: DemoFiles, driver_arguments: Mapping[str, str], note: str, period_s: float
) -> GraphPlan:
    texts = {
        "root": str(root),
        "scene": scene,
        "rate": str(files.rate),
        "loop": "true",
        "ground_truth": "true",
        "driver": "true",
        "view": "true",
        **driver_arguments,
    }
    return with_parameters(
        graph("replay").plan(texts),
        {
            "replay_node": {"wait_for_nodes": ["driver_node", "view_node", RECORDER]},
            # Two key frames a second are no dead camera.
            "driver_node": {
                "camera_timeout_s": max(0.5, 2.5 * period_s),
                "input_timeout_s": max(1.0, 4.0 * period_s),
            },
            "view_node": {"folder": str(files.pictures.absolute()), "note": note},
        },
    )


def _any_picture(folder: Path) -> bool:
    return any(folder.glob("*mosaic*.png"))
