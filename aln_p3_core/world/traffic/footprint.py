"""What stands in the way of somebody: the ego's footprint, and the first obstacle along a path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.boxes import EGO_SIZE_LW, overlapping, separations
from aln_p3_core.world.ego import EgoState


def to_box_frame(points: FloatArray, center: FloatArray, heading: FloatArray | float) -> FloatArray:
    """Points [..., 2] in the frame of a box (x along its heading) at `center` [..., 2]."""
    offset = np.asarray(points, dtype=np.float64) - center
    cos, sin = np.cos(heading), np.sin(heading)
    x, y = offset[..., 0], offset[..., 1]
    return np.stack([cos * x + sin * y, -sin * x + cos * y], axis=-1)


def first_blocked(
    path: FloatArray, distances: FloatArray, half_width: float, center: FloatArray, heading: float, half: FloatArray
) -> float:
    """How far along a path a body of some half width comes before its front touches a rectangle; inf when never.

    Args:
        path: [P, 2] places of the body's front, m.
        distances: [P] m along the path.
        half_width: of the body, m.
        center, heading, half: of the rectangle: [2] m, rad, [2] half length and half width, m.
    """
    offset = np.abs(to_box_frame(path, center, heading))
    inside = np.flatnonzero((offset <= half + half_width).all(axis=-1))
    return float(distances[inside[0]]) if len(inside) else float("inf")


def ego_half() -> FloatArray:
    """[2] half length and half width of the ego, m."""
    return EGO_SIZE_LW / 2


def ego_overlaps(ego: EgoState, centers: FloatArray, headings: FloatArray, sizes: FloatArray) -> NDArray[np.bool_]:
    """[N] whether the ego's footprint overlaps others': [N, 2] m, [N] rad, [N, 2 or 3] m."""
    _, offsets, reach = separations(
        ego.center, ego.heading, EGO_SIZE_LW, np.asarray(centers), np.asarray(headings), np.asarray(sizes)[:, :2]
    )
    return overlapping(offsets, reach)
