"""The ground of a city as triangles: road, pavements, kerbs, and everything that is painted on them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Polygon

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap, Lane
from aln_p3_core.world.city.lines import arc_lengths, points_at
from aln_p3_core.world.render.chunks import Chunks, pack_chunks, surface
from aln_p3_core.world.render.textures import TILE_M, Material
from aln_p3_core.world.render.triangulate import triangulate_in_chunks

_WHITE = (235, 235, 232, 255)
_YELLOW = (226, 176, 52, 255)
_LINE_M = 0.14
_DASH_M, _GAP_M = 3.0, 5.0
_STRIPE_M = 0.5
_KERB_M, _KERB_HEIGHT_M = 0.16, 0.07
#: Paint lies this far above the road, m: only so that the depth test keeps them apart.
_PAINT_Z = 0.006


@lru_cache(maxsize=8)
def ground_base(city: CityMap) -> Chunks:
    """Road and pavements: they do not overlap."""
    road = triangulate_in_chunks(city.drivable)
    paths = shapely.union_all([Polygon(w).buffer(0) for w in city.walkways if len(w) >= 3])
    walk = triangulate_in_chunks(shapely.difference(paths, city.drivable))
    kerb = _kerbs(city, paths)
    return pack_chunks(
        [_flat(road, Material.ASPHALT, 0.0), _flat(walk, Material.PAVEMENT, 0.0), *([kerb] if len(kerb) else [])]
    )


@lru_cache(maxsize=8)
def ground_paint(city: CityMap) -> Chunks:
    """Lines and zebra crossings, a few millimetres above the road."""
    parts = [*_divider_paint(city), *_edge_paint(city), *_stop_lines(city)]
    parts += [_flat(t, Material.PAINT, _PAINT_Z, _WHITE) for t in _zebra_stripes(city)]
    return pack_chunks(parts)


def ribbon(points: FloatArray, width: float) -> FloatArray:
    """Triangles [2 (P - 1), 3, 2] of a band along a line [P, 2], mitred at its corners."""
    if len(points) < 2:
        return np.zeros((0, 3, 2))
    direction = np.diff(points, axis=0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    before, after = np.vstack([normal[:1], normal]), np.vstack([normal, normal[-1:]])
    miter = before + after
    miter /= np.maximum((miter * after).sum(axis=1, keepdims=True), 0.3)
    left, right = points + miter * width / 2, points - miter * width / 2
    first = np.stack([right[:-1], right[1:], left[1:]], axis=1)
    second = np.stack([right[:-1], left[1:], left[:-1]], axis=1)
    return np.stack([first, second], axis=1).reshape(-1, 3, 2)


def dashes(points: FloatArray, on_m: float, off_m: float) -> Iterable[FloatArray]:
    """The pieces [P, 2] of a line that are painted when it is dashed."""
    s = arc_lengths(points)
    for start in np.arange(off_m / 2, s[-1] - on_m / 2, on_m + off_m):
        yield _piece(points, s, start, min(start + on_m, s[-1]))


def _piece(points: FloatArray, s: FloatArray, start: float, end: float) -> FloatArray:
    """A line between two arc lengths."""
    inner = s[(s > start + 1e-6) & (s < end - 1e-6)]
    at = np.concatenate([[start], inner, [end]])
    return points_at(points, at)


def _in_pieces(points: FloatArray, longest_m: float = 15.0) -> FloatArray:
    """The same line with a point at least every `longest_m`, so that its parts fall into their chunks."""
    s = arc_lengths(points)
    extra = np.arange(longest_m, s[-1], longest_m)
    at = np.unique(np.concatenate([s, extra]))
    return points_at(points, at)


def _flat(
    triangles: FloatArray, material: Material, z: float, tint: tuple[int, int, int, int] = (255, 255, 255, 255)
) -> NDArray[np.void]:
    position = np.concatenate([triangles, np.full((*triangles.shape[:2], 1), z)], axis=2)
    return surface(position, layer=int(material), uv=triangles / TILE_M[material], tint=tint)


def _divider_paint(city: CityMap) -> list[NDArray[np.void]]:
    parts = []
    for divider in city.dividers:
        points = np.asarray(divider.points, dtype=np.float64)
        if len(points) < 2 or arc_lengths(points)[-1] < 0.5:
            continue
        if divider.is_road_divider:
            parts.append(_flat(ribbon(_in_pieces(points), _LINE_M), Material.PAINT, _PAINT_Z, _YELLOW))
        else:
            for dash in dashes(points, _DASH_M, _GAP_M):
                parts.append(_flat(ribbon(dash, _LINE_M), Material.PAINT, _PAINT_Z, _WHITE))
    return parts


def _edge_paint(city: CityMap) -> list[NDArray[np.void]]:
    """A solid line along the outer edge of every road's outermost lane."""
    parts = []
    for lane in city.lanes:
        outer = lane.left if city.drives_on_left else lane.right
        if lane.is_connector or outer >= 0:
            continue
        line = _offset(lane, (lane.width / 2 - 0.3) * (1 if city.drives_on_left else -1))
        if len(line) >= 2:
            parts.append(_flat(ribbon(_in_pieces(line), 0.12), Material.PAINT, _PAINT_Z, _WHITE))
    return parts


