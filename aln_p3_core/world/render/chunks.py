"""Static triangles sorted into chunks, so that each camera draws only what it may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.render.camera import PlacedCamera
from aln_p3_core.world.render.triangulate import chunk_of

#: One vertex of a flat or upright surface. `uv` are tiles of its texture, `layer` the texture's, `tint` sRGB and one
#: free byte (opacity of paint, chance of a building).
SURFACE = np.dtype(
    [("position", "f4", 3), ("normal", "f4", 3), ("uv", "f4", 2), ("layer", "f4"), ("tint", "u1", 4)], align=False
)
#: How moderngl reads `SURFACE`.
SURFACE_FORMAT = "3f 3f 2f 1f 4f1"
SURFACE_NAMES = ("in_position", "in_normal", "in_uv", "in_layer", "in_tint")


@dataclass(frozen=True, eq=False)
class Chunks:
    """Triangles in the order of their chunks.

    Attributes:
        vertices: [3 T] `SURFACE`.
        first, count: [K] range of each chunk's vertices.
        centers: [K, 3], radii: [K] spheres around them, m.
    """

    vertices: NDArray[np.void]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    centers: FloatArray
    radii: FloatArray

    def commands(self, camera: PlacedCamera, reach_m: float) -> NDArray[np.uint32]:
        """[D, 5] indirect draws of the chunks that a camera may see, nearest first."""
        seen, distance = camera.sees(self.centers, self.radii, reach_m)
        rows = np.flatnonzero(seen)
        return self._draws(rows[np.argsort(distance[rows] - self.radii[rows], kind="stable")])

    def commands_near(self, xy: FloatArray, reach_m: float) -> NDArray[np.uint32]:
        """[D, 5] indirect draws of the chunks that come within `reach_m` of a place [2]."""
        distance = np.hypot(*(self.centers[:, :2] - xy[:2]).T)
        return self._draws(np.flatnonzero(distance - self.radii < reach_m))

    def _draws(self, rows: NDArray[np.int64]) -> NDArray[np.uint32]:
        draws = np.zeros((len(rows), 5), np.uint32)
        draws[:, 0], draws[:, 1], draws[:, 2] = self.count[rows], 1, self.first[rows]
        return draws


def pack_chunks(parts: Sequence[NDArray[np.void]]) -> Chunks:
    """Sorts triangles ([3 T] `SURFACE` each) into chunks; within a chunk their order stays."""
    vertices = np.concatenate([np.zeros(0, SURFACE), *parts])
    if not len(vertices):
        nothing = np.zeros(0, np.int64)
        return Chunks(vertices, nothing, nothing, np.zeros((0, 3)), np.zeros(0))
    triangles = vertices.reshape(-1, 3)
    cells = chunk_of(triangles["position"].mean(axis=1))
    _, group = np.unique(cells, axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    triangles = triangles[order]
    count = np.bincount(group)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    points = triangles["position"].astype(np.float64)
    low = np.minimum.reduceat(points.min(axis=1), first)
    high = np.maximum.reduceat(points.max(axis=1), first)
    return Chunks(triangles.reshape(-1), first * 3, count * 3, (low + high) / 2, np.linalg.norm(high - low, axis=1) / 2)


def surface(
    position: FloatArray,
    *,
    layer: int,
    uv: FloatArray,
    normal: Sequence[float] | FloatArray = (0.0, 0.0, 1.0),
    tint: Sequence[int] | NDArray[np.uint8] = (255, 255, 255, 255),
) -> NDArray[np.void]:
    """Vertices of triangles [T, 3, 3], flat: [3 T] `SURFACE`. The rest is broadcast to [T, 3, ...]."""
    vertices = np.zeros(position.shape[:2], SURFACE)
    vertices["position"] = position
    vertices["normal"] = normal
    vertices["uv"] = uv
    vertices["layer"] = layer
    vertices["tint"] = tint
    return vertices.reshape(-1)
