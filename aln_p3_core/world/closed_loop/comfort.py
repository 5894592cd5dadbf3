"""Comfort: is the ride smooth? nuPlan's six limits, evaluated as Bench2Drive does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.ego import EgoState

#: Limits of nuPlan: name -> least and greatest value, SI units.
LIMITS: dict[str, tuple[float, float]] = {
    "longitudinal_acceleration": (-4.05, 2.40),
    "lateral_acceleration": (-4.89, 4.89),
    "jerk": (0.0, 8.37),
    "longitudinal_jerk": (-4.13, 4.13),
    "yaw_rate": (-0.95, 0.95),
    "yaw_acceleration": (-1.93, 1.93),
}
SAMPLE_S = 0.1
#: Samples of a segment, and of the window of the filter (Savitzky and Golay, second order).
SEGMENT = 20
WINDOW = 7


@dataclass(frozen=True, slots=True)
class Comfort:
    """Shares of two-second segments, 0..1: in all limits, and by limit. `segments` is how many there were."""

    share: float
    by_limit: dict[str, float]
    segments: int


def comfort_of(egos: Sequence[EgoState], step_s: float) -> Comfort:
    """Comfort of a drive given as states every `step_s`.

    Accelerations and yaw rate are sampled at 10 Hz and smoothed by a quadratic over seven samples, whose slope is
    the jerk (the car's own steps of acceleration are no jerk that anybody feels). A segment of two seconds is
    comfortable when nothing in it exceeds a limit. A drive shorter than a segment is one segment.
    """
    every = max(1, round(SAMPLE_S / step_s))
    speed = np.array([ego.speed for ego in egos])[::every]
    yaw_rate = np.array([ego.yaw_rate for ego in egos])[::every]
    acceleration = np.array([ego.acceleration for ego in egos])[::every]
    if len(speed) < WINDOW:
        return Comfort(1.0, dict.fromkeys(LIMITS, 1.0), 0)
    lateral = speed * yaw_rate
    along, along_slope = _smooth(acceleration)
    across, across_slope = _smooth(lateral)
    turning, turning_slope = _smooth(yaw_rate)
    values = {
        "longitudinal_acceleration": along,
        "lateral_acceleration": across,
        "jerk": np.hypot(along_slope, across_slope),
        "longitudinal_jerk": along_slope,
        "yaw_rate": turning,
        "yaw_acceleration": turning_slope,
    }
    count = max(1, len(speed) // SEGMENT)
    within = {}
    for name, series in values.items():
        low, high = LIMITS[name]
        inside = (series >= low) & (series <= high)
        within[name] = np.array([part.all() for part in np.array_split(inside[: count * SEGMENT], count)])
    everything = np.logical_and.reduce(list(within.values()))
    return Comfort(float(everything.mean()), {name: float(ok.mean()) for name, ok in within.items()}, count)


def _smooth(series: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Value and slope (per second) of the least-squares quadratic around every sample; ends are held."""
    half = WINDOW // 2
    offsets = np.arange(-half, half + 1)
    weights = np.linalg.pinv(np.stack([np.ones(WINDOW), offsets, offsets**2], axis=1))
    padded = np.pad(series, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)
    return windows @ weights[0], windows @ weights[1] / SAMPLE_S
