"""The expert on small stages: what it does, and whether it says why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, join_actors, no_actors
from aln_p3_core.world.closed_loop.runner import RouteResult, drive_episode
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.episode import Stage
from aln_p3_core.world.planners.expert import Expert
from aln_p3_core.world.planners.planner import Cause, Decision, EgoPlan, LateralManeuver, Maneuver, Observation
from aln_p3_core.world.planners.route_blind import RouteBlind
from aln_p3_core.world.route import RouteStop, StopKind
from aln_p3_core.world.simulation import Simulation
from aln_p3_core.world.state import SignalColor

FRONT_M = 3.43


class Log:
    """What was seen and planned, tick by tick."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.plans: list[EgoPlan] = []

    def __call__(self, observation: Observation, plan: EgoPlan) -> None:
        self.observations.append(observation)
        self.plans.append(plan)

    @property
    def decisions(self) -> list[Decision]:
        return [plan.decision for plan in self.plans if plan.decision is not None]

    @property
    def speeds(self) -> np.ndarray:
        return np.array([o.state.ego.speed for o in self.observations])

    @property
    def places(self) -> np.ndarray:
        return np.array([o.route_s for o in self.observations])


def drive(stage: Stage, seconds: float, *, rate_hz: int = 5, planner: object = None) -> tuple[RouteResult, Log]:
    log = Log()
    settings = DriveSettings(rate_hz=rate_hz, time_limit_s=seconds)
    return drive_episode(stage, planner or Expert(), settings, on_tick=log), log  # type: ignore[arg-type]


def scripted(actors_at: Callable[[float], Actors], **options: object) -> Stage:
    city = options.pop("city", None) or helpers.straight_city()
    signals_at = options.pop("signals_at", None)
    traffic = helpers.ScriptedTraffic(city, actors_at, signals_at)  # type: ignore[arg-type]
    return helpers.stage(traffic=traffic, city=city, **options)  # type: ignore[arg-type]


def light_stage(colors: Callable[[float], SignalColor], start_s: float = 220.0) -> Stage:
    city = helpers.straight_city(signal=True)
    return scripted(
        lambda _: no_actors(), city=city, signals_at=lambda t: [colors(t)], route=helpers.signal_route(),
        start_s=start_s, speed=12.0,
    )  # fmt: skip


@pytest.mark.parametrize("rate_hz", [2, 10])
def test_it_stops_before_a_red_light_and_goes_when_it_is_green(rate_hz):
    stage = light_stage(lambda t: SignalColor.RED if t < 20 else SignalColor.GREEN)
    result, log = drive(stage, 30.0, rate_hz=rate_hz)
    waiting = [d for d, o in zip(log.decisions, log.observations, strict=True) if 14 < o.state.time_s < 19]
    assert {(d.maneuver, d.cause, d.signal) for d in waiting} == {(Maneuver.WAIT, Cause.RED_LIGHT, 0)}
    stopped = log.places[(log.speeds < 0.05) & (log.places > 250)]
    assert helpers.CROSSING_X[0] - 2.5 < stopped.max() + FRONT_M < helpers.CROSSING_X[0]
    braking = [d for d, v in zip(log.decisions, log.speeds, strict=True) if d.maneuver is Maneuver.STOP and v > 2]
    assert braking and {d.cause for d in braking} == {Cause.RED_LIGHT}
    assert any(d.cause is Cause.GREEN_LIGHT and d.signal == 0 and d.maneuver is Maneuver.START for d in log.decisions)
    assert not result.measures.infractions[:-1] and result.measures.lights_passed == 1
    assert result.measures.comfort.by_limit["longitudinal_acceleration"] == 1.0


def test_yellow_is_stopped_at_from_afar_and_passed_when_it_is_near():
    def colors(t: float) -> SignalColor:
        return SignalColor.GREEN if t < 0.5 else SignalColor.YELLOW if t < 3.5 else SignalColor.RED

    _, far = drive(light_stage(colors, 240.0), 12.0)
    assert far.places[-1] + FRONT_M < helpers.CROSSING_X[0] and far.speeds[-1] < 0.1
    assert far.decisions[5].cause is Cause.YELLOW_LIGHT and far.decisions[5].signal == 0
    result, near = drive(light_stage(colors, 268.0), 12.0)
    assert near.places[-1] > 340 and result.measures.lights_passed == 1
    assert not [i for i in result.measures.infractions if i.kind.value == "red_light"]


