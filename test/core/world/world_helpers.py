"""A straight street, a corner and small stages: what tests of the world drive through when no real city is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from shapely.geometry import LineString, box

from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, make_actors, no_actors
from aln_p3_core.world.assets.catalogue import models_of
from aln_p3_core.world.city.city_map import CityMap, Divider, Lane, Signal, Turn
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.episode import Stage
from aln_p3_core.world.route import Route, RouteStop, StopKind
from aln_p3_core.world.state import SignalColor, TrafficState
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S, StillTraffic, Traffic

LANE_WIDTH = 3.5
STREET_LENGTH = 600.0
SPEED_LIMIT = 13.9
#: The crossing of the straight city lies between these two x, m; the stop line is at its near edge.
CROSSING_X = (298.0, 302.0)
#: y of the eastbound lanes (inner, outer); the westbound ones mirror them.
EAST_INNER, EAST_OUTER = -1.75, -5.25


def straight_city(*, signal: bool = False) -> CityMap:
    """Two lanes each way along x from 0 to 600 m, divided at y = 0, with a crossing and pavements.

    Lanes 0 and 1 lead east (inner, outer), 2 and 3 west. With `signal`, the eastbound lanes are cut at the
    crossing: lanes 4 and 5 are connectors over it that obey signal 0, lanes 6 and 7 go on behind it.
    """
    east = [(0.0, STREET_LENGTH)] if not signal else [(0.0, CROSSING_X[0]), CROSSING_X, (CROSSING_X[1], STREET_LENGTH)]
    lanes = [_lane("east_0", *east[0], EAST_INNER), _lane("east_1", *east[0], EAST_OUTER)]
    lanes += [_lane("west_0", STREET_LENGTH, 0.0, -EAST_INNER), _lane("west_1", STREET_LENGTH, 0.0, -EAST_OUTER)]
    neighbours = {0: (-1, 1), 1: (0, -1), 2: (-1, 3), 3: (2, -1)}
    links: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    signals: tuple[Signal, ...] = ()
    if signal:
        lanes += [_lane("over_0", *east[1], EAST_INNER, "crossing"), _lane("over_1", *east[1], EAST_OUTER, "crossing")]
        lanes += [_lane("on_0", *east[2], EAST_INNER), _lane("on_1", *east[2], EAST_OUTER)]
        neighbours |= {4: (-1, -1), 5: (-1, -1), 6: (-1, 7), 7: (6, -1)}
        links = {0: ((4,), ()), 1: ((5,), ()), 4: ((6,), (0,)), 5: ((7,), (1,)), 6: ((), (4,)), 7: ((), (5,))}
        line = np.array([[CROSSING_X[0], 0.0], [CROSSING_X[0], -2 * LANE_WIDTH]])
        signals = (Signal("light", line, np.array([CROSSING_X[1], -8.0, 3.5]), np.pi),)
    lanes = [
        _linked(lane, *links.get(index, ((), ())), *neighbours[index], signal=0 if lane.junction else -1)
        for index, lane in enumerate(lanes)
    ]
    edge = 2 * LANE_WIDTH
    return CityMap(
        name="straight",
        lanes=tuple(lanes),
        boundaries=tuple(np.array([[0.0, y], [STREET_LENGTH, y]]) for y in (-edge, edge)),
        drivable=box(0.0, -edge, STREET_LENGTH, edge),
        dividers=(
            Divider(_along_x(0.0), is_road_divider=True),
            Divider(_along_x(-LANE_WIDTH)),
            Divider(_along_x(LANE_WIDTH)),
        ),
        signals=signals,
        crossings=(_rectangle(*CROSSING_X, -edge, edge),),
        walkways=(
            _rectangle(0.0, STREET_LENGTH, edge, edge + 3.0),
            _rectangle(0.0, STREET_LENGTH, -edge - 3.0, -edge),
        ),
    )


def straight_route(*, y: float = EAST_INNER, length: float = STREET_LENGTH, stops: Sequence[RouteStop] = ()) -> Route:
    """East along the straight city's inner lane, points every half metre."""
    x = np.linspace(0.0, length, round(length * 2) + 1)
    points = np.stack([x, np.full_like(x, y)], axis=1)
    lane = 0 if y > -LANE_WIDTH else 1
    return Route(points, np.full(len(x), SPEED_LIMIT), np.full(len(x), lane, np.int64), tuple(stops))


