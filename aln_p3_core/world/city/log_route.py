"""The way of a recorded log's human driver as a route: a driver who follows it goes where the human went."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LineString, Point

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.lines import arc_lengths, heading_at, points_at, without_repeats
from aln_p3_core.world.city.routing import make_route
from aln_p3_core.world.city.smoothing import smooth_path
from aln_p3_core.world.route import Route
from aln_p3_core.world.traffic.recorded_log import RecordedLog

#: The route goes on so far beyond where the human came, m; the second where the human hardly moved.
_BEYOND_M = 25.0
_BEYOND_STANDING_M = 80.0
_STANDING_M = 12.0
#: Recorded places nearer than this to the one before say nothing of the heading, m.
_LEAST_STEP_M = 0.4
#: From where the human stood the route swings into the lane's middle over this length, m.
_SWING_M = 25.0
#: A lane lies under a place when its middle is within so much, m, and leads in about the same direction, rad.
_MATCH_M = 3.5
_MATCH_RAD = np.radians(45.0)
#: Cost, m, of a way on that bends by a radian.
_BEND_COST_M = 6.0
#: Cost, m, of going over to a lane that does not follow; to the one beside.
_JUMP_COST_M = 6.0
_CHANGE_COST_M = 2.0


def log_route(log: RecordedLog, city: CityMap) -> Route:
    """The human's own path, smoothed, prolonged along the lanes ahead (straight on where there are none).

    Speed limits are those of the lanes under it, turns are read off its curvature. A human who hardly moves still
    gives a route, of `_BEYOND_STANDING_M` along the lane.

    Args:
        log: the recording. city: its map (`log_city`).
    """
    path = without_repeats(log.ego_path, _LEAST_STEP_M)
    moved = float(arc_lengths(path)[-1])
    if moved < _LEAST_STEP_M:
        path = path[:1]
    heading = float(log.headings[0, -1])
    end = log.ego_path[-1]
    ahead = _ahead(city, end, heading, _BEYOND_M if moved > _STANDING_M else _BEYOND_STANDING_M)
    smooth, _ = smooth_path(without_repeats(np.concatenate([path, ahead]), 0.1))
    return make_route(city, smooth, match_lanes(city, smooth), turns_of_map=False)


def _ahead(city: CityMap, place: FloatArray, heading: float, length: float) -> FloatArray:
    """[P, 2] points from a place on along the lanes, about `length` m, swinging into their middle."""
    forward = np.array([np.cos(heading), np.sin(heading)])
    steps = np.arange(1.0, length + 0.5, 1.0)
    straight = place + steps[:, None] * forward
    line = _line_ahead(city, place, heading, length)
    if line is None:
        return straight
    start = _line_position(line, place)
    middle = points_at(line, start + steps)
    left_over = arc_lengths(line)[-1] - start
    # Beyond the last lane the way goes on straight.
    out = heading_at(line, np.inf)
    middle += np.maximum(steps - left_over, 0.0)[:, None] * [np.cos(out), np.sin(out)]
    mix = np.clip(steps / _SWING_M, 0.0, 1.0)
    mix = mix * mix * (3 - 2 * mix)
    offset = place - points_at(line, np.array(start))
    return middle + (1 - mix)[:, None] * offset


def _line_position(line: FloatArray, place: FloatArray) -> float:
    return float(LineString(line).project(Point(place)))


def _line_ahead(city: CityMap, place: FloatArray, heading: float, length: float) -> FloatArray | None:
    """The middle of the lanes to go on along: near the place, in its direction, and straight on rather than aside."""
    best, least = None, np.inf
    for index in city.lanes_near(place, _MATCH_M):
        line = city.lanes[index].centerline
        position = _line_position(line, place)
        if abs(float(wrap_angle(heading_at(line, position) - heading))) > _MATCH_RAD:
            continue
        line = _lane_onwards(city, index, position + length)
        out = heading_at(line, min(position + length, float(arc_lengths(line)[-1])))
        short = max(0.0, position + length - float(arc_lengths(line)[-1]))
        aside = float(np.linalg.norm(points_at(line, np.array(position)) - place))
        cost = aside + _BEND_COST_M * abs(float(wrap_angle(out - heading))) + 0.2 * short
        if cost < least:
            best, least = line, cost
    return best


def _lane_onwards(city: CityMap, first: int, length: float) -> FloatArray:
    """A lane's line and those that follow it, each time the straightest, until `length` m."""
    lines = [city.lanes[first].centerline]
    seen, index, total = {first}, first, city.lanes[first].length
    while total < length:
        here = heading_at(city.lanes[index].centerline, np.inf)
        ways = [after for after in city.lanes[index].successors if after not in seen]
        if not ways:
            break

        def bend(after: int, here: float = here) -> float:
            return abs(float(wrap_angle(heading_at(city.lanes[after].centerline, np.inf) - here)))

        index = min(ways, key=bend)
        seen.add(index)
        lines.append(city.lanes[index].centerline)
        total += city.lanes[index].length
    return without_repeats(np.concatenate(lines), 0.05)


def match_lanes(city: CityMap, path: FloatArray) -> NDArray[np.int64]:
    """[P] the lane under each point of a path, -1 where there is none.

    Among lanes near a point that lead in its direction, the sequence is chosen that stays nearest to their middles
    and goes from lane to lane as these follow upon each other (Viterbi's algorithm).
    """
    delta = np.gradient(path, axis=0)
    headings = np.arctan2(delta[:, 1], delta[:, 0])
    candidates: list[list[int]] = []
    costs: list[FloatArray] = []
    for place, heading in zip(path, headings, strict=True):
        near: list[int] = []
        away: list[float] = []
        for index in city.lanes_near(place, _MATCH_M):
            line = city.lanes[index].centerline
            position = _line_position(line, place)
            turned = abs(float(wrap_angle(heading_at(line, position) - heading)))
            if turned < _MATCH_RAD:
                near.append(index)
                away.append(float(np.linalg.norm(points_at(line, np.array(position)) - place)) + 2.0 * turned)
        candidates.append([*near, -1])
        costs.append(np.array([*away, _MATCH_M + 1.0]))
    best, came = costs[0], []
    for before, after, cost in zip(candidates[:-1], candidates[1:], costs[1:], strict=True):
        total = best[:, None] + np.array([[_step_cost(city, a, b) for b in after] for a in before])
        came.append(total.argmin(axis=0))
        best = total.min(axis=0) + cost
    place_in = int(best.argmin())
    chosen = [candidates[-1][place_in]]
    for row in range(len(came) - 1, -1, -1):
        place_in = int(came[row][place_in])
        chosen.append(candidates[row][place_in])
    return np.array(chosen[::-1], dtype=np.int64)


def _step_cost(city: CityMap, before: int, after: int) -> float:
    if before == after:
        return 0.0
    if before < 0 or after < 0:
        return _CHANGE_COST_M
    lane = city.lanes[before]
    if after in lane.successors:
        return 0.0
    return _CHANGE_COST_M if after in (lane.left, lane.right) else _JUMP_COST_M
