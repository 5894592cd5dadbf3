"""At junctions: a left turn through oncoming traffic, a light that turns red, a lane that ends in another."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.actors import ActorFlag
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import CityMap, Lane, Turn
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.city.routing import route_along_lanes
from aln_p3_core.world.route import Route, StopKind
from aln_p3_core.world.scenarios.scenario import Ground, Play, Scenario, quiet_streets, start_on
from aln_p3_core.world.scenarios.sites import is_straight, lanes_ahead, long_lanes, no_place, pick_car
from aln_p3_core.world.traffic.light_script import LightScript
from aln_p3_core.world.traffic.script import Phase, Script, Trigger
from aln_p3_core.world.traffic.sumo import StageTraffic
from aln_p3_core.world.traffic.sumo_guests import FRONT_AHEAD_M, roads_of

#: A stream of oncoming cars: at least so long a road to come along, m.
_STREAM_ROAD_M = 75.0


def build_unprotected_left(ground: Ground) -> Play:
    """The ego turns left through a stream of oncoming cars that goes first; there are gaps, and it ends."""
    rng, city = ground.rng, ground.city
    turns = _unprotected_lefts(city)
    if not turns:
        raise no_place(city, "a left turn that yields to oncoming traffic")
    turn, oncoming = turns[int(rng.integers(len(turns)))]
    lane = city.lanes[turn].predecessors[0]
    here = city.lanes[lane]
    start_s = max(2.0, here.length - float(rng.uniform(60.0, 85.0)))
    ahead, end_s = lanes_ahead(city, city.lanes[turn].successors[0], 20.0)
    if city.lanes[ahead[0]].length > 70.0:
        ahead, end_s = ahead[:1], 60.0
    route = route_along_lanes(city, [lane, turn, *ahead], start_s=start_s, end_s=end_s)
    speed = float(rng.uniform(0.7, 0.9)) * here.speed_limit
    start = start_on(route, speed)
    arrival_s = (here.length - start_s) / (0.9 * here.speed_limit)
    other = city.lanes[city.lanes[oncoming].predecessors[0]]
    travel_s = other.length / (0.9 * other.speed_limit)
    onward = city.lanes[city.lanes[oncoming].successors[0]]
    # The first ones pass shortly before the ego comes; some of the gaps are long enough for a quick driver.
    times = arrival_s - travel_s - 6.0 + np.cumsum(rng.uniform(1.6, 3.4, int(rng.integers(7, 10))))
    streams = tuple(((other.road, onward.road), float(time), pick_car(rng)) for time in times)
    lights = _lights(ground, route, turn, arrival_s=None)
    circle = np.array([[*city.lanes[turn].centerline.mean(axis=0), 25.0]])
    setting = StageTraffic(clear_edges=(here.road, other.road), clear_circles=circle, streams=streams, lights=lights)
    return Play(route, start, quiet_streets(), setting)


def build_red_light(ground: Ground) -> Play:
    """A light ahead turns yellow and red in time for the ego to stop, and green again."""
    rng, city = ground.rng, ground.city
    for lane in long_lanes(city, rng, 70.0, lambda lane: any(city.lanes[c].signal >= 0 for c in lane.successors)):
        straight = [c for c in city.lanes[lane].successors if city.lanes[c].turn is Turn.STRAIGHT]
        if straight and city.lanes[straight[0]].signal >= 0:
            break
    else:
        raise no_place(city, "a light at the end of a straight lane")
    here = city.lanes[lane]
    start_s = max(2.0, here.length - float(rng.uniform(70.0, 110.0)))
    after = city.lanes[straight[0]].successors[0]
    end_s = min(70.0, 0.8 * city.lanes[after].length)
    route = route_along_lanes(city, [lane, straight[0], after], start_s=start_s, end_s=end_s)
    lights = _lights(ground, route, straight[0], float(rng.uniform(3.4, 4.2)), float(rng.uniform(9.0, 15.0)))
    setting = StageTraffic(clear_edges=(here.road,), lights=lights)
    return Play(route, start_on(route, float(rng.uniform(0.7, 0.95)) * here.speed_limit), quiet_streets(), setting)


def build_merge(ground: Ground) -> Play:
    """Two lanes become one, and a car in the other lane comes there half a length before the ego."""
    rng, city = ground.rng, ground.city
    merges = _merges(city)
    if not merges:
        raise no_place(city, "two lanes that become one")
    own, others = merges[int(rng.integers(len(merges)))]
    if rng.random() < 0.5:
        own, others = others, own
    lane, beside = city.lanes[own].predecessors[0], city.lanes[others].predecessors[0]
    here = city.lanes[lane]
    limit = here.speed_limit
    start_s = float(rng.uniform(2.0, 6.0))
    ahead, end_s = lanes_ahead(city, city.lanes[own].successors[0], 30.0)
    route = route_along_lanes(city, [lane, own, *ahead], start_s=start_s, end_s=end_s)
    theirs = route_along_lanes(city, [beside, others, *ahead], start_s=start_s, end_s=end_s)
    merge_s = here.length - start_s
    model = pick_car(rng)
    length = MODELS[model].size_lwh[0]
    # Its front is a little ahead of the ego's: whoever is ahead goes first.
    gap = 1.2 - length + float(rng.uniform(0.0, 1.2))
    speed = float(rng.uniform(0.65, 0.8)) * limit
    phases = (
        Phase(
            speed=0.5 * limit,
            gap_m=gap,
            top_speed=1.1 * limit,
            acceleration=3.0,
            until=Trigger(at_s=merge_s - 8.0),
        ),
        Phase(until=Trigger(at_s=merge_s + 40.0)),
        Phase(speed=0.85 * limit, until=Trigger(after_s=1.0)),
    )
    left = here.left == beside
    car = Script(
        "merging",
        model,
        theirs,
        phases,
        start_s=FRONT_AHEAD_M + gap + length / 2,
        speed=speed,
        flags=ActorFlag.RIGHT if left else ActorFlag.LEFT,
        edges=roads_of(city, route),
    )
    setting = StageTraffic(scripts=(car,), clear_edges=(here.road, city.lanes[ahead[0]].road))
    return Play(route, start_on(route, speed), quiet_streets(), setting)


def _lights(
    ground: Ground, route: Route, connector: int, arrival_s: float | None, red_s: float = 10.0
) -> tuple[LightScript, ...]:
    """The light that a connector obeys, if there is one."""
    signal = ground.city.lanes[connector].signal
    if signal < 0:
        return ()
    stop_s = next(stop.s for stop in route.stops if stop.kind is StopKind.SIGNAL and stop.index == signal)
    links = ground.town.signal_links
    return (LightScript(links.tls[signal], links.links[signal][0], stop_s, arrival_s, red_s=red_s),)


def _unprotected_lefts(city: CityMap) -> list[tuple[int, int]]:
    """Left turns that yield to oncoming traffic, with the connector of that traffic; without a light if there are."""
    found = []
    for index, lane in enumerate(city.lanes):
        if lane.turn is not Turn.LEFT or not lane.yields_to:
            continue
        approach = city.lanes[lane.predecessors[0]]
        for foe in lane.yields_to:
            oncoming = city.lanes[foe]
            road = city.lanes[oncoming.predecessors[0]]
            if oncoming.turn is Turn.STRAIGHT and _opposed(approach, road) and road.length > _STREAM_ROAD_M:
                if is_straight(approach) and approach.length > 55.0:
                    found.append((index, foe))
                break
    without = [pair for pair in found if city.lanes[pair[0]].signal < 0]
    return without or found


def _opposed(one: Lane, other: Lane) -> bool:
    return bool(np.cos(heading_at(one.centerline, np.inf) - heading_at(other.centerline, np.inf)) < -0.85)


def _merges(city: CityMap) -> list[tuple[int, int]]:
    """Pairs of connectors from neighbouring lanes into the same lane."""
    into: dict[int, list[int]] = {}
    for index, lane in enumerate(city.lanes):
        if lane.is_connector and lane.turn is Turn.STRAIGHT and lane.signal < 0:
            into.setdefault(lane.successors[0], []).append(index)
    pairs = []
    for connectors in into.values():
        roads = {city.lanes[city.lanes[c].predecessors[0]].road for c in connectors}
        long_enough = all(city.lanes[city.lanes[c].predecessors[0]].length > 75.0 for c in connectors)
        if len(connectors) == 2 and len(roads) == 1 and long_enough:
            pairs.append((connectors[0], connectors[1]))
    return pairs


UNPROTECTED_LEFT = Scenario(
    "unprotected_left", "a left turn through oncoming traffic that goes first", 80.0, build_unprotected_left
)
RED_LIGHT = Scenario("red_light", "a light turns red before the ego and green again", 80.0, build_red_light)
MERGE = Scenario("merge", "two lanes become one, with a car beside", 80.0, build_merge)