def signal_route() -> Route:
    """The straight route through `straight_city(signal=True)`, with the stop at its light."""
    route = straight_route(stops=[RouteStop(*CROSSING_X, StopKind.SIGNAL, 0)])
    lane_of = np.select([route.s < CROSSING_X[0], route.s < CROSSING_X[1]], [0, 4], 6)
    return Route(route.points, route.speed_limits, lane_of.astype(np.int64), route.stops)


def cornering_route(radius: float = 10.0, *, approach: float = 80.0, left: bool = True) -> Route:
    """East, a quarter circle to the left (or right), then north (south). Lane 1 of `cornering_city` is the corner."""
    arc = np.pi / 2 * radius
    s = np.linspace(0.0, 2 * approach + arc, round((2 * approach + arc) * 2) + 1)
    angle = np.clip((s - approach) / radius, 0.0, np.pi / 2)
    behind = np.maximum(s - approach - arc, 0.0)
    x = np.minimum(s, approach) + radius * np.sin(angle)
    y = radius * (1 - np.cos(angle)) + behind
    points = np.stack([x, y if left else -y], axis=1)
    lane_of = np.select([s < approach, s < approach + arc], [0, 1], 2).astype(np.int64)
    return Route(points, np.full(len(s), SPEED_LIMIT), lane_of)


def cornering_city(radius: float = 10.0, *, approach: float = 80.0, left: bool = True) -> CityMap:
    """A single lane along `cornering_route`, four metres free on either side of its middle."""
    route = cornering_route(radius, approach=approach, left=left)
    parts = [route.points[route.lane_of == lane] for lane in range(3)]
    turn = Turn.LEFT if left else Turn.RIGHT
    lanes = (
        Lane("in", np.concatenate([parts[0], parts[1][:1]]), successors=(1,), road="in"),
        Lane("corner", np.concatenate([parts[1], parts[2][:1]]), junction="corner", turn=turn,
             successors=(2,), predecessors=(0,)),
        Lane("out", parts[2], predecessors=(1,), road="out"),
    )  # fmt: skip
    area = LineString(route.points).buffer(4.0, cap_style="flat")
    return CityMap("corner", lanes, (np.asarray(area.exterior.coords),), area)


def narrow_city() -> CityMap:
    """One lane each way along x."""
    east = Lane("east", np.array([[0.0, -1.75], [600.0, -1.75]]), road="east")
    west = Lane("west", np.array([[600.0, 1.75], [0.0, 1.75]]), road="west")
    area = box(0.0, -3.5, 600.0, 3.5)
    return CityMap("narrow", (east, west), (np.asarray(area.exterior.coords),), area)


def left_turn() -> tuple[CityMap, Route]:
    """A junction at the origin: the route comes from the west and turns north, through traffic from the east.

    The route yields at lane 1 (its connector) to lane 4, which leads west from lane 3.
    """
    approach, arc = 80.0, np.linspace(0.0, np.pi / 2, 30)
    radius = 10.0
    turn = np.stack([-8.0 + radius * np.sin(arc), -1.75 + radius * (1 - np.cos(arc))], axis=1)
    lanes = (
        Lane("in", np.array([[-8.0 - approach, -1.75], [-8.0, -1.75]]), successors=(1,), road="in"),
        Lane("left", turn, junction="j", turn=Turn.LEFT, successors=(2,), predecessors=(0,), yields_to=(4,)),
        Lane("out", np.array([turn[-1], turn[-1] + [0.0, 80.0]]), predecessors=(1,), road="out"),
        Lane("oncoming", np.array([[160.0, 1.75], [8.0, 1.75]]), successors=(4,), road="oncoming"),
        Lane("straight", np.array([[8.0, 1.75], [-8.0, 1.75]]), junction="j", successors=(5,), predecessors=(3,)),
        Lane("west", np.array([[-8.0, 1.75], [-88.0, 1.75]]), predecessors=(4,), road="west"),
    )
    area = LineString([(-88, 0), (160, 0)]).buffer(8.0).union(box(-6.0, 0.0, 9.0, 100.0))
    city = CityMap("left_turn", lanes, (np.asarray(area.exterior.coords),), area)
    corners = np.concatenate([lanes[0].centerline[:1], turn, lanes[2].centerline[1:]])
    line = LineString(corners)
    s = np.linspace(0.0, line.length, round(line.length * 2))
    points = np.array([line.interpolate(v).coords[0] for v in s])
    end = approach + radius * np.pi / 2
    lane_of = np.select([s < approach, s < end], [0, 1], 2).astype(np.int64)
    stops = (RouteStop(approach, end, StopKind.YIELD, 1),)
    return city, Route(points, np.full(len(points), 11.0), lane_of, stops)


