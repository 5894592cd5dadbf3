"""Who may come from the side: a pedestrian from between parked cars, a cyclist over a crossing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, make_actors
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import CityMap, Lane
from aln_p3_core.world.route import Route, RouteStop, StopKind
from aln_p3_core.world.scenarios.scenario import Ground, Play, Scenario, quiet_streets, start_on
from aln_p3_core.world.scenarios.sites import long_lanes, no_place, pick_model, route_from
from aln_p3_core.world.traffic.looks import paint_of
from aln_p3_core.world.traffic.script import Phase, Script, Trigger, straight_path
from aln_p3_core.world.traffic.sumo import StageTraffic

#: Parking places beside a lane: so far to its right, m.
_BESIDE_M = (1.9, 4.5)
#: Between two neighbouring places, m.
_APART_M = (5.5, 9.0)
#: Who steps out comes into view half a metre behind the cars' side.
_HIDDEN_M = 0.4
#: The ego can stop before whoever comes: seconds to react, and braking in m/s^2.
_REACTION_S = (0.85, 1.15)
_BRAKING = 4.0
#: A cyclist waits, and ends, so far from the edge of the road, m.
_FROM_KERB_M = 1.8


def build_pedestrian_steps_out(ground: Ground) -> Play:
    """Somebody steps out from between parked cars right before the ego, which has just room to stop."""
    rng, city = ground.rng, ground.city
    for lane in long_lanes(city, rng, 95.0):
        places = _places_beside(city.lanes[lane], ground.scenery.parking)
        if len(places):
            break
    else:
        raise no_place(city, "parking places beside a straight lane")
    behind, before = places[int(rng.integers(len(places)))]
    here = city.lanes[lane]
    gap = 0.5 * (behind[:2] + before[:2])
    along = _along(here, gap)[0]
    start_s = max(2.0, along - float(rng.uniform(55.0, 75.0)))
    route = route_from(city, lane, start_s, max(along - start_s + 60.0, 150.0))
    place_s, aside = route.project(gap)
    model = pick_model(ActorKind.PEDESTRIAN, rng)
    cars = _parked_beside(rng, (behind, before))
    side_m = -aside - 0.5 * MODELS[cars.models[0]].size_lwh[1] + _HIDDEN_M
    kerb_m = _to_kerb(city, route, place_s, 1.0)
    path = _across(route, place_s, -side_m, kerb_m + 1.2)
    trigger = Trigger(ego_stops_at=(place_s - 0.8, float(rng.uniform(*_REACTION_S)), _BRAKING))
    phases = (Phase(speed=0.0, until=trigger), Phase(meets_at=(side_m, place_s), heedless=True))
    person = Script("pedestrian", model, path, phases)
    over, _ = route.pose_at(place_s, kerb_m)
    circles = np.array([[*behind[:2], 3.0], [*before[:2], 3.0], [*over, 3.5]])
    setting = StageTraffic(scripts=(person,), things=cars, clear_edges=(here.road,))
    speed = float(rng.uniform(0.7, 0.95)) * here.speed_limit
    return Play(route, start_on(route, speed), quiet_streets(parked=0.8), setting, circles)


def build_crossing_cyclist(ground: Ground) -> Play:
    """A cyclist crosses the street right before the ego, which has just room to stop."""
    rng, city = ground.rng, ground.city
    lane, route, place_s = _cyclists_way(ground)
    side = float(rng.choice([-1.0, 1.0]))
    near, far = _to_kerb(city, route, place_s, side), _to_kerb(city, route, place_s, -side)
    path = _across(route, place_s, side * (near + _FROM_KERB_M), -side * (far + _FROM_KERB_M))
    phases = (
        Phase(
            speed=0.0,
            until=Trigger(
                ego_stops_at=(place_s - 1.2, float(rng.uniform(*_REACTION_S)) + 0.3, _BRAKING), ego_stands_s=1.5
            ),
        ),
        Phase(meets_at=(near + _FROM_KERB_M, place_s), acceleration=4.0, heedless=True),
    )
    cyclist = Script("cyclist", pick_model(ActorKind.BICYCLE, rng), path, phases, flags=ActorFlag.RIDER)
    setting = StageTraffic(scripts=(cyclist,), clear_edges=(city.lanes[lane].road,))
    speed = float(rng.uniform(0.7, 0.9)) * city.lanes[lane].speed_limit
    return Play(route, start_on(route, speed), quiet_streets(), setting)


def _cyclists_way(ground: Ground) -> tuple[int, Route, float]:
    """Where the ego starts (lane), its route, and where on it the cyclist comes (m)."""
    rng, city = ground.rng, ground.city
    for lane in long_lanes(city, rng, 45.0):
        length = city.lanes[lane].length
        start_s = max(2.0, length - float(rng.uniform(65.0, 90.0)))
        route = route_from(city, lane, start_s, length - start_s + 100.0)
        stop = _crossing_of(route, 45.0, 125.0)
        if stop is not None:
            return lane, route, 0.5 * (stop.s + stop.end_s)
    # Cyclists cross elsewhere, too, where the street is narrow.
    lane = long_lanes(city, rng, 95.0, lambda lane: lane.left < 0 and lane.right < 0)[0]
    start_s = float(rng.uniform(2.0, 8.0))
    return lane, route_from(city, lane, start_s, 160.0), float(rng.uniform(60.0, 75.0))


def _crossing_of(route: Route, from_s: float, to_s: float) -> RouteStop | None:
    """The first crossing of a route that it goes straight over, and that is no part of a junction with a light."""
    lights = [stop.s for stop in route.stops if stop.kind is StopKind.SIGNAL]
    for stop in route.stops:
        guarded = any(abs(stop.s - s) < 40.0 or s < stop.s for s in lights)
        if stop.kind is StopKind.CROSSING and from_s < stop.s < to_s and not guarded and _is_even(route, stop.s):
            return stop
    return None


def _is_even(route: Route, s: float) -> bool:
    """Whether a route goes straight on around a place, at one speed: nobody slows down there for a turn or a limit."""
    _, headings = route.pose_at(np.array([s - 15.0, s, s + 25.0]))
    limits = route.speed_limits[(route.s > s - 35.0) & (route.s < s + 15.0)]
    return bool(np.ptp(np.unwrap(headings)) < 0.3 and np.ptp(limits) < 0.1)


def _along(lane: Lane, xy: FloatArray) -> FloatArray:
    """m along a straight lane, and to the left of it, of places [..., 2]: [2, ...]."""
    ahead = lane.centerline[-1] - lane.centerline[0]
    ahead = ahead / np.linalg.norm(ahead)
    offset = np.asarray(xy) - lane.centerline[0]
    return np.array([offset @ ahead, offset @ np.array([-ahead[1], ahead[0]])])


def _places_beside(lane: Lane, parking: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Pairs of neighbouring parking places to the right of a lane, far enough along it: the first is passed first."""
    s, aside = _along(lane, parking[:, :2])
    ahead = lane.centerline[-1] - lane.centerline[0]
    aligned = np.cos(parking[:, 2] - np.arctan2(ahead[1], ahead[0])) > 0.95
    fits = aligned & (s > 55.0) & (s < lane.length - 12.0) & (aside < -_BESIDE_M[0]) & (aside > -_BESIDE_M[1])
    rows = np.flatnonzero(fits)
    rows = rows[np.argsort(s[rows])]
    return [(parking[a], parking[b]) for a, b in pairwise(rows) if _APART_M[0] < s[b] - s[a] < _APART_M[1]]


