"""What a plan does: its speed profile, how far it turns and how far it goes sideways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import path_headings


@dataclass(frozen=True, eq=False)
class PlanMotion:
    """Motion of a planned path, in the car's own axes (x ahead, y left). T = steps.

    Attributes:
        path: [T + 1, 2] m, the first point is where the car is now.
        headings: [T + 1] rad, the first is 0, left positive.
        speed_now: m/s; from the plan itself where it was not given.
        speeds: [T + 1] m/s in the middle of every step, and at the end.
        length: m along the path.
    """

    path: FloatArray
    headings: FloatArray
    speed_now: float
    speeds: FloatArray
    length: float

    @property
    def turned(self) -> float:
        """Change of heading over the plan, rad, left positive."""
        return float(self.headings[-1])

    @property
    def rise(self) -> float:
        """How much faster than now it gets, m/s, at least 0."""
        return max(0.0, float(self.speeds.max()) - self.speed_now)

    @property
    def fall(self) -> float:
        """How much slower than now it gets, m/s, at least 0."""
        return max(0.0, self.speed_now - float(self.speeds.min()))

    @property
    def sideways(self) -> float:
        """How far the path moves to the left without what a steady bend does, m (to the right: negative).

        The mean of the offset against the heading now and of the offset against the heading at the end: both are
        the same for a change of lanes and cancel out on an arc.
        """
        end = self.path[-1]
        cos, sin = np.cos(self.turned), np.sin(self.turned)
        return float(end[1] + end[1] * cos - end[0] * sin) / 2

    def first_change(self, threshold: float) -> int:
        """1 where the speed first rises by more than the threshold (m/s), -1 where it falls, 0 where it keeps."""
        differences = self.speeds - self.speed_now
        changed = differences[np.abs(differences) > threshold]
        return int(np.sign(changed[0])) if len(changed) else 0


def plan_motion(plan: ArrayLike, speed_now_ms: float | None, step_s: float) -> PlanMotion:
    """Measures a plan.

    Args:
        plan: [T, 2] m in the model frame (x right, y forward), T at least 2.
        speed_now_ms: speed of the car, None where it is not known.
        step_s: seconds between points.
    """
    points = np.asarray(plan, dtype=np.float64)
    path = np.concatenate([np.zeros((1, 2)), np.stack([points[:, 1], -points[:, 0]], axis=1)])
    headings = np.unwrap(np.concatenate([[0.0], path_headings(path)]))
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    middles = lengths / step_s
    if speed_now_ms is None:
        speed_now_ms = float(middles[0] - (middles[1] - middles[0]) / 2)
    end = float(middles[-1] + (middles[-1] - middles[-2]) / 2)
    return PlanMotion(
        path=path,
        headings=headings,
        speed_now=max(0.0, float(speed_now_ms)),
        speeds=np.append(middles, max(0.0, end)),
        length=float(lengths.sum()),
    )
