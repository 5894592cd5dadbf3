"""Flat polygons cut into chunks of a grid and into triangles."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from aln_p3_core.geometry import FloatArray

#: Side of the squares that the static world is cut into, m.
CHUNK_M = 40.0
_SMALLEST_M2 = 1e-3


def chunk_of(points: FloatArray) -> NDArray[np.int64]:
    """[N, 2] column and row of the chunk that each place [N, 2+] is in."""
    return np.floor(np.asarray(points)[:, :2] / CHUNK_M).astype(np.int64)


def triangulate_in_chunks(area: BaseGeometry) -> FloatArray:
    """Triangles [T, 3, 2] that cover an area, counter-clockwise; none reaches over the border of a chunk."""
    area = shapely.make_valid(shapely.simplify(area, 0.02))
    pieces = [piece for cell in _cells(area) for piece in _polygons(shapely.intersection(area, cell))]
    triangles = _triangulate(np.array(pieces, dtype=object)) if pieces else []
    if not triangles:
        return np.zeros((0, 3, 2))
    corners = np.concatenate(triangles)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    turned = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]) < 0
    corners[turned] = corners[turned][:, ::-1]
    return corners


def _cells(area: BaseGeometry) -> list[BaseGeometry]:
    """Squares of the chunk grid that the area reaches into."""
    if area.is_empty:
        return []
    low, high = chunk_of(np.array(area.bounds).reshape(2, 2))
    x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
    x, y = x.ravel() * CHUNK_M, y.ravel() * CHUNK_M
    cells = shapely.box(x, y, x + CHUNK_M, y + CHUNK_M)
    shapely.prepare(area)
    return list(cells[shapely.intersects(area, cells)])


def _polygons(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Its polygons that have an area worth drawing."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return [p for p in parts if p.geom_type == "Polygon" and p.area > _SMALLEST_M2]


def _triangulate(pieces: NDArray[np.object_]) -> list[FloatArray]:
    """Delaunay triangles of each piece, cut to it; what the cut leaves over is triangulated again."""
    done: list[FloatArray] = []
    for _ in range(6):
        if not len(pieces):
            break
        triangles, owner = shapely.get_parts(shapely.delaunay_triangles(pieces), return_index=True)
        inside = shapely.intersection(triangles, pieces[owner])
        area, whole = shapely.area(inside), shapely.area(triangles)
        kept = (area > whole * (1 - 1e-6)) & (area > 0)
        if kept.any():
            done.append(shapely.get_coordinates(triangles[kept]).reshape(-1, 4, 2)[:, :3])
        rest = inside[~kept & (area > _SMALLEST_M2)]
        pieces = np.array([p for g in rest for p in _polygons(g)], dtype=object)
    return done
