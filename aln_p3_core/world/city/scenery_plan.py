"""Builds up a city beside its roads: houses behind the pavements, trees, street lamps, places to park."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient
from shapely.strtree import STRtree

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.lines import arc_lengths, points_at
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.city.shapes import polygon_of

#: Maps without pavements (recorded ones) get this much free ground beside the road, m.
_BARE_EDGE_M = 3.5
#: Islands in the road smaller than this, m^2, stay empty.
_SMALLEST_BLOCK_M2 = 200.0
#: Rows of houses: distance of their fronts to the pavement, m; widths; depths; share of lots that are built on.
_ROWS = (
    (2.2, (11.0, 27.0), (10.0, 18.0), 0.90),
    (2.2, (7.0, 12.0), (8.0, 12.0), 0.85),
    (27.0, (12.0, 24.0), (9.0, 15.0), 0.55),
)
_LEAST_GAP_M = 0.4
#: Houses within this of a road of several lanes a direction are high ones, m.
_BIG_ROAD_REACH_M = 38.0
_TREE_OFFSET_M = 1.3
_LAMP_OFFSET_M = 0.35
_LAMP_SPACING_M = 31.0
_LAMP_HEIGHT_M = 8.0
_PARK_GRID_M = 11.0
#: Drivers see a signal head from so far before their stop line, m.
_SIGNAL_VIEW_M = 45.0
#: Places to park: room along the kerb, size of the car that must fit, free distance to junctions and crossings, m.
_PARKING_STEP_M = 6.4
_PARKED_LENGTH_M = 5.4
_PARKED_WIDTH_M = 2.0
_PARKING_CLEAR_M = 8.0


@lru_cache(maxsize=8)
def make_scenery(city: CityMap, seed: int) -> Scenery:
    """What stands beside a city's roads. The same map and seed give the same scenery.

    Nothing stands on the road, on pavements or crossings, or between a signal head and those who wait for it, and no
    two buildings overlap. Maps without lanes for parking have no places to park.

    Args:
        city: any map; one without pavements keeps a strip beside its roads free in their place.
        seed: of everything that is drawn by lot.
    """
    rng = np.random.default_rng([seed, 41])
    paved = _paved(city)
    sight = _sight_lines(city)
    buildings, footprints = _buildings(city, rng, paved, sight)
    lamps = _lamps(rng, paved, footprints, sight)
    trees = _trees(city, rng, paved, footprints, sight, lamps)
    return Scenery(buildings=buildings, trees=trees, poles=lamps, parking=_parking(city), seed=seed)


def without(scenery: Scenery, area: BaseGeometry) -> Scenery:
    """The scenery without the buildings, trees and lamps that stand in an area."""
    shapely.prepare(area)
    built = ~shapely.intersects(area, footprints_of(scenery.buildings))
    trees = ~shapely.intersects_xy(area, scenery.trees[:, 0], scenery.trees[:, 1])
    poles = ~shapely.intersects_xy(area, scenery.poles[:, 0], scenery.poles[:, 1])
    return replace(scenery, buildings=scenery.buildings[built], trees=scenery.trees[trees], poles=scenery.poles[poles])


def footprints_of(boxes: FloatArray) -> NDArray[np.object_]:
    """[B] shapely polygons of rows x, y, heading, length, width (and more)."""
    along = np.stack([np.cos(boxes[:, 2]), np.sin(boxes[:, 2])], axis=1) * boxes[:, 3:4] / 2
    aside = np.stack([-np.sin(boxes[:, 2]), np.cos(boxes[:, 2])], axis=1) * boxes[:, 4:5] / 2
    middle = boxes[:, :2]
    corners = np.stack([middle + along + aside, middle - along + aside, middle - along - aside, middle + along - aside])
    polygons: NDArray[np.object_] = shapely.polygons(corners.swapaxes(0, 1).reshape(-1, 4, 2))
    return polygons


def _paved(city: CityMap) -> BaseGeometry:
    """Roads with their pavements and crossings: where nothing may stand."""
    walked = [polygon_of(outline) for outline in (*city.walkways, *city.crossings)]
    roads = city.drivable if city.walkways else city.drivable.buffer(_BARE_EDGE_M, quad_segs=3)
    whole = shapely.union_all([roads, *walked]).buffer(0.3, quad_segs=2).buffer(-0.25, quad_segs=2).simplify(0.05)
    parts = []
    for part in getattr(whole, "geoms", [whole]):
        blocks = [ring for ring in part.interiors if Polygon(ring).area >= _SMALLEST_BLOCK_M2]
        parts.append(Polygon(part.exterior, blocks))
    return shapely.union_all(parts)


def _sight_lines(city: CityMap) -> BaseGeometry:
    """From every signal head to the cars that approach its stop line."""
    lines = []
    for signal in city.signals:
        back = np.array([np.cos(signal.heading), np.sin(signal.heading)])
        lines.append(LineString([signal.head[:2], signal.stop_line.mean(axis=0) + _SIGNAL_VIEW_M * back]))
    return shapely.union_all(lines) if lines else Point()


def _rings(area: BaseGeometry) -> Iterator[FloatArray]:
    """Closed lines around an area and its holes, the area always on their left."""
    for part in getattr(area, "geoms", [area]):
        whole = orient(part, 1.0)
        for ring in (whole.exterior, *whole.interiors):
            yield np.asarray(ring.coords)[:, :2]


@dataclass(frozen=True, eq=False)
class _Lots:
    """Places along a ring: [K, 2] points, [K, 2] unit directions along it and away from the road, [K] chord, m."""

    points: FloatArray
    along: FloatArray
    away: FloatArray
    chord: FloatArray


def _lots(ring: FloatArray, begin: FloatArray, length: FloatArray) -> _Lots:
    a, b = points_at(ring, begin), points_at(ring, begin + length)
    chord = np.linalg.norm(b - a, axis=1)
    along = (b - a) / np.maximum(chord, 1e-6)[:, None]
    return _Lots((a + b) / 2, along, np.stack([along[:, 1], -along[:, 0]], axis=1), chord)


def _buildings(
    city: CityMap, rng: np.random.Generator, paved: BaseGeometry, sight: BaseGeometry
) -> tuple[FloatArray, STRtree]:
    """[B, 6] buildings, and a tree of their footprints."""
    keep_out = shapely.union_all([paved.buffer(1.2, quad_segs=2), sight.buffer(1.5)])
    shapely.prepare(keep_out)
    chosen = np.zeros((0, 6))
    for offset, widths, depths, share in _ROWS:
        boxes = []
        for ring in _rings(paved.buffer(offset, quad_segs=2)):
            boxes.append(_row_of_houses(rng, ring, widths, depths, share))
        row = _with_heights(city, rng, np.concatenate(boxes))
        row = row[~shapely.intersects(keep_out, footprints_of(row))]
        chosen = _without_overlaps(chosen, row)
    return chosen, STRtree(footprints_of(chosen))


def _row_of_houses(
    rng: np.random.Generator,
    ring: FloatArray,
    widths: tuple[float, float],
    depths: tuple[float, float],
    share: float,
) -> FloatArray:
    """[K, 5] boxes along a ring, on the side away from the road."""
    length = float(arc_lengths(ring)[-1])
    count = int(length / widths[0]) + 1
    width = rng.uniform(*widths, count)
    gap = np.where(rng.random(count) < 0.45, _LEAST_GAP_M, rng.uniform(1.5, 7.0, count))
    begin = np.cumsum(width + gap) - width - gap
    depth = rng.uniform(*depths, count)
    setback = np.where(rng.random(count) < 0.5, 0.0, rng.uniform(0.5, 4.0, count))
    built = (rng.random(count) < share) & (begin + width <= length)
    lots = _lots(ring, begin, width)
    # Around corners the chord is short: no house stands askew there.
    built &= lots.chord > 0.97 * width
    middle = lots.points + (setback + depth / 2)[:, None] * lots.away
    heading = np.arctan2(lots.along[:, 1], lots.along[:, 0])
    return np.column_stack([middle, heading, width, depth])[built]


def _with_heights(city: CityMap, rng: np.random.Generator, boxes: FloatArray) -> FloatArray:
    """[K, 6] boxes with heights: higher along big roads and towards the middle of the city."""
    big = [LineString(lane.centerline) for lane in city.lanes if lane.left >= 0 or lane.right >= 0]
    near = np.zeros(len(boxes), dtype=bool)
    if big and len(boxes):
        points = shapely.points(boxes[:, :2])
        near[STRtree(big).query(points, predicate="dwithin", distance=_BIG_ROAD_REACH_M)[0]] = True
    x0, y0, x1, y1 = city.bounds
    out = np.linalg.norm(boxes[:, :2] - [(x0 + x1) / 2, (y0 + y1) / 2], axis=1)
    central = np.exp(-((out / (0.35 * max(x1 - x0, y1 - y0, 1.0))) ** 2))
    low = rng.uniform(5.5, 11.5, len(boxes)) + 4.0 * central
    high = np.clip(rng.lognormal(np.log(15.0), 0.4, len(boxes)) * (1 + 0.6 * central), 9.0, 48.0)
    # Narrow houses are no towers.
    height = np.minimum(np.where(near, high, low), 2.2 * boxes[:, 3])
    return np.column_stack([boxes, height])


def _without_overlaps(chosen: FloatArray, more: FloatArray) -> FloatArray:
    """Rows of `chosen` and all of `more` that overlap none before them."""
    rows = np.concatenate([chosen, more])
    grown = rows.copy()
    grown[:, 3:5] += 0.6 * _LEAST_GAP_M
    polygons = footprints_of(grown)
    before: dict[int, list[int]] = {}
    for a, b in STRtree(polygons).query(polygons, predicate="intersects").T:
        if b < a:
            before.setdefault(int(a), []).append(int(b))
    kept = np.ones(len(rows), dtype=bool)
    for row in range(len(chosen), len(rows)):
        kept[row] = not any(kept[other] for other in before.get(row, ()))
    return rows[kept]


def _lamps(rng: np.random.Generator, paved: BaseGeometry, footprints: STRtree, sight: BaseGeometry) -> FloatArray:
    """[L, 4] street lamps behind the pavement, their arms towards the road."""
    found = []
    for ring in _rings(paved.buffer(_LAMP_OFFSET_M, quad_segs=2)):
        length = float(arc_lengths(ring)[-1])
        count = int(length / _LAMP_SPACING_M)
        begin = (np.arange(count) + rng.uniform(0.2, 0.8)) * (length / max(count, 1))
        lots = _lots(ring, begin, np.full(count, 2.0))
        heading = np.arctan2(-lots.away[:, 1], -lots.away[:, 0])
        found.append(np.column_stack([lots.points, heading, np.full(count, _LAMP_HEIGHT_M)])[lots.chord > 1.9])
    lamps = np.concatenate(found)
    keep_out = shapely.union_all([paved, sight.buffer(1.5)])
    return lamps[_free(lamps, keep_out) & _apart(lamps, footprints, 0.5)]


def _trees(
    city: CityMap,
    rng: np.random.Generator,
    paved: BaseGeometry,
    footprints: STRtree,
    sight: BaseGeometry,
    lamps: FloatArray,
) -> FloatArray:
    """[T, 3] trees in rows along pavements, and in groups where nothing is built."""
    found = []
    for ring in _rings(paved.buffer(_TREE_OFFSET_M, quad_segs=2)):
        length = float(arc_lengths(ring)[-1])
        begin = np.cumsum(rng.uniform(8.5, 15.0, int(length / 8.5) + 1))
        # Some streets are avenues, others bare: it changes every 90 m.
        avenue = rng.random(int(length / 90.0) + 2) < 0.55
        begin = begin[(begin < length) & (avenue[(begin / 90.0).astype(int).clip(max=len(avenue) - 1)])]
        places = points_at(ring, begin)
        found.append(np.column_stack([places, rng.uniform(4.5, 8.0, len(places))]))
    x0, y0, x1, y1 = city.bounds
    xs, ys = (np.arange(a - 40.0, b + 40.0, _PARK_GRID_M) for a, b in ((x0, x1), (y0, y1)))
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    grid = grid + rng.uniform(-4.5, 4.5, grid.shape)
    grid = grid[rng.random(len(grid)) < 0.35]
    park = np.column_stack([grid, rng.uniform(5.0, 10.5, len(grid))])
    found.append(park[_free(park, paved.buffer(3.5)) & ~_free(park, paved.buffer(45.0))])
    trees = np.concatenate(found)
    crossings = [polygon_of(outline).buffer(4.0) for outline in city.crossings]
    keep_out = shapely.union_all([paved.buffer(0.8), sight.buffer(3.5), *crossings])
    trees = trees[_free(trees, keep_out) & _apart(trees, footprints, 2.0)]
    if len(lamps):
        trees = trees[_apart(trees, STRtree(shapely.points(lamps[:, :2])), 2.5)]
    points = shapely.points(trees[:, :2])
    a, b = STRtree(points).query(points, predicate="dwithin", distance=3.5)
    return np.delete(trees, np.unique(a[b < a]), axis=0)


def _free(rows: FloatArray, area: BaseGeometry) -> NDArray[np.bool_]:
    """[K] whether a row's place lies outside an area."""
    shapely.prepare(area)
    return ~shapely.intersects_xy(area, rows[:, 0], rows[:, 1])


