"""Ways through a city: lane by lane, as smooth paths with the lines at which the ego may have to wait."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shapely.geometry import LineString, Polygon

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import Command
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap, Turn
from aln_p3_core.world.city.lines import arc_lengths, points_at, resample, without_repeats
from aln_p3_core.world.city.smoothing import PATH_STEP_M, smooth_path
from aln_p3_core.world.route import Route, RouteStop, StopKind

#: A lane change takes this many seconds at the speed limit, and a length within these bounds, m.
_CHANGE_S = 4.0
_CHANGE_MIN_M = 30.0
_CHANGE_MAX_M = 70.0
#: It begins so far behind the start of the road and ends so far before its end, m, where there is room.
_CHANGE_AFTER_M = 15.0
_CHANGE_BEFORE_M = 25.0
#: Room that one lane change needs when routes are searched, m; and its cost, m of detour.
_CHANGE_ROOM_M = 55.0
_CHANGE_COST_M = 30.0
#: A random route ends so far before the next junction, m, where the road is long enough: not in the queue before it.
_QUEUE_M = 50.0

_COMMANDS = {Turn.LEFT: Command.LEFT, Turn.RIGHT: Command.RIGHT, Turn.U_TURN: Command.LEFT}


@dataclass(frozen=True, eq=False)
class _Leg:
    """A stretch of the raw path: its points, and the lane under each of them."""

    points: FloatArray
    lanes: list[int]


def route_along_lanes(
    city: CityMap, lanes: Sequence[int], *, start_s: float = 0.0, end_s: float | None = None
) -> Route:
    """The route along lanes.

    Args:
        city: the map.
        lanes: indices; each is a successor of the one before, or its neighbour to the left or right: then the path
            changes lanes on that road in a smooth S-curve.
        start_s: m along the first lane at which the route begins.
        end_s: m along the last lane at which it ends; the lane's end when None.

    Raises:
        ConfigError: when two lanes do not follow upon each other, or a lane change has no room.
    """
    legs = [_leg(city, group) for group in _roads(city, lanes)]
    first, last = legs[0], legs[-1]
    if end_s is not None and end_s < _length(last.points):
        legs[-1] = _cut(last, 0.0, end_s)
        first = legs[0]
    if start_s > 0.0:
        legs[0] = _cut(first, start_s, _length(first.points))
    points = np.concatenate([legs[0].points, *(leg.points[1:] for leg in legs[1:])])
    lane_of_raw = np.array([*legs[0].lanes, *(lane for leg in legs[1:] for lane in leg.lanes[1:])])
    path, source = smooth_path(points)
    raw_s = arc_lengths(points)
    nearest = np.clip(np.searchsorted(raw_s, source - 1e-6), 0, len(raw_s) - 1)
    lane_of = lane_of_raw[nearest]
    return make_route(city, path, lane_of)


def make_route(city: CityMap, path: FloatArray, lane_of: np.ndarray, *, turns_of_map: bool = True) -> Route:
    """A route from a smooth path [P, 2] and the lane under each of its points (-1 for none).

    Stops and turns are those of the connectors it uses and of the crossings that it meets. `turns_of_map=False` reads
    the turns off the path's curvature instead.
    """
    known = np.array([lane.speed_limit for lane in city.lanes])
    limits = np.where(lane_of >= 0, known[np.maximum(lane_of, 0)], np.nan)
    limits = _filled(limits, default=float(np.median(known)))
    s = arc_lengths(path)
    stops: list[RouteStop] = []
    turns = []
    for first, last in _runs(lane_of):
        lane = city.lanes[lane_of[first]] if lane_of[first] >= 0 else None
        if lane is None or not lane.is_connector:
            continue
        begin, end = float(s[first]), float(s[last])
        if lane.turn in _COMMANDS:
            turns.append((begin, end, _COMMANDS[lane.turn]))
        if first == 0:
            continue  # The line is behind the start.
        if lane.signal >= 0:
            stops.append(RouteStop(begin, end, StopKind.SIGNAL, lane.signal))
        if lane.yields_to:
            stops.append(RouteStop(begin, end, StopKind.YIELD, int(lane_of[first])))
    stops += _crossing_stops(city, path)
    order = {StopKind.SIGNAL: 0, StopKind.YIELD: 1, StopKind.CROSSING: 2}
    stops.sort(key=lambda stop: (stop.s, order[stop.kind]))
    return Route(path, limits, lane_of.astype(np.int64), tuple(stops), tuple(turns) if turns_of_map else None)


def shortest_lanes(city: CityMap, start: int, goal: int) -> list[int]:
    """Lanes of the shortest way from one lane to another, with lane changes where there is room for them.

    Raises:
        ConfigError: when there is no way.
    """
    cost = {(start, 0): 0.0}
    came: dict[tuple[int, int], tuple[int, int]] = {}
    queue: list[tuple[float, int, int]] = [(0.0, start, 0)]
    while queue:
        spent, index, changes = heapq.heappop(queue)
        state = (index, changes)
        if spent > cost[state]:
            continue
        if index == goal:
            lanes = [index]
            while state in came:
                state = came[state]
                lanes.append(state[0])
            return lanes[::-1]
        lane = city.lanes[index]
        steps = [((after, 0), city.lanes[after].length) for after in lane.successors]
        if changes < int(lane.length / _CHANGE_ROOM_M):
            steps += [((beside, changes + 1), _CHANGE_COST_M) for beside in (lane.left, lane.right) if beside >= 0]
        for following, more in steps:
            if spent + more < cost.get(following, np.inf):
                cost[following] = spent + more
                came[following] = state
                heapq.heappush(queue, (spent + more, *following))
    raise ConfigError(f"no way from lane {city.lanes[start].id} to lane {city.lanes[goal].id} in {city.name}")


def random_route(city: CityMap, rng: np.random.Generator, min_length_m: float) -> Route:
    """A route drawn by lot: a random start, a random way at every junction, and lane changes where they need one.

    It begins and ends away from junctions, and never turns round.
    """
    for _ in range(200):
        lanes = _random_lanes(city, rng, min_length_m)
        if lanes:
            first, last = city.lanes[lanes[0]], city.lanes[lanes[-1]]
            start_s = float(rng.uniform(3.0, max(4.0, 0.4 * (first.length - _CHANGE_ROOM_M))))
            end_s = min(0.7 * last.length, max(last.length - _QUEUE_M, 0.4 * last.length))
            return route_along_lanes(city, lanes, start_s=start_s, end_s=end_s)
    raise ConfigError(f"no route of {min_length_m:.0f} m found in {city.name}; ask for a shorter one")


def _random_lanes(city: CityMap, rng: np.random.Generator, min_length_m: float) -> list[int]:
    starts = [i for i, lane in enumerate(city.lanes) if not lane.is_connector and lane.length > 70.0]
    lanes = [starts[int(rng.integers(len(starts)))]]
    length = -0.4 * city.lanes[lanes[0]].length
    visits: dict[str, int] = {}
    while True:
        here = lanes[-1]
        road = city.lanes[here].road
        visits[road] = visits.get(road, 0) + 1
        length += city.lanes[here].length
        if length - 0.3 * city.lanes[here].length >= min_length_m and city.lanes[here].length > 50.0:
            return lanes
        if len(lanes) > 400:
            return []
        ways = _ways_on(city, here)
        if not ways:
            return []
        fewest = min(visits.get(road, 0) for road in ways)
        roads = sorted(road for road in ways if visits.get(road, 0) == fewest)
        options = ways[roads[int(rng.integers(len(roads)))]]
        way = options[int(rng.integers(len(options)))]
        lanes += way
        length += city.lanes[way[-2]].length


def _ways_on(city: CityMap, lane: int) -> dict[str, list[list[int]]]:
    """Ways from a lane to the next roads, by road: the lanes to change over, the connector, the next lane."""
    room = max(0, int((city.lanes[lane].length - 10.0) / _CHANGE_ROOM_M))
    found: dict[str, list[list[int]]] = {}
    fewest: dict[str, int] = {}
    for changes, beside in _beside(city, lane):
        if len(changes) > room:
            continue
        for connector in city.lanes[beside].successors:
            if city.lanes[connector].turn is Turn.U_TURN:
                continue
            for target in city.lanes[connector].successors:
                road = city.lanes[target].road
                if len(changes) < fewest.get(road, 99):
                    fewest[road], found[road] = len(changes), []
                if len(changes) == fewest[road]:
                    found[road].append([*changes, connector, target])
    return found


def _beside(city: CityMap, lane: int) -> list[tuple[list[int], int]]:
    """Every lane of the same direction with the lanes to change over to get there."""
    found: list[tuple[list[int], int]] = [([], lane)]
    for side in ("left", "right"):
        way: list[int] = []
        beside = getattr(city.lanes[lane], side)
        while beside >= 0:
            way = [*way, beside]
            found.append((way, beside))
            beside = getattr(city.lanes[beside], side)
    return found


def _roads(city: CityMap, lanes: Sequence[int]) -> list[list[int]]:
    """Groups of lanes that lie side by side: the lanes that the path uses of one road."""
    if not len(lanes):
        raise ConfigError("a route needs at least one lane")
    groups = [[int(lanes[0])]]
    for before, after in itertools.pairwise(lanes):
        lane = city.lanes[before]
        if after in (lane.left, lane.right):
            groups[-1].append(int(after))
        elif after in lane.successors:
            groups.append([int(after)])
        else:
            raise ConfigError(f"lane {city.lanes[after].id} does not follow lane {lane.id} in {city.name}")
    return groups


def _leg(city: CityMap, group: list[int]) -> _Leg:
    """The raw path along a road, with the lane changes that it needs."""
    lines = [city.lanes[index].centerline for index in group]
    if len(group) == 1:
        points = resample(lines[0], PATH_STEP_M)
        return _Leg(points, [group[0]] * len(points))
    length = float(np.mean([_length(line) for line in lines]))
    count = max(3, round(length / PATH_STEP_M) + 1)
    along = np.linspace(0.0, 1.0, count)
    sides = [points_at(line, along * _length(line)) for line in lines]
    changes = len(group) - 1
    wanted = float(np.clip(_CHANGE_S * city.lanes[group[0]].speed_limit, _CHANGE_MIN_M, _CHANGE_MAX_M))
    begin, end = min(_CHANGE_AFTER_M, 0.1 * length), length - min(_CHANGE_BEFORE_M, 0.15 * length)
    room = (end - begin) / changes
    if room < 0.5 * _CHANGE_MIN_M:
        raise ConfigError(f"road {city.lanes[group[0]].road} of {city.name} is too short for {changes} lane changes")
    span = min(wanted, room)
    path = sides[0]
    lanes = np.full(count, group[0])
    for number in range(changes):
        # An even share of the road for every change, its beginning used first.
        start = begin + number * room
        mix = np.clip((along * length - start) / span, 0.0, 1.0)
        mix = mix**3 * (10 - 15 * mix + 6 * mix**2)
        path = (1 - mix)[:, None] * path + mix[:, None] * sides[number + 1]
        lanes[mix > 0.5] = group[number + 1]
    return _Leg(path, lanes.tolist())


def _cut(leg: _Leg, start: float, end: float) -> _Leg:
    s = arc_lengths(leg.points)
    start, end = float(np.clip(start, 0.0, s[-1] - 1.0)), float(np.clip(end, start + 1.0, s[-1]))
    inside = np.flatnonzero((s > start + 0.05) & (s < end - 0.05))
    ends = points_at(leg.points, np.array([start, end]))
    kept = [leg.lanes[i] for i in inside]
    first, last = leg.lanes[int(np.searchsorted(s, start))], leg.lanes[int(np.searchsorted(s, end - 1e-6))]
    return _Leg(np.concatenate([ends[:1], leg.points[inside], ends[1:]]), [first, *kept, last])


def _length(points: FloatArray) -> float:
    return float(arc_lengths(points)[-1])


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) of every stretch of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges - 1, [len(values) - 1]])
    return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


def _filled(values: FloatArray, default: float) -> FloatArray:
    """Gaps (NaN) take the nearest known value."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.full(len(values), default)
    place = np.arange(len(values))
    after = np.clip(np.searchsorted(known, place), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    nearer_before = np.abs(place - known[before]) <= np.abs(known[after] - place)
    return values[np.where(nearer_before, known[before], known[after])]


def _crossing_stops(city: CityMap, path: FloatArray) -> list[RouteStop]:
    """Every pass over a crossing, from where the path enters it to where it leaves it."""
    line = LineString(path)
    s = arc_lengths(path)
    stops = []
    for index, outline in enumerate(city.crossings):
        area = Polygon(outline).buffer(0)
        if not line.intersects(area):
            continue
        part = line.intersection(area)
        for piece in getattr(part, "geoms", [part]):
            if piece.length < 1.0:
                continue
            ends = without_repeats(np.asarray(piece.coords))[[0, -1]]
            places = sorted(float(s[np.argmin(np.linalg.norm(path - end, axis=1))]) for end in ends)
            stops.append(RouteStop(places[0], places[1], StopKind.CROSSING, index))
    return stops