def test_it_follows_a_leader_and_stops_behind_it():
    def lead(t: float) -> Actors:
        moved = 8.0 * min(t, 10.0) + (4.0 if t > 10 else 0.0)
        speed = 8.0 if t < 10 else 0.0
        return helpers.actor(
            ActorKind.CAR, 50.0 + moved, helpers.EAST_INNER, speed=speed, name="lead",
            acceleration=-8.0 if 9.9 < t < 10.9 else 0.0,
        )  # fmt: skip

    # The opposite lane and the one beside are taken, so that it cannot go around.
    walls = join_actors([
        helpers.actor(ActorKind.TRUCK, 134.0, y, name=f"wall{y}") for y in (1.75, helpers.EAST_OUTER)
    ])  # fmt: skip
    result, log = drive(scripted(lambda t: join_actors([lead(t), walls]), speed=10.0), 20.0)
    following = [d for d, o in zip(log.decisions, log.observations, strict=True) if 3 < o.state.time_s < 9]
    assert {(d.cause, d.actor_id) for d in following} == {(Cause.LEAD_VEHICLE, "lead")}
    assert log.decisions[-1].maneuver is Maneuver.WAIT and log.decisions[-1].cause is Cause.STOPPED_VEHICLE
    assert log.decisions[-1].actor_id == "lead"
    gap = 134.0 - 1.5 - log.places[-1] - FRONT_M
    assert 1.5 < gap < 12.0 and not any(result.measures.collisions.values())
    assert log.speeds.max() < 13.0


def test_a_car_that_cuts_in_is_given_room():
    def cutter(t: float) -> Actors:
        y = helpers.EAST_OUTER + 3.5 * float(np.clip((t - 2.0) / 2.5, 0, 1))
        sideways = 1.4 if 2.0 < t < 4.5 else 0.0
        car = helpers.actor(
            ActorKind.CAR, 28.0 + 9.0 * t, y, heading=float(np.arctan2(sideways, 9.0)),
            speed=float(np.hypot(9, sideways)), name="cutter", flags=ActorFlag.LEFT if 1.0 < t < 4.5 else 0,
        )  # fmt: skip
        return car

    result, log = drive(scripted(cutter, speed=12.0), 10.0)
    assert not any(result.measures.collisions.values())
    causes = [(d.cause, d.actor_id) for d in log.decisions]
    assert (Cause.CUT_IN, "cutter") in causes
    assert causes[-1] == (Cause.LEAD_VEHICLE, "cutter") and log.speeds[-1] == pytest.approx(9.0, abs=0.7)


@pytest.mark.parametrize("rate_hz", [2, 5])
def test_somebody_on_a_crossing_is_let_over(rate_hz):
    walker = helpers.actor(ActorKind.PEDESTRIAN, 300.0, -9.5, heading=np.pi / 2, speed=1.4, name="walker")
    route = helpers.straight_route(length=400.0, stops=[RouteStop(*helpers.CROSSING_X, StopKind.CROSSING, 0)])
    result, log = drive(
        scripted(helpers.gliding(walker), route=route, start_s=240.0, speed=12.0), 30.0, rate_hz=rate_hz
    )
    assert result.measures.success
    slowing = [d for d in log.decisions if d.maneuver in (Maneuver.DECELERATE, Maneuver.STOP)][:8]
    assert {(d.cause, d.actor_id) for d in slowing} == {(Cause.PEDESTRIAN, "walker")}
    _, blind = drive(
        scripted(helpers.gliding(walker), route=route, start_s=240.0, speed=12.0), 30.0, planner=RouteBlind()
    )
    assert len(blind.plans) < len(log.plans) or log.speeds.min() < blind.speeds.min() - 3.0


