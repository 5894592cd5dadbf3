"""What the explainer costs the driver: latency of plans with and without it: the table of docs/explaining.md.

aln-p3 track out/track --seconds 60 --size 800x450
python scripts/bench_explainer.py out/track --explainer nano --json out/explainer_cost.json
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import rclpy
import yaml
from aln_p3.msg import Explanation, PlannedTrajectory
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from aln_p3_core.device import source_commit
from aln_p3_core.errors import AlnP3Error
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_ros.bringup.graph import graph
from aln_p3_ros.bringup.up import RunningGraph, describe_exit
from aln_p3_ros.environment import use_dds_profile
from aln_p3_ros.explaining.scene_inputs import stamp_of
from aln_p3_ros.qos import reliable_qos
from aln_p3_ros.topics import TOPICS

#: Plans before this many are not counted: caches fill, clocks of the CPU rise.
_WARM_UP_PLANS = 5
_PATIENCE_S = 300.0


@dataclass
class Watched:
    """Latencies of plans, ms, from the newest image (its CameraInfo) to the trajectory, both at this process."""

    latencies_ms: list[float] = field(default_factory=list)
    explanations: int = 0


class Watch(Node):
    """Notes when images and plans arrive. Messages stay packed, so that watching costs next to nothing."""

    def __init__(self) -> None:
        super().__init__("bench_watch")
        self.watched = Watched()
        self._images: dict[int, float] = {}
        for camera in NUSCENES_CAMERAS:
            name = TOPICS["camera_info"].name.format(camera=camera.lower())
            self.create_subscription(CameraInfo, name, self._on_image, reliable_qos(10), raw=True)
        self.create_subscription(
            PlannedTrajectory, TOPICS["trajectory"].name, self._on_plan, reliable_qos(10), raw=True
        )
        self.create_subscription(
            Explanation, TOPICS["explanation"].name, self._on_explanation, reliable_qos(10), raw=True
        )

    def begin(self) -> None:
        """Forgets what was watched before."""
        self.watched = Watched()

    def _on_image(self, data: bytes) -> None:
        self._images[stamp_of(data)] = time.monotonic()
        while len(self._images) > 600:
            self._images.pop(next(iter(self._images)))

    def _on_plan(self, data: bytes) -> None:
        seen = self._images.get(stamp_of(data))
        if seen is not None:
            self.watched.latencies_ms.append((time.monotonic() - seen) * 1e3)

    def _on_explanation(self, data: bytes) -> None:
        self.watched.explanations += 1


def measure(watch: Watch, texts: dict[str, str], seconds: float, *, with_explainer: bool) -> Watched:
    """Runs the graph, waits until everybody works, and watches for a while.

    Raises:
        AlnP3Error: when a node ends, or nothing comes.
    """
    watch.begin()
    lines: list[str] = []
    running = RunningGraph(graph("replay").plan(texts), show=lines.append)
    try:

        def ready() -> bool:
            return len(watch.watched.latencies_ms) >= _WARM_UP_PLANS and (
                not with_explainer or watch.watched.explanations > 0
            )

        deadline = time.monotonic() + _PATIENCE_S
        ended = running.wait(until=lambda: ready() or time.monotonic() > deadline)
        if ended is None and ready():
            watch.begin()
            until = time.monotonic() + seconds
            ended = running.wait(until=lambda: time.monotonic() > until)
            if ended is None:
                return watch.watched
        why = "nothing came in time" if ended is None else f"{ended[0].name} ended ({describe_exit(ended[1])})"
        raise AlnP3Error(f"{why}; the last lines are\n" + "\n".join(lines[-15:]))
    finally:
        running.stop()


def row(name: str, runs: list[Watched]) -> dict[str, Any]:
    """Figures of all runs of one kind together."""
    latencies = np.concatenate([run.latencies_ms for run in runs])
    p50, p90, p99 = np.percentile(latencies, [50, 90, 99])
    return {
        "what": name,
        "plans": len(latencies),
        "p50_ms": round(float(p50), 1),
        "p90_ms": round(float(p90), 1),
        "p99_ms": round(float(p99), 1),
        "p50_of_runs_ms": [round(float(np.median(run.latencies_ms)), 1) for run in runs],
        "explanations": sum(run.explanations for run in runs),
    }


@click.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False))
@click.option("--explainer", default="nano", show_default=True, metavar="NAME|FILE")
@click.option("--seconds", default=30.0, show_default=True, help="Measured time of each run.")
@click.option("--rounds", default=3, show_default=True, help="Runs of each kind, in turns.")
@click.option("--rate", default=1.0, show_default=True, help="Recorded seconds per second of the replay.")
@click.option("--threads", default=1, show_default=True, help="Of the explainer.")
@click.option("--nice", default=10, show_default=True, help="Of the explainer.")
@click.option("--max-age", default=5.0, show_default=True, help="Of the explainer, recorded s.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write the figures here."
)
def main(
    root: str,
    explainer: str,
    seconds: float,
    rounds: int,
    rate: float,
    threads: int,
    nice: int,
    max_age: float,
    json_path: Path | None,
) -> None:
    """Replays ROOT to the driver, in turns with and without the explainer, and compares the latency of the plans.

    ROOT should last longer than the runs: when a replay starts over, what is being said is about another time, and is
    dropped.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    use_dds_profile()
    rclpy.init()
    watch = Watch()
    executor = SingleThreadedExecutor()
    executor.add_node(watch)
    ending = threading.Event()

    def spin() -> None:
        while not ending.is_set():
            executor.spin_once(timeout_sec=0.1)

    spinner = threading.Thread(target=spin, name="spin")
    spinner.start()
    common = {"root": root, "driver": "true", "loop": "true", "rate": str(rate)}
    kinds: dict[str, list[Watched]] = {"without": [], "with": []}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "explainer.yaml"
            settings = {"threads": threads, "nice": nice, "max_age_s": max_age}
            path.write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}))
            beside = {"explainer": explainer, "explainer_params": str(path)}
            for number in range(rounds):
                for name, runs in kinds.items():
                    texts = {**common, **(beside if name == "with" else {})}
                    runs.append(measure(watch, texts, seconds, with_explainer=name == "with"))
                    latest = row(name, runs[-1:])
                    click.echo(f"round {number + 1}, {name}: p50 {latest['p50_ms']} ms, p99 {latest['p99_ms']} ms, "
                               f"{latest['plans']} plans, {latest['explanations']} explanations")  # fmt: skip
    except AlnP3Error as error:
        raise click.ClickException(str(error)) from error
    finally:
        ending.set()
        spinner.join()
        executor.shutdown()
        watch.destroy_node()
        rclpy.try_shutdown()
    rows = [row(name, runs) for name, runs in kinds.items()]
    ratios = {key: round(rows[1][f"{key}_ms"] / rows[0][f"{key}_ms"], 3) for key in ("p50", "p90", "p99")}
    click.echo("| explainer | plans | p50 ms | p90 ms | p99 ms | explanations |\n|---|--:|--:|--:|--:|--:|")
    for each in rows:
        figures = [each[key] for key in ("what", "plans", "p50_ms", "p90_ms", "p99_ms", "explanations")]
        click.echo("| " + " | ".join(map(str, figures)) + " |")
    click.echo(f"with over without: p50 {ratios['p50']}, p90 {ratios['p90']}, p99 {ratios['p99']}")
    if json_path is not None:
        report = {
            "rows": rows, "ratios": ratios, "cores": os.cpu_count(), "rate": rate, "seconds": seconds,
            "threads": threads, "nice": nice, "explainer": explainer, "root": root, "commit": source_commit(),
        }  # fmt: skip
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(report, indent=1) + "\n")
        click.echo(f"wrote {json_path}")


if __name__ == "__main__":
    main()
