"""Geometry of what is drawn on the ground: smooth paths, ribbons, height of the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aln_p3_core.geometry import FloatArray

#: A compact car about its rear axle (nuScenes' ego origin): rear end, front end, width, metres.
EGO_FOOTPRINT = (-0.75, 3.33, 1.85)


def on_ground(points_model: ArrayLike, T_ego_model: ArrayLike) -> FloatArray:
    """Lifts points [..., 2] of the model frame to the ground: [..., 3] in the model frame.

    The ground is the plane z = 0 of the ego frame. A LiDAR that leans by one degree would otherwise put
    the road half a metre wrong at 30 m.
    """
    points = np.asarray(points_model, dtype=np.float64)[..., :2]
    T = np.asarray(T_ego_model, dtype=np.float64)
    z = -(points @ T[2, :2] + T[2, 3]) / T[2, 2]
    return np.concatenate([points, z[..., None]], axis=-1)


def smooth_path(points: ArrayLike, per_segment: int = 6) -> FloatArray:
    """A Catmull-Rom curve through points [n, 2], with `per_segment` steps between neighbours."""
    points = np.asarray(points, dtype=np.float64)
    if len(points) < 3:
        return points
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    before, start, end, after = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = (np.arange(per_segment) / per_segment)[:, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def ribbon_sides(path: ArrayLike, width: float) -> tuple[FloatArray, FloatArray]:
    """Left and right side, [n, 2] each, of a band of that width along a path [n, 2].

    Where the path stands still, the side keeps the direction it had: a car that stops does not twist.
    """
    path = np.asarray(path, dtype=np.float64)
    direction = np.gradient(path, axis=0)
    length = np.linalg.norm(direction, axis=1)
    current = np.array([0.0, 1.0])
    for index, moved in enumerate(length):
        if moved > 1e-2:
            current = direction[index] / moved
        direction[index] = current
    normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1) * width / 2
    return path + normal, path - normal
