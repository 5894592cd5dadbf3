"""The last plan's path, to brake along while it still says where the vehicle goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray, invert_transform, transform_points

# A plan older than this no longer says where to brake along.
_MAX_AGE_NS = 3_000_000_000
# A vehicle farther from its plan does not follow it, and must not be led across to it while it brakes.
_MAX_DISTANCE_M = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class BrakingPath:
    """A planned path, fixed to the ground.

    Attributes:
        points: [T, 2] m, in base_link as it stood at `stamp_ns`, in driving order.
        T_ground_base: 4x4 pose of base_link then, in a frame fixed to the ground.
        stamp_ns: the plan's.
    """

    points: FloatArray
    T_ground_base: FloatArray
    stamp_ns: int

    def ahead(self, T_ground_now: FloatArray, stamp_ns: int) -> FloatArray | None:
        """[T, 2] the path in base_link as it stands now; None where it is too old, of a time to come, or not where
        the vehicle is.

        Args:
            T_ground_now: 4x4 pose of base_link, in the same frame as `T_ground_base`. stamp_ns: of that pose.
        """
        if not 0 <= stamp_ns - self.stamp_ns <= _MAX_AGE_NS or len(self.points) == 0:
            return None
        from_start = np.concatenate([np.zeros((1, 2)), self.points])
        level = np.column_stack([from_start, np.zeros(len(from_start))])
        path = transform_points(invert_transform(T_ground_now) @ self.T_ground_base, level)[:, :2]
        return path[1:] if _distance_from_origin(path) <= _MAX_DISTANCE_M else None


def _distance_from_origin(path: FloatArray) -> float:
    """m, to the nearest point of a polyline [n, 2]; NaN for a path that holds one."""
    starts, steps = path[:-1], np.diff(path, axis=0)
    squares = np.maximum((steps**2).sum(axis=1), 1e-12)
    along = np.clip(-(starts * steps).sum(axis=1) / squares, 0.0, 1.0)
    return float(np.hypot(*(starts + along[:, None] * steps).T).min())