def _parked_beside(rng: np.random.Generator, places: tuple[FloatArray, FloatArray]) -> Actors:
    """Two parked cars."""
    names = ["parked-behind", "parked-before"]
    models = [pick_model(ActorKind.CAR, rng) for _ in names]
    colors = [paint_of(ActorKind.CAR, f"{name}-{rng.integers(1000)}") for name in names]
    rows = np.array(places)
    return make_actors(names, models, rows[:, :2], rows[:, 2], colors=colors, flags=[int(ActorFlag.PARKED)] * 2)


def _to_kerb(city: CityMap, route: Route, s: float, side: float) -> float:
    """How far the edge of the road is to the left (side 1) or right (-1) of a route, m."""
    distances = np.arange(0.5, 30.0, 0.25)
    places, _ = route.pose_at(np.full_like(distances, s), side * distances)
    outside = ~shapely.contains_xy(city.drivable, places[:, 0], places[:, 1])
    return float(distances[int(np.argmax(outside))]) if outside.any() else float(distances[-1])


def _across(route: Route, s: float, from_lateral: float, to_lateral: float) -> Route:
    ends, _ = route.pose_at(np.array([s, s]), np.array([from_lateral, to_lateral]))
    return straight_path(ends)


PEDESTRIAN_STEPS_OUT = Scenario(
    "pedestrian_steps_out", "somebody steps out from between parked cars", 80.0, build_pedestrian_steps_out
)
CROSSING_CYCLIST = Scenario(
    "crossing_cyclist", "a cyclist crosses the street right before the ego", 80.0, build_crossing_cyclist
)