def _offset(lane: Lane, lateral: float) -> FloatArray:
    """The lane's middle moved to its left by `lateral` m."""
    line = LineString(lane.centerline).offset_curve(lateral)
    return np.asarray(line.coords) if line.geom_type == "LineString" else np.zeros((0, 2))


def _stop_lines(city: CityMap) -> list[NDArray[np.void]]:
    lines = {np.asarray(s.stop_line).round(2).tobytes(): np.asarray(s.stop_line) for s in city.signals}
    return [_flat(ribbon(line, 0.4), Material.PAINT, _PAINT_Z, _WHITE) for line in lines.values()]


def _zebra_stripes(city: CityMap) -> list[FloatArray]:
    """Bars across each crossing, parallel to the traffic that it crosses."""
    stripes = []
    for outline in city.crossings:
        area = Polygon(outline).buffer(0)
        if area.is_empty or area.area < 1.0:
            continue
        along = _walking_direction(city, area)
        across = np.array([-along[1], along[0]])
        middle = np.asarray(area.centroid.coords[0])
        reach = (
            float(np.abs((np.asarray(area.exterior.coords) - middle) @ along).max())
            if hasattr(area, "exterior")
            else 30.0
        )
        starts = np.arange(-reach + _STRIPE_M / 2, reach - _STRIPE_M / 2, 2 * _STRIPE_M)
        for start in starts:
            a, b = middle + start * along, middle + (start + _STRIPE_M) * along
            bar = Polygon([a - 20 * across, b - 20 * across, b + 20 * across, a + 20 * across])
            for piece in shapely.get_parts(shapely.intersection(bar, area)):
                if piece.geom_type == "Polygon" and piece.area > 0.05:
                    ring = np.asarray(shapely.convex_hull(piece).exterior.coords)[:-1][::-1]
                    if not shapely.is_ccw(shapely.linearrings(ring)):
                        ring = ring[::-1]
                    stripes.append(np.stack([np.broadcast_to(ring[0], (len(ring) - 2, 2)), ring[1:-1], ring[2:]], 1))
    return stripes


def _walking_direction(city: CityMap, area: Polygon) -> FloatArray:
    """Unit vector across the road that a crossing leads over: square to the lanes there, else its long side."""
    middle = np.asarray(area.centroid.coords[0])
    for index in city.lanes_near(middle, 6.0):
        line = np.asarray(city.lanes[index].centerline)
        if not LineString(line).intersects(area):
            continue
        nearest = int(((line - middle) ** 2).sum(axis=1).argmin())
        tangent = line[min(nearest + 1, len(line) - 1)] - line[max(nearest - 1, 0)]
        tangent = tangent / max(float(np.linalg.norm(tangent)), 1e-9)
        return np.array([-tangent[1], tangent[0]])
    box = np.asarray(area.minimum_rotated_rectangle.exterior.coords)
    sides = np.diff(box[:3], axis=0)
    side = sides[int(np.linalg.norm(sides, axis=1).argmax())]
    return side / np.linalg.norm(side)


def _kerbs(city: CityMap, paths: shapely.Geometry) -> NDArray[np.void]:
    """Low stones between road and pavement, with gaps where a crossing is."""
    if paths.is_empty:
        return surface(np.zeros((0, 3, 3)), layer=0, uv=np.zeros((0, 3, 2)))
    edge = shapely.intersection(city.drivable.boundary, paths.buffer(0.3))
    openings = [Polygon(c).buffer(0.6) for c in city.crossings if len(c) >= 3]
    if openings:
        edge = shapely.difference(edge, shapely.union_all(openings))
    edge = shapely.line_merge(edge) if edge.geom_type == "MultiLineString" else edge
    parts = []
    for line in shapely.get_parts(edge):
        if line.geom_type != "LineString" or line.length < 0.5:
            continue
        parts.append(_kerb(_in_pieces(np.asarray(line.simplify(0.03).coords))))
    return np.concatenate(parts) if parts else surface(np.zeros((0, 3, 3)), layer=0, uv=np.zeros((0, 3, 2)))


def _kerb(points: FloatArray) -> NDArray[np.void]:
    """Top and both sides of a kerb stone along a line."""
    top = ribbon(points, _KERB_M)
    raised = np.concatenate([top, np.full((*top.shape[:2], 1), _KERB_HEIGHT_M)], axis=2)
    tint = (205, 203, 198, 255)
    parts = [surface(raised, layer=int(Material.CONCRETE), uv=top / TILE_M[Material.CONCRETE], tint=tint)]
    corners = raised.reshape(-1, 6, 3)
    # Of the band's two triangles: right start, right end, left end; right start, left end, left start.
    for start, end in ((corners[:, 0], corners[:, 1]), (corners[:, 2], corners[:, 5])):
        foot_start, foot_end = start * [1, 1, 0], end * [1, 1, 0]
        side = np.stack([np.stack([foot_start, foot_end, end], 1), np.stack([foot_start, end, start], 1)], 1)
        side = side.reshape(-1, 3, 3)
        direction = (end - start)[:, :2]
        direction = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
        normal = np.stack([direction[:, 1], -direction[:, 0], np.zeros(len(direction))], axis=1)
        normal = np.repeat(normal, 2, axis=0)[:, None]
        uv = side[..., :2] / TILE_M[Material.CONCRETE]
        parts.append(surface(side, layer=int(Material.CONCRETE), uv=uv, normal=normal, tint=tint))
    return np.concatenate(parts)
