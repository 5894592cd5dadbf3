"""`RoadIndex`: which lane, crossing or pavement an object is on, for all objects of a key frame at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.lines import arc_lengths, points_at
from aln_p3_core.world.route import Route

_SAMPLE_M = 2.0
#: Beyond this distance from a lane's middle nothing is on it, m.
_REACH_M = 6.0
#: A lane against whose direction an object is turned counts as this much farther away, m.
_WRONG_WAY_M = 3.0


@dataclass(frozen=True, eq=False)
class LaneMatches:
    """The lane of every object. N = objects.

    Attributes:
        lane: [N] index into `CityMap.lanes`, -1 where there is none near.
        lateral: [N] m to the left of its middle.
        width: [N] m.
        direction: [N] rad, where it leads there.
        connector: [N] whether it leads through a junction.
    """

    lane: NDArray[np.int64]
    lateral: FloatArray
    width: FloatArray
    direction: FloatArray
    connector: NDArray[np.bool_]


class RoadIndex:
    """A city's lanes, sampled once for quick look-ups."""

    def __init__(self, city: CityMap) -> None:
        import shapely

        self.city = city
        points, directions, lanes = [], [], []
        for index, lane in enumerate(city.lanes):
            place, direction = _sampled(lane.centerline)
            points.append(place)
            directions.append(direction)
            lanes.append(np.full(len(place), index))
        self._points = np.concatenate(points) if points else np.zeros((0, 2))
        self._directions = np.concatenate(directions) if directions else np.zeros(0)
        self._lanes = np.concatenate(lanes) if lanes else np.zeros(0, np.int64)
        self._widths = np.array([lane.width for lane in city.lanes])
        self._connectors = np.array([lane.is_connector for lane in city.lanes], dtype=bool)
        self._crossings = shapely.STRtree([shapely.Polygon(outline).buffer(0) for outline in city.crossings])
        self._walkways = shapely.STRtree([shapely.Polygon(outline).buffer(0) for outline in city.walkways])
        shapely.prepare(city.drivable)

    def match(
        self, xy: FloatArray, headings: FloatArray, directed: NDArray[np.bool_], around: FloatArray, radius_m: float
    ) -> LaneMatches:
        """The lanes of objects at `xy` [N, 2]; the headings of those that are `directed` help to choose.

        Looks at lanes within `radius_m` of a place [2].
        """
        near = np.flatnonzero(((self._points - around) ** 2).sum(axis=1) <= (radius_m + _REACH_M) ** 2)
        count = len(xy)
        if not count or not len(near):
            nothing = np.full(count, np.inf)
            return LaneMatches(np.full(count, -1), nothing, nothing, np.zeros(count), np.zeros(count, bool))
        points, directions = self._points[near], self._directions[near]
        delta_x = xy[:, 0, None] - points[:, 0]
        delta_y = xy[:, 1, None] - points[:, 1]
        cos, sin = np.cos(directions), np.sin(directions)
        along = np.abs(delta_x * cos + delta_y * sin)
        lateral = delta_y * cos - delta_x * sin
        beyond = np.maximum(along - 0.75 * _SAMPLE_M, 0.0)
        wrong = 0.5 * (1.0 - np.cos(headings[:, None] - directions)) * directed[:, None]
        cost = np.abs(lateral) + 4.0 * beyond + _WRONG_WAY_M * wrong
        best = cost.argmin(axis=1)
        rows = np.arange(count)
        found = (np.abs(lateral[rows, best]) <= _REACH_M) & (beyond[rows, best] <= 1.0)
        lane = np.where(found, self._lanes[near[best]], -1)
        return LaneMatches(
            lane=lane,
            lateral=np.where(found, lateral[rows, best], np.inf),
            width=np.where(found, self._widths[lane], np.inf),
            direction=directions[best],
            connector=found & self._connectors[lane],
        )

    def on_crossing(self, xy: FloatArray) -> NDArray[np.bool_]:
        """[N] on a pedestrian crossing."""
        return _inside(self._crossings, xy)

    def on_walkway(self, xy: FloatArray) -> NDArray[np.bool_]:
        """[N] on a pavement."""
        return _inside(self._walkways, xy)

    def on_drivable(self, xy: FloatArray) -> NDArray[np.bool_]:
        """[N] where a car may be."""
        import shapely

        return np.asarray(shapely.contains_xy(self.city.drivable, xy[:, 0], xy[:, 1]), dtype=bool)


@dataclass(frozen=True, eq=False)
class RouteMatches:
    """Objects seen along the ego's route.

    Attributes:
        ahead: [N] m along the route ahead of the ego's origin.
        lateral: [N] m to the left of the route.
        direction: [N] rad, where the route leads there.
        off: [N] m beyond either end of the stretch that was looked at; 0 for those beside it.
    """

    ahead: FloatArray
    lateral: FloatArray
    direction: FloatArray
    off: FloatArray


def match_route(route: Route, route_s: float, xy: FloatArray, behind_m: float, ahead_m: float) -> RouteMatches:
    """Arc length and side of places [N, 2] along the stretch of a route around `route_s`."""
    first = int(np.clip(np.searchsorted(route.s, route_s - behind_m), 0, len(route.s) - 2))
    last = int(np.clip(np.searchsorted(route.s, route_s + ahead_m), first + 1, len(route.s) - 1))
    points, headings, s = (part[first : last + 1] for part in (route.points, route.headings, route.s))
    delta = xy[:, None, :] - points
    best = (delta**2).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(xy))
    offset, direction = delta[rows, best], headings[best]
    along = offset[:, 0] * np.cos(direction) + offset[:, 1] * np.sin(direction)
    lateral = offset[:, 1] * np.cos(direction) - offset[:, 0] * np.sin(direction)
    at_end = (best == 0) | (best == len(points) - 1)
    return RouteMatches(
        ahead=s[best] + along - route_s,
        lateral=lateral,
        direction=wrap_angle(direction),
        off=np.where(at_end, np.abs(along), 0.0),
    )


def _sampled(line: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Places [P, 2] in the middle of even pieces of a line, and the directions [P] there."""
    s = arc_lengths(line)
    pieces = max(1, round(s[-1] / _SAMPLE_M))
    at = (np.arange(pieces) + 0.5) * s[-1] / pieces
    edge = np.clip(np.searchsorted(s, at, side="right") - 1, 0, len(line) - 2)
    delta = np.diff(line, axis=0)[edge]
    return points_at(line, at), np.arctan2(delta[:, 1], delta[:, 0])


def _inside(tree: object, xy: FloatArray) -> NDArray[np.bool_]:
    import shapely

    inside = np.zeros(len(xy), dtype=bool)
    if len(xy):
        inside[tree.query(shapely.points(xy), predicate="intersects")[0]] = True  # type: ignore[attr-defined]
    return inside
