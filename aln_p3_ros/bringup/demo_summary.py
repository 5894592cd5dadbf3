"""What a recorded run of the graph shows: latencies, ages, and whether stamps are kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_ros.bags.reader import open_bag, read_messages
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.bringup.stamp_check import check_stamps

_IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


@dataclass(slots=True)
class RunSummary:
    """Figures of one recorded run.

    Attributes:
        trajectories: number of published plans, stops included.
        stops: of these declared stops, which may begin now: their stamp is that of no image.
        degraded: reasons with their counts.
        stamps_kept: plans of the network whose stamp is that of a recorded image of a camera.
        stamps_judged: plans of the network of which the bag can tell that (`stamp_check.check_stamps`).
        ages_ms: wall-clock age of every plan of the network (newest image to plan), ms: when it was published, and in
            lock-step, where the clock stands meanwhile, when the recorder had it.
        stages_ms: text per stage, as the driver's diagnostics told last.
        weights: the driver's description of its weights.
        images: images per camera topic.
        memory_resets: how often the temporal memory was dropped (a clip that starts over does that).
        lockstep: the world waited for every plan.
        explanations: how many explanations were published. contradicting: those that contradict plan or objects.
        speaking_ms: how long each took, ms of wall clock.
    """

    trajectories: int = 0
    stops: int = 0
    degraded: Counter[str] = field(default_factory=Counter)
    stamps_kept: int = 0
    stamps_judged: int = 0
    ages_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, str] = field(default_factory=dict)
    weights: str = ""
    images: Counter[str] = field(default_factory=Counter)
    memory_resets: int = 0
    lockstep: bool = False
    explanations: int = 0
    contradicting: int = 0
    speaking_ms: list[float] = field(default_factory=list)

    def markdown(self) -> str:
        """Tables for people."""
        lines = [f"weights: {self.weights or 'unknown'}", "", "| stage | median ms (p90, max) |", "|---|---|"]
        lines += [f"| {stage} | {text} |" for stage, text in self.stages_ms.items()]
        lines += ["", "| what | value |", "|---|---|", f"| trajectories | {self.trajectories} |"]
        if self.ages_ms:
            p50, p90 = np.percentile(self.ages_ms, [50, 90])
            text = f"{p50:.0f} ms, {p90:.0f} ms, {max(self.ages_ms):.0f} ms"
            where = "recorded (wall clock)" if self.lockstep else "published"
            lines.append(f"| age of a plan when {where}: median, p90, max | {text} |")
        if self.stops:
            lines.append(f"| of these declared stops | {self.stops} |")
        lines.append(f"| stamps equal to a camera image's | {self.stamps_kept} of {self.stamps_judged} |")
        if lost := self.trajectories - self.stops - self.stamps_judged:
            lines.append(f"| plans whose image the bag may lack | {lost} |")
        lines.append(f"| images recorded | {sum(self.images.values())} on {len(self.images)} topics |")
        if self.explanations:
            text = f"{self.explanations}, {np.median(self.speaking_ms):.0f} ms each (median)"
            lines.append(f"| explanations | {text} |")
            lines.append(f"| of these contradict the plan or the objects | {self.contradicting} |")
        when = "" if self.lockstep else " (each time that the clip starts over)"
        lines.append(f"| memory resets{when} | {self.memory_resets} |")
        if self.degraded:
            lines += [f"| degraded: {reason} | {count} plans |" for reason, count in self.degraded.most_common(5)]
        else:
            lines.append("| degraded | never |")
        return "\n".join(lines) + "\n"


def summarise_run(bag: Path, rate: float = 1.0, *, lockstep: bool = False) -> RunSummary:
    """Reads a bag of the running graph.

    Args:
        bag: as `aln-p3 record` writes it.
        rate: recorded seconds per second; ages are stamped in recorded time.
        lockstep: the world waited for every plan, so that ages are those of arrival at the recorder.

    Raises:
        DataError: when there is no plan in it.
    """
    summary = RunSummary(lockstep=lockstep)
    image_stamps: dict[int, int] = {}  # and when the recorder had the last image of it
    camera_stamps: dict[str, set[int]] = defaultdict(set)
    plan_stamps: list[int] = []
    store: Any = typestore()
    with open_bag(bag) as (reader, _):
        for connection, arrived_ns, raw in read_messages(reader, bag):
            if connection.msgtype in _IMAGE_TYPES and "/view/" not in connection.topic:
                stamp_ns = _nanoseconds(store.deserialize_cdr(raw, connection.msgtype).header.stamp)
                image_stamps[stamp_ns] = arrived_ns
                camera_stamps[connection.topic].add(stamp_ns)
                summary.images[connection.topic] += 1
            elif connection.msgtype == "aln_p3/msg/PlannedTrajectory":
                message: Any = store.deserialize_cdr(raw, connection.msgtype)
                summary.trajectories += 1
                summary.degraded.update(message.degraded_reasons)
                if message.degraded == message.DEGRADED_STOP:
                    summary.stops += 1
                    continue
                plan_stamps.append(_nanoseconds(message.header.stamp))
                if not lockstep:
                    summary.ages_ms.append(_nanoseconds(message.age) * 1e-6 / rate)
                elif plan_stamps[-1] in image_stamps:
                    summary.ages_ms.append((arrived_ns - image_stamps[plan_stamps[-1]]) * 1e-6)
            elif connection.msgtype == "aln_p3/msg/Explanation":
                words: Any = store.deserialize_cdr(raw, connection.msgtype)
                summary.explanations += 1
                summary.contradicting += words.consistency == words.CONTRADICTS
                summary.speaking_ms.append(_nanoseconds(words.latency) * 1e-6)
            elif connection.msgtype == "diagnostic_msgs/msg/DiagnosticArray":
                _read_diagnostics(summary, store.deserialize_cdr(raw, connection.msgtype).status)
    if not summary.trajectories:
        raise DataError(f"{bag} holds no planned trajectory")
    stamps = check_stamps(plan_stamps, list(camera_stamps.values()))
    summary.stamps_kept, summary.stamps_judged = stamps.kept, stamps.judged
    return summary


def drive_table(report: Mapping[str, Any], wall_s: float) -> str:
    """How a drive in the world went, as a table for people.

    Args:
        report: of the drive (`RouteResult.to_json`).
        wall_s: how long it took.
    """
    episode, measures = report["episode"], report["measures"]
    happened = [f"{name.replace('_', ' ')} {count}" for name, count in measures["counts"].items() if count]
    rate = measures["duration_s"] / wall_s if wall_s else 0.0
    rows = (
        ("drive", f"{episode['scenario'].replace('_', ' ')}, {episode['city']}, {episode['condition']}"),
        ("end", measures["status"].replace("_", " ")),
        ("driving score", f"{measures['driving_score']:.1f}"),
        ("route completed", f"{measures['route_completion']:.0f} %"),
        ("outside the road", f"{100 * measures['outside_share']:.0f} % of the way"),
        ("collisions (own fault)", f"{sum(measures['collisions'].values())} ({measures['own_fault_collisions']})"),
        ("what happened", ", ".join(happened) or "nothing"),
        ("distance, mean speed", f"{measures['distance_m']:.0f} m, {3.6 * measures['mean_speed']:.0f} km/h"),
        ("comfort", f"{100 * measures['comfort']:.0f} %"),
        ("time", f"{measures['duration_s']:.1f} s simulated in {wall_s:.0f} s: {rate:.2f} x real time"),
    )
    return "\n".join(["| closed loop | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]) + "\n"


def _read_diagnostics(summary: RunSummary, statuses: Sequence[Any]) -> None:
    for status in statuses:
        if status.name.partition(":")[0] == "explainer_node":
            continue
        part = status.name.rpartition(": ")[2]
        if part == "latency":
            stages = {v.key.removesuffix("_ms"): v.value for v in status.values if v.key.endswith("_ms")}
            stages.pop("age", None)  # in recorded time; the plans themselves tell the wall-clock age below
            if summary.lockstep:
                stages.pop("arrival", None)  # the clock stands meanwhile
            summary.stages_ms = stages or summary.stages_ms
        elif part == "model" and ": " in status.message:
            summary.weights = status.message.partition(": ")[2]
        elif part == "memory":
            summary.memory_resets = int({v.key: v.value for v in status.values}.get("resets", "0"))


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
