"""Free driving: a way through the city, with whatever comes."""

from __future__ import annotations

from aln_p3_core.frame import Command
from aln_p3_core.world.city.city_map import CityMap, Turn
from aln_p3_core.world.city.routing import random_route
from aln_p3_core.world.route import Route, StopKind
from aln_p3_core.world.scenarios.scenario import Ground, Play, Scenario, start_on
from aln_p3_core.world.traffic.sumo_demand import Demand

_LENGTH_M = (300.0, 380.0)
#: A route has a light, but lights and long ways cost time: not more than so many lights, and so many metres.
_MOST_LIGHTS = 2
_MOST_M = 520.0
_TRIES = 12
#: A turn that is asked for begins so near to the start, m, that it is reached in a recorded scene.
_TURN_WITHIN_M = 90.0
_TURN_TRIES = 60
#: Setting of an episode: the side of the first turn, "left" or "right".
FIRST_TURN = "first_turn"


def build_free_driving(ground: Ground) -> Play:
    """A random route of 300 m or more in more or less dense traffic.

    The setting `FIRST_TURN` asks for a turn to that side near the start, whatever waits there; where no such route is
    found, it is one of the usual.
    """
    rng = ground.rng
    side = ground.settings.get(FIRST_TURN)
    route = _turning_route(ground, Command[str(side).upper()]) if side else _route(ground)
    demand = Demand(
        vehicles_per_km=float(rng.uniform(5.0, 10.0)),
        walkers_per_km=float(rng.uniform(10.0, 30.0)),
        parked=float(rng.uniform(0.4, 0.8)),
    )
    speed = float(rng.choice([0.0, rng.uniform(0.4, 0.9)], p=[0.25, 0.75])) * float(route.speed_limits[0])
    return Play(route, start_on(route, speed), demand)


def _route(ground: Ground) -> Route:
    """The first route that is as it should be, or the one that is nearest to that."""
    routes: list[Route] = []
    while len(routes) < _TRIES and (not routes or _excess(ground.city, routes[-1]) > 0.0):
        routes.append(random_route(ground.city, ground.rng, float(ground.rng.uniform(*_LENGTH_M))))
    return min(routes, key=lambda route: _excess(ground.city, route))


def _turning_route(ground: Ground, side: Command) -> Route:
    for _ in range(_TURN_TRIES):
        route = random_route(ground.city, ground.rng, _LENGTH_M[0])
        if route.turns and route.turns[0][0] < _TURN_WITHIN_M and route.turns[0][2] is side:
            return route
    return _route(ground)


def _excess(city: CityMap, route: Route) -> float:
    """How far a route is from what it should be, m: a light too many counts as 200, none at all as 100.

    A left turn that has to give way counts as 80: behind others who wait there, the ego may stand for long.
    """
    lights = _lights(route)
    waits = [stop for stop in route.stops if stop.kind is StopKind.YIELD and city.lanes[stop.index].signal < 0]
    lefts = sum(city.lanes[stop.index].turn is Turn.LEFT for stop in waits)
    lit = 100.0 if lights == 0 else max(0.0, 200.0 * (lights - _MOST_LIGHTS))
    return lit + 80.0 * lefts + max(0.0, route.length - _MOST_M)


def _lights(route: Route) -> int:
    return sum(stop.kind is StopKind.SIGNAL for stop in route.stops)


FREE_DRIVING = Scenario("free_driving", "a way through the city in whatever traffic comes", 160.0, build_free_driving)
