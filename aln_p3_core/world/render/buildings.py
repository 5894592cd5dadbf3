"""Buildings as triangles: walls with floors of windows, a street floor, a flat roof with a parapet."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, box_corners
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.render.chunks import Chunks, pack_chunks, surface
from aln_p3_core.world.render.textures import FACADE_BAYS, FACADE_FLOORS, FACADE_STYLES

_STREET_FLOOR_M = 3.8
_FLOOR_M = 3.1
_BAY_M = 3.0
_GLASS_FRONT_FROM_M = 22.0
#: Paints of walls, sRGB.
_PAINTS = np.array(
    [
        (196, 178, 150), (181, 152, 122), (152, 106, 90), (138, 96, 82), (205, 199, 186), (176, 176, 172),
        (214, 203, 170), (142, 138, 132), (176, 142, 114), (168, 176, 178), (222, 214, 200), (128, 104, 88),
    ]
)  # fmt: skip
#: Layer that means: no windows.
PLAIN = -1


@lru_cache(maxsize=8)
def building_chunks(scenery: Scenery) -> Chunks:
    """All buildings of a city."""
    parts = []
    for row, (x, y, heading, length, width, height) in enumerate(scenery.buildings):
        rng = np.random.default_rng([scenery.seed, 3, row])
        parts += _building(rng, np.array([x, y]), heading, np.array([length, width]), height)
    return pack_chunks(parts)


def _building(
    rng: np.random.Generator, middle: FloatArray, heading: float, size: FloatArray, height: float
) -> list[NDArray[np.void]]:
    glass = height > _GLASS_FRONT_FROM_M and rng.random() < 0.6
    style = int(rng.integers(FACADE_STYLES - 2, FACADE_STYLES) if glass else rng.integers(0, FACADE_STYLES - 2))
    paint = _PAINTS[rng.integers(len(_PAINTS))] * rng.uniform(0.85, 1.08)
    tint = np.array([*np.clip(paint, 0, 255), rng.integers(256)]).astype(np.uint8)
    corners = box_corners([*middle, 0.5], [*size, 1.0], heading)
    # The footprint, counter-clockwise from the front right corner.
    ring = corners[[2, 3, 7, 6], :2]
    split = min(_STREET_FLOOR_M, height)
    parts = []
    for k in range(4):
        a, b = ring[k], ring[(k + 1) % 4]
        span = float(np.linalg.norm(b - a))
        bays = max(1, round(span / _BAY_M)) / FACADE_BAYS
        normal = np.array([b[1] - a[1], a[0] - b[0], 0.0]) / max(span, 1e-9)
        shift = int(rng.integers(FACADE_BAYS)) / FACADE_BAYS
        parts.append(_wall(a, b, 0.0, split, (shift, shift + bays, 0.0, 1.0), style + FACADE_STYLES, normal, tint))
        if height > split + 1.0:
            floors = max(1, round((height - split) / _FLOOR_M)) / FACADE_FLOORS
            parts.append(_wall(a, b, split, height, (shift, shift + bays, 0.0, floors), style, normal, tint))
    top = np.concatenate([ring, np.full((4, 1), height)], axis=1)
    dark = np.array([*(np.array([96, 94, 92]) * rng.uniform(0.8, 1.2)), 0]).astype(np.uint8)
    parts.append(surface(np.stack([top[[0, 1, 2]], top[[0, 2, 3]]]), layer=PLAIN, uv=np.zeros(2), tint=dark))
    return parts


def _wall(
    a: FloatArray,
    b: FloatArray,
    low: float,
    high: float,
    uv: tuple[float, float, float, float],
    layer: int,
    normal: FloatArray,
    tint: NDArray[np.uint8],
) -> NDArray[np.void]:
    """An upright rectangle from a to b (seen from outside: left to right), with texture tiles u0, u1, v0, v1."""
    u0, u1, v0, v1 = uv
    corners = np.array([[*a, low], [*b, low], [*b, high], [*a, high]])
    tiles = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
    rows = np.array([[0, 1, 2], [0, 2, 3]])
    return surface(corners[rows], layer=layer, uv=tiles[rows], normal=normal, tint=tint)