def test_somebody_who_steps_out_between_parked_cars_is_braked_for():
    parked = join_actors([
        helpers.actor(ActorKind.CAR, x, -8.6, name=f"parked{x}", flags=ActorFlag.PARKED) for x in (66.0, 74.0)
    ])  # fmt: skip

    def walker(t: float) -> Actors:
        walked = 1.6 * max(t - 2.4, 0.0)
        speed = 1.6 if t >= 2.4 else 0.0
        return helpers.actor(
            ActorKind.PEDESTRIAN, 70.0, -8.5 + walked, heading=np.pi / 2, speed=speed, name="walker"
        )  # fmt: skip

    stage = scripted(
        lambda t: join_actors([parked, walker(t)]), route=helpers.straight_route(y=helpers.EAST_OUTER, length=140.0),
        start_s=20.0, speed=11.0,
    )  # fmt: skip
    result, log = drive(stage, 30.0)
    assert result.measures.success
    assert any(d.cause is Cause.PEDESTRIAN and d.actor_id == "walker" for d in log.decisions)


@pytest.mark.parametrize(
    ("y", "flags", "side"),
    [(-3.4, ActorFlag.PARKED, LateralManeuver.NUDGE_LEFT), (0.2, ActorFlag.PARKED, LateralManeuver.NUDGE_RIGHT)],
)
def test_a_parked_car_that_sticks_out_is_passed(y, flags, side):
    car = helpers.actor(ActorKind.CAR, 80.0, y, name="parked", flags=flags)
    result, log = drive(helpers.stage(car, route=helpers.straight_route(length=160.0), speed=10.0), 30.0)
    assert result.measures.success and log.speeds[log.places < 110].min() > 6.0
    passing = [d for d in log.decisions if d.lateral_actor_id]
    assert {(d.lateral, d.lateral_cause, d.lateral_actor_id) for d in passing} == {
        (side, Cause.STOPPED_VEHICLE, "parked")
    }


def test_works_in_the_lane_wait_for_oncoming_traffic():
    """One lane each way: the car borrows the opposite lane only when nobody comes."""
    city = helpers.narrow_city()
    cones = join_actors([helpers.actor(ActorKind.CONE, x, -1.8, name=f"cone{x:g}") for x in np.arange(80.0, 96.0, 3.0)])

    def traffic(t: float) -> Actors:
        truck = helpers.actor(ActorKind.TRUCK, 190.0 - 9.0 * t, 1.75, heading=np.pi, speed=9.0, name="oncoming")
        return join_actors([cones, truck])

    route = helpers.straight_route(length=160.0)
    result, log = drive(scripted(traffic, city=city, route=route, start_s=30.0, speed=10.0), 40.0)
    assert result.measures.success
    assert any(d.lateral_cause is Cause.WORKS and d.lateral is LateralManeuver.NUDGE_LEFT for d in log.decisions)
    sides = np.array([o.state.ego.y for o in log.observations])
    trucks = np.array([190.0 - 9.0 * o.state.time_s for o in log.observations])
    met = np.abs(log.places - trucks).argmin()
    assert abs(sides[met] - helpers.EAST_INNER) < 0.4 and sides.max() > -0.9


def test_it_keeps_to_the_limit_and_slows_down_for_a_corner():
    route = helpers.cornering_route(9.0)
    result, log = drive(helpers.stage(city=helpers.cornering_city(9.0), route=route, speed=8.0), 30.0)
    assert log.speeds.max() < helpers.SPEED_LIMIT + 0.3
    corner = (log.places > 82) & (log.places < 92)
    assert log.speeds[corner].max() < np.sqrt(2.5 * 9.0)
    assert result.measures.comfort.by_limit["lateral_acceleration"] == 1.0
    slowing = [d for d, s in zip(log.decisions, log.places, strict=True) if 50 < s < 72]
    assert {d.cause for d in slowing} == {Cause.CURVE}
    assert {d.lateral for d, s in zip(log.decisions, log.places, strict=True) if 80 < s < 88} == {
        LateralManeuver.TURN_LEFT
    }
    _, free = drive(helpers.stage(route=helpers.straight_route(length=300.0), speed=13.0), 10.0)
    assert free.decisions[-1].cause is Cause.SPEED_LIMIT and free.speeds[-1] == pytest.approx(13.9, abs=0.3)


