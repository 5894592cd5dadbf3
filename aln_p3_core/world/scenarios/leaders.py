"""What the vehicle ahead may do: brake hard, cut in, cut out and reveal a stopped car, stop as a bus does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import Lane
from aln_p3_core.world.route import Route
from aln_p3_core.world.scenarios.scenario import Ground, Play, Scenario, quiet_streets, start_on
from aln_p3_core.world.scenarios.sites import lane_offset, long_lanes, pick_car, pick_model, route_from
from aln_p3_core.world.traffic.script import Phase, Script, Trigger
from aln_p3_core.world.traffic.sumo import StageTraffic
from aln_p3_core.world.traffic.sumo_guests import FRONT_AHEAD_M, roads_of

_START_S = (4.0, 12.0)
_HAZARD = ActorFlag.LEFT | ActorFlag.RIGHT


def _street(
    ground: Ground,
    need_m: float,
    length_m: float,
    accept: Callable[[Lane], bool] | None = None,
    *,
    straight: bool = True,
) -> tuple[int, float, Route]:
    """A lane with `need_m` of it ahead of the ego: lane, where the ego starts on it (m), and the route."""
    lane = long_lanes(ground.city, ground.rng, need_m + _START_S[1], accept, straight=straight)[0]
    # Somewhere on it: there is no need to begin at its beginning.
    spare = ground.city.lanes[lane].length - need_m - _START_S[1]
    start_s = float(ground.rng.uniform(*_START_S) + ground.rng.uniform(0.0, 0.6) * spare)
    return lane, start_s, route_from(ground.city, lane, start_s, length_m)


def _moves_off(limit: float) -> Phase:
    return Phase(speed=0.9 * limit, until=Trigger(after_s=3.0))


def _play(ground: Ground, route: Route, speed: float, scripts: tuple[Script, ...], lane: int) -> Play:
    setting = StageTraffic(scripts=scripts, clear_edges=(ground.city.lanes[lane].road,))
    return Play(route, start_on(route, speed), quiet_streets(), setting)


def build_lead_brakes(ground: Ground) -> Play:
    """The vehicle ahead brakes hard, to a standstill, for no visible reason, and goes on after a while."""
    rng = ground.rng
    lane, _, route = _street(ground, 105.0, 190.0)
    limit = ground.city.lanes[lane].speed_limit
    speed = float(rng.uniform(0.75, 0.95)) * limit
    gap = 3.0 + float(rng.uniform(1.0, 1.3)) * speed
    edges = roads_of(ground.city, route)
    braking = float(rng.uniform(5.0, 7.0))
    phases = (
        Phase(speed=0.6 * limit, gap_m=gap, top_speed=limit, until=Trigger(after_s=float(rng.uniform(2.0, 3.5)))),
        Phase(speed=0.0, braking=braking, until=Trigger(after_s=speed / braking + float(rng.uniform(2.0, 4.0)))),
        _moves_off(limit),
    )
    model = pick_car(rng)
    lead = Script("lead", model, route, phases, start_s=_behind(route, gap, model), speed=speed, edges=edges)
    return _play(ground, route, speed, (lead,), lane)


def build_cut_in(ground: Ground) -> Play:
    """A car from the lane beside moves in close ahead of the ego and slows down."""
    rng = ground.rng
    lane, _, route = _street(ground, 130.0, 210.0, lambda lane: max(lane.left, lane.right) >= 0)
    here = ground.city.lanes[lane]
    limit = here.speed_limit
    speed = float(rng.uniform(0.75, 0.9)) * limit
    beside = here.left if here.left >= 0 and (here.right < 0 or rng.random() < 0.5) else here.right
    offset = lane_offset(ground.city, lane, beside)
    side = ActorFlag.RIGHT if offset > 0 else ActorFlag.LEFT
    gap = float(rng.uniform(6.0, 9.0))
    edges = roads_of(ground.city, route)
    # The indicator comes on a second before.
    wait, over_s = float(rng.uniform(0.8, 2.0)), float(rng.uniform(2.2, 2.8))
    phases = (
        Phase(speed=0.5 * limit, gap_m=gap, top_speed=1.2 * limit, acceleration=3.0, until=Trigger(after_s=wait)),
        Phase(
            speed=0.5 * limit,
            gap_m=gap,
            top_speed=1.2 * limit,
            acceleration=3.0,
            flags=side,
            until=Trigger(after_s=1.0),
        ),
        Phase(
            speed=0.5 * limit, braking=1.0, lateral_m=0.0, lateral_s=over_s, flags=side, until=Trigger(after_s=over_s)
        ),
        Phase(
            speed=float(rng.uniform(0.4, 0.5)) * limit, braking=float(rng.uniform(2.5, 3.5)), until=Trigger(after_s=4.0)
        ),
        _moves_off(limit),
    )
    model = pick_car(rng)
    start = _behind(route, gap, model)
    other = Script("cutter", model, route, phases, start_s=start, lateral_m=offset, speed=speed, edges=edges)
    return _play(ground, route, speed, (other,), lane)


def build_cut_out(ground: Ground) -> Play:
    """The vehicle ahead swerves into the lane beside and reveals a car that has stopped."""
    rng = ground.rng
    lane, _, route = _street(ground, 150.0, 220.0, lambda lane: max(lane.left, lane.right) >= 0)
    here = ground.city.lanes[lane]
    limit = here.speed_limit
    speed = float(rng.uniform(0.75, 0.85)) * limit
    beside = here.left if here.left >= 0 else here.right
    offset = lane_offset(ground.city, lane, beside)
    side = ActorFlag.LEFT if offset > 0 else ActorFlag.RIGHT
    gap = 3.0 + float(rng.uniform(0.9, 1.2)) * speed
    edges = roads_of(ground.city, route)
    model, stopped_model = pick_model(ActorKind.VAN, rng), pick_model(ActorKind.CAR, rng)
    stop_s = float(rng.uniform(100.0, 115.0))
    swerve_s = float(rng.uniform(2.0, 2.4))
    swerve_m = swerve_s * speed + 7.0
    phases = (
        Phase(speed=0.6 * limit, gap_m=gap, top_speed=speed, until=Trigger(at_s=stop_s - swerve_m), braking=2.0),
        Phase(lateral_m=offset, lateral_s=swerve_s, heedless=True, flags=side, until=Trigger(after_s=swerve_s + 0.5)),
        _moves_off(limit),
    )
    lead = Script("lead", model, route, phases, start_s=_behind(route, gap, model), speed=speed, edges=edges)
    # It goes on when the ego has waited behind it, or has found its way around it.
    waits = Trigger(ego_stands_s=float(rng.uniform(1.5, 4.0)), ego_reaches=stop_s + 12.0, after_s=25.0)
    stopped = Script(
        "stopped",
        stopped_model,
        route,
        (Phase(speed=0.0, flags=_HAZARD, until=waits), _moves_off(limit)),
        start_s=stop_s,
        edges=edges,
    )
    return _play(ground, route, speed, (lead, stopped), lane)


def build_bus_stop(ground: Ground) -> Play:
    """A bus ahead stops in the lane, lets people in and out, and goes on."""
    rng = ground.rng
    # With a second lane the ego would not have to wait.
    lane, _, route = _street(ground, 115.0, 190.0, lambda lane: lane.right < 0 and lane.left < 0, straight=False)
    limit = ground.city.lanes[lane].speed_limit
    bus_speed = float(rng.uniform(6.0, 8.0))
    braking = float(rng.uniform(1.2, 1.6))
    gap = float(rng.uniform(22.0, 30.0))
    model = pick_model(ActorKind.BUS, rng)
    edges = roads_of(ground.city, route)
    start = _behind(route, gap, model)
    drives = float(rng.uniform(8.0, 25.0))
    hold = float(rng.uniform(3.5, 6.0))
    phases = (
        Phase(speed=bus_speed, until=Trigger(at_s=start + drives)),
        Phase(speed=0.0, braking=braking, flags=ActorFlag.RIGHT, until=Trigger(after_s=bus_speed / braking + hold)),
        Phase(speed=0.0, flags=ActorFlag.LEFT, until=Trigger(after_s=1.0)),
        Phase(speed=0.8 * limit, acceleration=1.2, flags=ActorFlag.LEFT, until=Trigger(after_s=2.5)),
    )
    bus = Script("bus", model, route, phases, start_s=start, speed=bus_speed, edges=edges)
    return _play(ground, route, float(rng.uniform(0.7, 0.9)) * limit, (bus,), lane)


def _behind(route: Route, gap_m: float, model: int) -> float:
    """Where on the ego's route the middle of a vehicle is whose rear is `gap_m` ahead of the ego's front at time 0."""
    return float(np.clip(FRONT_AHEAD_M + gap_m + MODELS[model].size_lwh[0] / 2, 0.0, route.length))


LEAD_BRAKES = Scenario("lead_brakes", "the vehicle ahead brakes hard to a standstill", 80.0, build_lead_brakes)
CUT_IN = Scenario("cut_in", "a car moves in close ahead and slows down", 80.0, build_cut_in)
CUT_OUT = Scenario("cut_out", "the vehicle ahead swerves and reveals a stopped car", 80.0, build_cut_out)
BUS_STOP = Scenario("bus_stop", "a bus ahead stops in the lane for some seconds", 80.0, build_bus_stop)
