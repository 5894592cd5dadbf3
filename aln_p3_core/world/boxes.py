"""Oriented boxes on the ground: do they overlap, where, and when will they?

A box is its middle [2], heading and size (length, width). Everything is vectorised over N boxes against one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.ego import EGO_SIZE_LWH, EgoState

EGO_SIZE_LW = np.array(EGO_SIZE_LWH[:2])


def footprints(centers: FloatArray, headings: FloatArray, sizes_lw: FloatArray) -> FloatArray:
    """Corners [..., 4, 2] of boxes: front left, rear left, rear right, front right (counter-clockwise)."""
    signs = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])
    local = signs * np.asarray(sizes_lw)[..., None, :]
    cos, sin = np.cos(headings)[..., None], np.sin(headings)[..., None]
    x = cos * local[..., 0] - sin * local[..., 1]
    y = sin * local[..., 0] + cos * local[..., 1]
    return np.stack([x, y], axis=-1) + np.asarray(centers)[..., None, :]


def ego_footprint(ego: EgoState, shrink_m: float = 0.0) -> FloatArray:
    """Corners [4, 2] of the ego, each side drawn in by `shrink_m`."""
    return footprints(ego.center, np.asarray(ego.heading), EGO_SIZE_LW - 2 * shrink_m)


def separations(
    center: FloatArray,
    heading: float,
    size_lw: FloatArray,
    centers: FloatArray,
    headings: FloatArray,
    sizes_lw: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of one box against N, along the four axes that can part two boxes (the sides of either).

    Returns:
        axes [N, 4, 2] unit vectors; offsets [N, 4] of the other's middle along them; reach [N, 4], half the two
        extents: the boxes overlap where |offset| < reach along all four (separating axis theorem).
    """
    forward = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    own_forward = np.array([np.cos(heading), np.sin(heading)])
    axes = np.empty((len(centers), 4, 2))
    axes[:, 0], axes[:, 1] = own_forward, (-own_forward[1], own_forward[0])
    axes[:, 2] = forward
    axes[:, 3, 0], axes[:, 3, 1] = -forward[:, 1], forward[:, 0]
    offsets = np.einsum("nad,nd->na", axes, centers - center)
    # Along its own axes a box reaches half its size; along the other's, the size turned by the angle between them.
    turned = np.abs(forward @ own_forward)
    crossed = np.abs(own_forward[0] * forward[:, 1] - own_forward[1] * forward[:, 0])
    reach = np.empty((len(centers), 4))
    length, width = sizes_lw[:, 0], sizes_lw[:, 1]
    reach[:, 0] = size_lw[0] + turned * length + crossed * width
    reach[:, 1] = size_lw[1] + crossed * length + turned * width
    reach[:, 2] = length + turned * size_lw[0] + crossed * size_lw[1]
    reach[:, 3] = width + crossed * size_lw[0] + turned * size_lw[1]
    return axes, offsets, reach / 2


def overlapping(offsets: FloatArray, reach: FloatArray) -> NDArray[np.bool_]:
    """[N] whether boxes overlap, given what `separations` says."""
    return (np.abs(offsets) < reach).all(axis=1)


def time_to_overlap(axes: FloatArray, offsets: FloatArray, reach: FloatArray, velocities: FloatArray) -> FloatArray:
    """[N] seconds until boxes overlap when they go on at relative `velocities` [N, 2] without turning; inf if never.

    Exact: along each axis they overlap during one interval of time, and all four intervals must meet.
    """
    rates = np.einsum("nad,nd->na", axes, velocities)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-reach - offsets) / rates, (reach - offsets) / rates
    still = np.abs(rates) < 1e-9
    inside = np.abs(offsets) < reach
    enter = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(first, second)).max(axis=1)
    leave = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(first, second)).min(axis=1)
    return np.where((enter < leave) & (leave > 0), np.maximum(enter, 0.0), np.inf)


def contact_point(first: FloatArray, second: FloatArray) -> FloatArray:
    """Middle [2] of where two convex outlines [n, 2] overlap; the point halfway between them when they do not."""
    from shapely.geometry import Polygon

    common = Polygon(first).intersection(Polygon(second))
    if common.is_empty:
        return (first.mean(axis=0) + second.mean(axis=0)) / 2
    return np.array([common.centroid.x, common.centroid.y])