def _apart(rows: FloatArray, others: STRtree, distance: float) -> NDArray[np.bool_]:
    """[K] whether a row's place is at least `distance` from all of a tree's geometries."""
    apart = np.ones(len(rows), dtype=bool)
    if len(rows) and len(others.geometries):
        apart[others.query(shapely.points(rows[:, :2]), predicate="dwithin", distance=distance)[0]] = False
    return apart


def _parking(city: CityMap) -> FloatArray:
    """[K, 3] places along the lanes for parking, in driving direction."""
    found = [np.zeros((0, 3))]
    for line in city.parking_lanes:
        length = float(arc_lengths(line)[-1])
        free = length - 2 * _PARKING_CLEAR_M - _PARKED_LENGTH_M
        if free < 0.0:
            continue
        s = _PARKING_CLEAR_M + _PARKED_LENGTH_M / 2 + np.linspace(0.0, free, int(free / _PARKING_STEP_M) + 1)
        a, b = points_at(line, s - 1.5), points_at(line, s + 1.5)
        found.append(np.column_stack([(a + b) / 2, np.arctan2(b[:, 1] - a[:, 1], b[:, 0] - a[:, 0])]))
    places = np.concatenate(found)
    sizes = np.full((len(places), 2), [_PARKED_LENGTH_M, _PARKED_WIDTH_M])
    cars = footprints_of(np.column_stack([places, sizes]))
    inside = shapely.contains(city.drivable.buffer(0.1), cars)
    through = [LineString(lane.centerline).buffer(lane.width / 2) for lane in city.lanes if lane.is_connector]
    keep_out = [*(polygon_of(outline) for outline in city.crossings), *through]
    if keep_out and len(places):
        inside[STRtree(keep_out).query(cars, predicate="dwithin", distance=_PARKING_CLEAR_M - 0.5)[0]] = False
    return places[inside]