def actor(
    kind: ActorKind,
    x: float,
    y: float,
    *,
    heading: float = 0.0,
    speed: float = 0.0,
    name: str = "",
    acceleration: float = 0.0,
    flags: ActorFlag | int = 0,
) -> Actors:
    """One actor, its footprint's middle at (x, y), moving along its heading. Join several with `join_actors`."""
    velocity = speed * np.array([np.cos(heading), np.sin(heading)])
    return make_actors(
        [name or f"{kind.name.lower()}-{x:g}-{y:g}"],
        [models_of(kind)[0]],
        [[x, y]],
        [heading],
        velocities=[velocity],
        accelerations=[acceleration],
        flags=[int(flags)],
    )


class ScriptedTraffic:
    """Traffic that a function of time tells: for tests of everything that reacts to moving actors."""

    def __init__(
        self,
        city: CityMap,
        actors_at: Callable[[float], Actors],
        signals_at: Callable[[float], Sequence[int]] | None = None,
    ) -> None:
        self._city = city
        self._actors_at = actors_at
        self._signals_at = signals_at or (lambda _: [SignalColor.OFF] * len(city.signals))
        self._steps = 0

    @property
    def city(self) -> CityMap:
        return self._city

    def start(self, ego: EgoState) -> TrafficState:
        self._steps = 0
        return self._state()

    def step(self, ego: EgoState) -> TrafficState:
        self._steps += 1
        return self._state()

    def close(self) -> None:
        pass

    def _state(self) -> TrafficState:
        time_s = self._steps * TRAFFIC_STEP_S
        return TrafficState(time_s, self._actors_at(time_s), np.asarray(self._signals_at(time_s), np.int64))


def gliding(actors: Actors) -> Callable[[float], Actors]:
    """For `ScriptedTraffic`: everybody keeps the velocity of time 0."""

    def at(time_s: float) -> Actors:
        moved = actors.select(range(len(actors)))
        moved.positions[:, :2] += moved.velocities * time_s
        return moved

    return at


def start_on(
    route: Route, s: float = 10.0, speed: float = 0.0, *, lateral: float = 0.0, turned: float = 0.0
) -> EgoState:
    """The ego on a route at arc length `s`, `lateral` m to its left, turned against it by `turned` rad."""
    place, heading = route.pose_at(s, lateral)
    return EgoState(0.0, float(place[0]), float(place[1]), float(heading) + turned, speed=speed)


def stage(
    actors: Actors | None = None,
    *,
    city: CityMap | None = None,
    route: Route | None = None,
    traffic: Traffic | None = None,
    start_s: float = 10.0,
    speed: float = 0.0,
    start: EgoState | None = None,
    duration_s: float | None = None,
) -> Stage:
    """A small stage: the straight city with actors that stand still, unless told otherwise."""
    city = city or straight_city()
    route = route or straight_route()
    return Stage(
        city=city,
        scenery=Scenery(),
        traffic=traffic or StillTraffic(city, no_actors() if actors is None else actors),
        route=route,
        start=start or start_on(route, start_s, speed),
        duration_s=duration_s,
    )


def _along_x(y: float) -> np.ndarray:
    return np.array([[0.0, y], [STREET_LENGTH, y]])


def _rectangle(x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _lane(name: str, x0: float, x1: float, y: float, junction: str = "") -> Lane:
    points = np.stack([np.linspace(x0, x1, 61), np.full(61, y)], axis=1)
    return Lane(name, points, LANE_WIDTH, SPEED_LIMIT, junction=junction, road=name.rpartition("_")[0])


def _linked(
    lane: Lane, successors: tuple[int, ...], predecessors: tuple[int, ...], left: int, right: int, *, signal: int
) -> Lane:
    return Lane(
        lane.id,
        lane.centerline,
        lane.width,
        lane.speed_limit,
        successors,
        predecessors,
        left,
        right,
        lane.junction,
        lane.turn,
        signal,
        road=lane.road,
    )