@pytest.mark.parametrize("rate_hz", [2, 5])
def test_a_left_turn_waits_for_oncoming_traffic(rate_hz):
    city, route = helpers.left_turn()

    def oncoming(t: float) -> Actors:
        cars = [(90.0 - 11.0 * t, "first"), (125.0 - 11.0 * t, "second")]
        return join_actors([
            helpers.actor(ActorKind.CAR, x, 1.75, heading=np.pi, speed=11.0, name=name) for x, name in cars
        ])  # fmt: skip

    start = helpers.start_on(route, 20.0, 8.0)
    result, log = drive(scripted(oncoming, city=city, route=route, start=start), 40.0, rate_hz=rate_hz)
    assert result.measures.success
    yielding = [d for d in log.decisions if d.cause in (Cause.ONCOMING_TRAFFIC, Cause.CROSS_TRAFFIC)]
    assert yielding and {d.cause for d in yielding} == {Cause.ONCOMING_TRAFFIC}
    assert {d.actor_id for d in yielding} <= {"first", "second"}
    turned = next(o.state.time_s for o in log.observations if o.state.ego.y > 1.0)
    assert turned > (125.0 - 4.0) / 11.0 - 1.0
    # Nobody comes: it does not wait.
    alone, _ = drive(scripted(lambda _: no_actors(), city=city, route=route, start=start), 40.0, rate_hz=rate_hz)
    assert alone.measures.duration_s < result.measures.duration_s - 3.0


def test_a_junction_is_kept_clear_when_a_queue_stands_behind_it():
    queue = helpers.actor(ActorKind.CAR, helpers.CROSSING_X[1] + 4.0, helpers.EAST_INNER, name="last")
    city = helpers.straight_city(signal=True)
    stage = scripted(
        lambda _: queue, city=city, signals_at=lambda _: [SignalColor.GREEN], route=helpers.signal_route(),
        start_s=240.0, speed=10.0,
    )  # fmt: skip
    _, log = drive(stage, 14.0)
    assert log.speeds[-1] < 0.1 and log.places[-1] + FRONT_M < helpers.CROSSING_X[0]
    assert (log.decisions[-1].maneuver, log.decisions[-1].cause, log.decisions[-1].actor_id) == (
        Maneuver.WAIT, Cause.STOPPED_VEHICLE, "last",
    )  # fmt: skip


def test_plans_are_long_and_fine_enough_and_begin_at_the_car():
    observation = Simulation(helpers.stage(speed=7.0), {}).observe(images=False)
    plan = Expert().plan(observation)
    assert plan.times_s[-1] >= 3.0 and np.diff(plan.times_s).max() <= 0.2 + 1e-9
    assert plan.points_ego[0] == pytest.approx([0.0, 0.0]) and plan.headings_ego[0] == pytest.approx(0.0)
    assert (np.diff(plan.points_ego[:, 0]) > 0).all() and plan.stamp_s == observation.state.time_s
    assert plan.decision == Decision(Maneuver.ACCELERATE)


def test_it_comes_back_to_its_lane_from_beside_it():
    route = helpers.straight_route(length=200.0)
    start = helpers.start_on(route, 10.0, 8.0, lateral=1.5, turned=0.15)
    _, log = drive(helpers.stage(route=route, start=start), 12.0)
    off = np.array([o.state.ego.y - helpers.EAST_INNER for o in log.observations])
    assert abs(off[-1]) < 0.1 and off.min() > -0.3 and off.max() < 2.2


def test_the_same_drive_gives_the_same_plans_and_a_used_expert_is_as_good_as_new():
    def plans(expert: Expert) -> bytes:
        walker = helpers.actor(ActorKind.PEDESTRIAN, 70.0, -9.5, heading=np.pi / 2, speed=1.4, name="walker")
        _, log = drive(scripted(helpers.gliding(walker), speed=10.0), 8.0, planner=expert)
        return b"".join(plan.points_ego.tobytes() for plan in log.plans)

    used = Expert()
    first = plans(used)
    assert plans(used) == first and plans(Expert()) == first
