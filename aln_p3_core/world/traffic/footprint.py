"""Footprints on the ground: oriented rectangles, whether they overlap, and what stands in the way of a path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.ego import EGO_SIZE_LWH, EgoState

EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M = EGO_SIZE_LWH[0] / 2, EGO_SIZE_LWH[1] / 2


def to_box_frame(points: FloatArray, center: FloatArray, heading: FloatArray | float) -> FloatArray:
    """Points [..., 2] in the frame of a box (x along its heading) at `center` [..., 2]."""
    offset = np.asarray(points, dtype=np.float64) - center
    cos, sin = np.cos(heading), np.sin(heading)
    x, y = offset[..., 0], offset[..., 1]
    return np.stack([cos * x + sin * y, -sin * x + cos * y], axis=-1)


def rectangle_corners(center: FloatArray, heading: FloatArray | float, length: object, width: object) -> FloatArray:
    """[..., 4, 2] corners, m: front left, front right, rear right, rear left."""
    center, heading = np.asarray(center, dtype=np.float64), np.asarray(heading, dtype=np.float64)
    x = np.asarray(length, dtype=np.float64)[..., None] / 2 * np.array([1, 1, -1, -1])
    y = np.asarray(width, dtype=np.float64)[..., None] / 2 * np.array([1, -1, -1, 1])
    cos, sin = np.cos(heading)[..., None], np.sin(heading)[..., None]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1) + center[..., None, :]


def boxes_overlap(
    center: FloatArray,
    heading: float,
    size: tuple[float, float],
    centers: FloatArray,
    headings: FloatArray,
    sizes: FloatArray,
) -> NDArray[np.bool_]:
    """[N] whether one rectangle overlaps each of N others: separating axes, exact for rectangles.

    Args:
        center, heading, size: of the one: [2] m, rad, (length, width) m.
        centers, headings, sizes: of the others: [N, 2], [N], [N, 2].
    """
    mine = rectangle_corners(np.asarray(center), heading, size[0], size[1])
    theirs = rectangle_corners(centers, headings, sizes[:, 0], sizes[:, 1])
    apart = _apart(to_box_frame(theirs, np.asarray(center), heading), np.array(size) / 2)
    seen = to_box_frame(mine[None], np.asarray(centers)[:, None], np.asarray(headings)[:, None])
    return ~(apart | _apart(seen, np.asarray(sizes)[:, :2] / 2))


def _apart(corners: FloatArray, half: FloatArray) -> NDArray[np.bool_]:
    """[N] whether corners [N, 4, 2] in a box's frame all lie beyond one of its sides; half [2] or [N, 2]."""
    return ((corners.min(axis=-2) > half) | (corners.max(axis=-2) < -half)).any(axis=-1)


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
    return np.array([EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M])


def ego_overlaps(ego: EgoState, centers: FloatArray, headings: FloatArray, sizes: FloatArray) -> NDArray[np.bool_]:
    """[N] whether the ego's footprint overlaps others': [N, 2] m, [N] rad, [N, 2 or 3] m."""
    return boxes_overlap(ego.center, ego.heading, EGO_SIZE_LWH[:2], centers, headings, np.asarray(sizes)[:, :2])
