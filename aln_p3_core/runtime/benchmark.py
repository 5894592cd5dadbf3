"""Where the time goes between six pictures and a plan: per-stage percentiles over real runs of the driver.

Several drivers are timed in turns, frame by frame: whatever else the machine does meanwhile slows all of them alike.
"""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from aln_p3_core.device import hardware_card
from aln_p3_core.driver.frame_driver import FrameDriver
from aln_p3_core.frame import DrivingFrame

PERCENTILES = {"p50": 50, "p90": 90, "p99": 99}
# Every other stage is the network's.
_OUTSIDE_THE_NETWORK = ("decode", "resize", "upload", "scene")


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """Milliseconds per stage and in total, and what they were measured with.

    Attributes:
        stages_ms: stage -> {"p50", "p90", "p99"}, in the order of the pipeline.
        total_ms: the same for the whole way from encoded pictures to the decoded scene.
        peak_memory_mb: of the process (CPU) or of the tensors (CUDA).
        frames: measured frames.
        card: hardware, dtype, recipe, seed, commit.
    """

    stages_ms: dict[str, dict[str, float]]
    total_ms: dict[str, float]
    peak_memory_mb: float
    frames: int
    card: dict[str, Any]

    @property
    def network_ms(self) -> float:
        """Medians of the network's own stages together."""
        return sum(row["p50"] for name, row in self.stages_ms.items() if name not in _OUTSIDE_THE_NETWORK)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {
            "total_ms": self.total_ms,
            "stages_ms": self.stages_ms,
            "peak_memory_mb": self.peak_memory_mb,
            "frames": self.frames,
            **self.card,
        }

    def table(self) -> str:
        """Plain text table."""
        width = max(len(name) for name in self.stages_ms)
        lines = [f"{'stage':<{width}}  {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8}"]
        for name, row in {**self.stages_ms, "total": self.total_ms}.items():
            lines.append(f"{name:<{width}}  {row['p50']:8.1f} {row['p90']:8.1f} {row['p99']:8.1f}")
        lines.append(f"{1000 / self.total_ms['p50']:.1f} Hz at the median, peak memory {self.peak_memory_mb:.0f} MB")
        return "\n".join(lines)


def run_benchmarks(
    drivers: Mapping[str, FrameDriver],
    frames: Sequence[DrivingFrame],
    *,
    count: int,
    warm_up: int,
    seed: int = 0,
    on_frame: Callable[[], object] = lambda: None,
) -> dict[str, BenchmarkResult]:
    """Drives every driver through `warm_up` + `count` frames, cycling through `frames`.

    Frames are restamped to follow each other at the memory's trained interval, so that the temporal path is
    measured even with a single frame. `on_frame` is called after each frame (a progress bar).
    """
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in drivers}
    for driver in drivers.values():
        driver.warm_up()
    for index in range(warm_up + count):
        for name, driver in drivers.items():
            interval_ns = round(driver.config.memory.interval_s * 1e9)
            frame = _at(frames[index % len(frames)], frames[0].reference_stamp_ns + index * interval_ns)
            started = time.perf_counter()
            inference = driver.infer(frame)
            inferred = time.perf_counter()
            driver.scene(inference)
            done = time.perf_counter()
            if index >= warm_up:
                total = {"total": (done - started) * 1e3}
                samples[name].append({**inference.timings_ms, "scene": (done - inferred) * 1e3, **total})
            on_frame()
    return {name: _result(driver, samples[name], frames[0], seed) for name, driver in drivers.items()}


def comparison_table(results: Mapping[str, BenchmarkResult]) -> str:
    """Plain text table: a row for each runtime, all compared with the first."""
    width = max(len(name) for name in ("runtime", *results))
    lines = [
        f"{'runtime':<{width}}  precision  {'network ms':>10}  {'total p50':>9}  {'p90':>7}  {'p99':>7}  "
        f"{'Hz':>5}  ratio"
    ]
    first = next(iter(results.values())).total_ms["p50"]
    for name, result in results.items():
        total = result.total_ms
        lines.append(
            f"{name:<{width}}  {result.card['precision']:<9}  {result.network_ms:10.1f}  {total['p50']:9.1f}  "
            f"{total['p90']:7.1f}  {total['p99']:7.1f}  {1000 / total['p50']:5.1f}  {total['p50'] / first:5.2f}"
        )
    return "\n".join(lines)


def _result(driver: FrameDriver, samples: list[dict[str, float]], frame: DrivingFrame, seed: int) -> BenchmarkResult:
    stages = {name: _percentiles([sample[name] for sample in samples]) for name in samples[0]}
    total_ms = stages.pop("total")
    first = next(iter(frame.views.values())).calibration
    card = {
        "recipe": driver.config.name,
        "weights": driver.description,
        "checkpoint_hash": driver.checkpoint_hash,
        "cameras": len(driver.config.cameras),
        "camera_image": [first.width, first.height],
        "network_input": [driver.config.image.width, driver.config.image.height],
        "precision": driver.precision,
        "batch": 1,
        "seed": seed,
        **hardware_card(driver.device),
    }
    return BenchmarkResult(stages, total_ms, _peak_memory_mb(driver.device), len(samples), card)


def _at(frame: DrivingFrame, stamp_ns: int) -> DrivingFrame:
    """The same frame at another time."""
    shift_ns = stamp_ns - frame.reference_stamp_ns
    return dataclasses.replace(
        frame,
        reference_stamp_ns=stamp_ns,
        views={n: dataclasses.replace(v, stamp_ns=v.stamp_ns + shift_ns) for n, v in frame.views.items()},
        past_poses=(),
    )


def _percentiles(values: list[float]) -> dict[str, float]:
    return {name: round(float(np.percentile(values, q)), 3) for name, q in PERCENTILES.items()}


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
