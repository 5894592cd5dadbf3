"""The roads of a recorded log as a city map. (`log_route` makes the human driver's way through them a route.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry
from shapely.strtree import STRtree

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.city.city_map import CityMap, Divider, Lane, Turn
from aln_p3_core.world.city.lines import heading_at, points_at, without_repeats
from aln_p3_core.world.city.log_route import log_route
from aln_p3_core.world.city.shapes import cleaned_union, polygon_of, strip
from aln_p3_core.world.traffic.recorded_log import LogFeature, RecordedLog

__all__ = ["log_city", "log_route"]

#: A lane follows upon another that ends so near to its beginning, m, in about the same direction, rad.
_JOINT_M = 1.0
_JOINT_RAD = np.radians(50.0)
#: Lanes side by side run in the same direction within this, rad.
_BESIDE_RAD = np.radians(25.0)
_TURN_RAD = np.radians(35.0)
_U_TURN_RAD = np.radians(150.0)
_LANE_WIDTH_M = 3.5
_WIDTHS_M = (2.4, 6.0)
_CONNECTOR_WIDTHS_M = (2.6, 4.0)
#: An area between road boundaries is road when lanes cover this share of it.
_ROAD_SHARE = 0.35
#: The map is cut so far from the ego's path, m; boundaries are closed a little inside of it.
_CUT_M = 199.0
#: Specks and slits of the drivable area smaller than this, m^2, go.
_SMALLEST_PART_M2 = 40.0


def log_city(log: RecordedLog) -> CityMap:
    """The city map of a recorded log, in the log's frame.

    Lanes are joined where one ends and another begins in the same direction. The drivable area is that of lanes and
    connectors, and what the road boundaries enclose. Lights, crossings, pavements and priorities were not recorded:
    there are none.

    Raises:
        DataError: when the log has no lanes.
    """
    lines = [f for f in log.features if f.kind in ("lane", "lane_connector") and not f.is_polygon]
    lines = [f for f in lines if len(f.points) >= 2]
    if not lines:
        raise DataError(f"the log {log.name} has no lanes in its map, so nothing can drive on it")
    outlines = {f.id: polygon_of(f.points) for f in log.features if f.is_polygon and len(f.points) >= 3}
    lanes = _linked([_lane(feature, outlines.get(feature.id)) for feature in lines])
    lanes = _beside(_with_junctions(lanes))
    boundaries = [f.points for f in log.features if f.kind == "road_boundary" and len(f.points) >= 2]
    dividers = [f for f in log.features if f.kind in ("lane_divider", "road_divider") and len(f.points) >= 2]
    return CityMap(
        name=log.name,
        lanes=tuple(lanes),
        boundaries=tuple(boundaries),
        drivable=_drivable(log, lanes, list(outlines.values()), boundaries),
        dividers=tuple(Divider(f.points, is_road_divider=f.kind == "road_divider") for f in dividers),
        drives_on_left=log.location.startswith("singapore"),
    )


def _lane(feature: LogFeature, outline: BaseGeometry | None) -> Lane:
    points = without_repeats(feature.points)
    length = float(LineString(points).length)
    width = _LANE_WIDTH_M
    if outline is not None and length > 1.0:
        width = float(np.clip(outline.area / length, *_WIDTHS_M))
    # The junction's name is told once all connectors are known.
    junction = "junction" if feature.kind == "lane_connector" else ""
    turn = _turn(points) if junction else Turn.STRAIGHT
    return Lane(id=feature.id, centerline=points, width=width, junction=junction, turn=turn)


def _turn(points: FloatArray) -> Turn:
    bend = float(wrap_angle(heading_at(points, np.inf) - heading_at(points, 0.0)))
    if abs(bend) > _U_TURN_RAD:
        return Turn.U_TURN
    if abs(bend) > _TURN_RAD:
        return Turn.LEFT if bend > 0 else Turn.RIGHT
    return Turn.STRAIGHT


def _linked(lanes: list[Lane]) -> list[Lane]:
    """Successors and predecessors from ends that meet; connectors take the width of what they connect."""
    starts = np.array([lane.centerline[0] for lane in lanes])
    ends = np.array([lane.centerline[-1] for lane in lanes])
    begins = np.array([heading_at(lane.centerline, 0.0) for lane in lanes])
    leaves = np.array([heading_at(lane.centerline, np.inf) for lane in lanes])
    near = np.linalg.norm(ends[:, None] - starts[None], axis=2) < _JOINT_M
    joined = near & (np.abs(wrap_angle(leaves[:, None] - begins[None])) < _JOINT_RAD)
    np.fill_diagonal(joined, False)
    linked = []
    for index, lane in enumerate(lanes):
        after, before = np.flatnonzero(joined[index]).tolist(), np.flatnonzero(joined[:, index]).tolist()
        width = lane.width
        if lane.is_connector:
            ways = [lanes[i].width for i in (*after, *before) if not lanes[i].is_connector]
            width = float(np.clip(min(ways, default=_LANE_WIDTH_M), *_CONNECTOR_WIDTHS_M))
        linked.append(replace(lane, successors=tuple(after), predecessors=tuple(before), width=width))
    return linked


def _with_junctions(lanes: list[Lane]) -> list[Lane]:
    """Names junctions: connectors whose areas overlap cross the same one."""
    connectors = [index for index, lane in enumerate(lanes) if lane.is_connector]
    areas = [strip(lanes[index].centerline, 0.9 * lanes[index].width) for index in connectors]
    group = list(range(len(connectors)))
    for a, b in STRtree(areas).query(areas, predicate="intersects").T if areas else ():
        low, high = sorted((group[a], group[b]))
        group = [low if g == high else g for g in group]
    names = {g: f"junction-{number}" for number, g in enumerate(sorted(set(group)))}
    named = list(lanes)
    for place, index in enumerate(connectors):
        named[index] = replace(lanes[index], junction=names[group[place]])
    return named


def _beside(lanes: list[Lane]) -> list[Lane]:
    """Left and right neighbours, and roads: lanes side by side share one."""
    roads = [index for index, lane in enumerate(lanes) if not lane.is_connector]
    lines = [LineString(lanes[index].centerline) for index in roads]
    tree = STRtree(lines)
    left: dict[int, int] = {}
    for place, index in enumerate(roads):
        lane = lanes[index]
        middle = points_at(lane.centerline, np.array(0.5 * lane.length))
        heading = heading_at(lane.centerline, 0.5 * lane.length)
        aside = np.array([-np.sin(heading), np.cos(heading)])
        found = []
        for other in tree.query(Point(middle + 0.5 * lane.width * aside).buffer(lane.width)):
            foot = float(lines[other].project(Point(middle)))
            offset = np.asarray(lines[other].interpolate(foot).coords[0]) - middle
            across = float(offset @ aside)
            turned = abs(float(wrap_angle(heading_at(lanes[roads[other]].centerline, foot) - heading)))
            level = abs(offset @ [np.cos(heading), np.sin(heading)]) < 0.3 * across
            if other != place and turned < _BESIDE_RAD and level and 0.55 * lane.width < across < 1.6 * lane.width:
                found.append((across, roads[other]))
        if found:
            left[index] = min(found)[1]
    right = {after: before for before, after in left.items()}
    beside = []
    for index, lane in enumerate(lanes):
        mine = left.get(index, -1)
        beside.append(
            replace(
                lane,
                left=mine if right.get(mine) == index else -1,
                right=right.get(index, -1),
                road=lane.junction if lane.is_connector else f"road-{_leftmost(left, right, index)}",
            )
        )
    return beside


def _leftmost(left: dict[int, int], right: dict[int, int], index: int) -> int:
    seen = {index}
    while index in left and right.get(left[index]) == index and left[index] not in seen:
        index = left[index]
        seen.add(index)
    return index


def _drivable(
    log: RecordedLog, lanes: Sequence[Lane], outlines: list[BaseGeometry], boundaries: list[FloatArray]
) -> BaseGeometry:
    strips = [strip(lane.centerline, lane.width) for lane in lanes if lane.is_connector]
    covered = shapely.union_all([*outlines, *strips]).buffer(0.0)
    areas = [covered]
    if boundaries:
        path = log.ego_path
        edge = (LineString(path) if np.ptp(path, axis=0).max() > 0.1 else Point(path[0])).buffer(_CUT_M).exterior
        net = shapely.node(shapely.union_all([edge, *(LineString(points) for points in boundaries)]))
        for face in shapely.polygonize(list(net.geoms)).geoms:
            if face.intersection(covered).area > _ROAD_SHARE * face.area:
                areas.append(face)
    return cleaned_union(areas, _SMALLEST_PART_M2)
