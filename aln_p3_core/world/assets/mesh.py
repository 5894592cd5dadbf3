"""`Mesh`: what an actor looks like, in its own frame, and where its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Part(IntEnum):
    """Which part of an actor a vertex belongs to. Limbs swing about their pivot, lamps can shine."""

    BODY = 0
    LEFT_LEG = 1
    RIGHT_LEG = 2
    LEFT_ARM = 3
    RIGHT_ARM = 4
    BRAKE_LAMP = 5
    LEFT_INDICATOR = 6
    RIGHT_INDICATOR = 7
    HEADLAMP = 8
    GLASS = 9
    RIDER = 10


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles of one model. V = vertices, F = faces.

    The frame is the actor's: x forward, y left, z up, m; the origin is the middle of the footprint on the
    ground. Extents equal `Model.size_lwh` at rest, limbs included, a rider included.

    Attributes:
        vertices, normals: [V, 3] float32.
        colors: [V, 3] uint8 sRGB.
        paint: [V] uint8: 255 where the actor's own colour takes the place of `colors`, 0 where not.
        parts: [V] uint8 `Part`.
        pivots: [5, 3] float32: row k is the joint of limb part k (row 0 unused): limbs swing about the y axis.
        faces: [F, 3] uint32, counter-clockwise seen from outside.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    colors: NDArray[np.uint8]
    paint: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    pivots: NDArray[np.float32]
    faces: NDArray[np.uint32]


def box_mesh(size_lwh: tuple[float, float, float]) -> Mesh:
    """A painted box: what is drawn for a model without a mesh of its own."""
    length, width, height = size_lwh
    axes = np.eye(3, dtype=np.float32)
    vertices: list[NDArray[np.float32]] = []
    normals: list[NDArray[np.float32]] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (1.0, -1.0):
            u, v = axes[(axis + 1) % 3], axes[(axis + 2) % 3]
            corners = [sign * axes[axis] + sign * a * u + b * v for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            start = len(vertices)
            vertices += corners
            normals += [sign * axes[axis]] * 4
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    half = np.array([length / 2, width / 2, height / 2])
    count = len(vertices)
    return Mesh(
        vertices=(np.array(vertices) * half + [0, 0, height / 2]).astype(np.float32),
        normals=np.array(normals, np.float32),
        colors=np.full((count, 3), 160, np.uint8),
        paint=np.full(count, 255, np.uint8),
        parts=np.zeros(count, np.uint8),
        pivots=np.zeros((5, 3), np.float32),
        faces=np.array(faces, np.uint32),
    )
