"""Where the time goes between six pictures and a plan: per-stage percentiles over real runs of the driver."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from aln_p3_core.driver.driver import Driver
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.runtime.device import hardware_card

PERCENTILES = {"p50": 50, "p90": 90, "p99": 99}


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


def run_benchmark(
    driver: Driver,
    frames: Sequence[DrivingFrame],
    *,
    count: int,
    warm_up: int,
    seed: int = 0,
    on_frame: Callable[[], object] = lambda: None,
) -> BenchmarkResult:
    """Drives `warm_up` + `count` frames, cycling through `frames`.

    Frames are restamped to follow each other at the memory's trained interval, so that the temporal path is
    measured even with a single frame. `on_frame` is called after each frame (a progress bar).
    """
    interval_ns = round(driver.config.memory.interval_s * 1e9)
    driver.warm_up()
    samples: list[dict[str, float]] = []
    for index in range(warm_up + count):
        frame = _at(frames[index % len(frames)], frames[0].reference_stamp_ns + index * interval_ns)
        started = time.perf_counter()
        inference = driver.infer(frame)
        inferred = time.perf_counter()
        driver.scene(inference)
        done = time.perf_counter()
        if index >= warm_up:
            total = {"total": (done - started) * 1e3}
            samples.append({**inference.timings_ms, "scene": (done - inferred) * 1e3, **total})
        on_frame()
    stages = {name: _percentiles([sample[name] for sample in samples]) for name in samples[0]}
    total_ms = stages.pop("total")
    first = next(iter(frames[0].views.values())).calibration
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
