"""Where in a city a scenario fits: lanes that are straight and long enough, and routes that begin on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import models_of
from aln_p3_core.world.city.city_map import CityMap, Lane, Turn
from aln_p3_core.world.city.routing import route_along_lanes
from aln_p3_core.world.route import Route

#: A lane whose heading changes by less is straight, rad.
_STRAIGHT_RAD = 0.2
#: What each sort of connector costs when a route goes on after the scenario, as detours, m.
_SIGNAL_COST, _YIELD_COST, _TURN_COST = 60.0, 40.0, 20.0
#: A route ends at least so far within its last lane, m.
_INTO_LAST_M = 15.0
#: Nobody ends in the queue before a junction: a route ends so far before it, m, and may be shorter by a share for that.
_QUEUE_M = 45.0
_SHORTER_SHARE = 0.2


def is_straight(lane: Lane) -> bool:
    """A driving lane without bends."""
    steps = np.diff(lane.centerline, axis=0)
    return not lane.is_connector and float(np.ptp(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))) < _STRAIGHT_RAD


def long_lanes(
    city: CityMap,
    rng: np.random.Generator,
    length_m: float,
    accept: Callable[[Lane], bool] | None = None,
    *,
    straight: bool = True,
) -> list[int]:
    """Lanes (straight ones, unless told otherwise) of at least a length that lead on somewhere, in random order.

    Raises:
        ConfigError: when the city has none.
    """
    found = [
        index
        for index, lane in enumerate(city.lanes)
        if not lane.is_connector
        and lane.length >= length_m
        and (not straight or is_straight(lane))
        and _goes_on(city, lane)
        and (accept is None or accept(lane))
    ]
    if not found:
        raise no_place(city, f"a {'straight ' if straight else ''}lane of {length_m:.0f} m")
    return [found[i] for i in rng.permutation(len(found))]


def no_place(city: CityMap, what: str) -> ConfigError:
    """The error of a city without a place for a scenario."""
    return ConfigError(f"{city.name} has no place for this scenario: it needs {what}; choose another city")


def lanes_ahead(city: CityMap, lane: int, length_m: float) -> tuple[list[int], float]:
    """Lanes that go on from the end of a lane for a length, the quietest way, and where to end in the last one, m."""
    lanes, gone = [lane], 0.0
    end_s = city.lanes[lane].length
    while gone < length_m:
        choices = [c for c in city.lanes[lanes[-1]].successors if city.lanes[c].turn is not Turn.U_TURN]
        choices = [c for c in choices if city.lanes[city.lanes[c].successors[0]].road != city.lanes[lanes[-1]].road]
        if not choices:
            break
        connector = min(choices, key=lambda c: (_cost(city.lanes[c]), c))
        following = city.lanes[connector].successors[0]
        if following in lanes:
            break
        lanes += [connector, following]
        gone += city.lanes[connector].length
        rest = city.lanes[following].length
        end_s = float(np.clip(length_m - gone, _INTO_LAST_M, max(rest - _QUEUE_M, min(_INTO_LAST_M, rest))))
        gone += rest
    return lanes, end_s


def route_from(city: CityMap, lane: int, start_s: float, length_m: float) -> Route:
    """A route that begins on a lane and goes on for about a length: to the lane's end and the quietest way on."""
    here = city.lanes[lane].length - start_s
    if here - _QUEUE_M >= (1.0 - _SHORTER_SHARE) * length_m:
        end_s = min(start_s + length_m, city.lanes[lane].length - _QUEUE_M)
        return route_along_lanes(city, [lane], start_s=start_s, end_s=end_s)
    lanes, end_s = lanes_ahead(city, lane, length_m - here)
    return route_along_lanes(city, lanes, start_s=start_s, end_s=end_s)


def pick_model(kind: ActorKind, rng: np.random.Generator) -> int:
    """A model of a kind by lot."""
    models = models_of(kind)
    return models[int(rng.integers(len(models)))]


def pick_car(rng: np.random.Generator) -> int:
    """A car, or now and then a van."""
    return pick_model(ActorKind.VAN if rng.random() < 0.15 else ActorKind.CAR, rng)


def lane_offset(city: CityMap, lane: int, beside: int) -> float:
    """How far a neighbour lane lies to the left (negative: to the right) of a lane, m."""
    width = 0.5 * (city.lanes[lane].width + city.lanes[beside].width)
    return width if city.lanes[lane].left == beside else -width


def _cost(connector: Lane) -> float:
    turn = 0.0 if connector.turn is Turn.STRAIGHT else _TURN_COST
    return turn + (_SIGNAL_COST if connector.signal >= 0 else 0.0) + (_YIELD_COST if connector.yields_to else 0.0)


def _goes_on(city: CityMap, lane: Lane) -> bool:
    return any(city.lanes[c].turn is not Turn.U_TURN for c in lane.successors)
