"""The shadow map: what the sun sees of the street around the ego."""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import FloatArray

#: Half the side of the square (seen along the light) that has shadows, and half its depth, m.
REACH_M = 80.0
DEPTH_M = 160.0
_STEP_M = 16.0


def map_middle(xy: FloatArray) -> FloatArray:
    """[2] middle of the map for an ego at `xy`: it moves in large steps, so that what stands still is drawn seldom."""
    return np.round(np.asarray(xy) / _STEP_M) * _STEP_M


def shadow_transform(sun_direction: FloatArray, xy: FloatArray, size: int) -> FloatArray:
    """4x4, world frame to the shadow map's coordinates (0..1 in all three).

    The map lies on whole texels, so that shadows do not shimmer as it moves.

    Args:
        sun_direction: [3] unit vector towards the sun.
        xy: [2] middle of the map.
        size: texels along a side.
    """
    backward = np.asarray(sun_direction)
    side = np.cross([0.0, 0.0, 1.0], backward)
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(backward, side), -backward])
    middle = rotation @ np.array([xy[0], xy[1], 0.0])
    texel = 2 * REACH_M / size
    middle[:2] = np.round(middle[:2] / texel) * texel
    half = np.array([REACH_M, REACH_M, DEPTH_M])
    transform = np.eye(4)
    transform[:3, :3] = rotation / (2 * half[:, None])
    transform[:3, 3] = 0.5 - middle / (2 * half)
    return transform
