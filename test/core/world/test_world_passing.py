"""Swerves: how far, from where, and when not."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, join_actors
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.ego import EGO_SIZE_LWH
from aln_p3_core.world.planners.passing import (
    LEAST_SIDE_GAP_M,
    SIDE_GAP_M,
    Obstacle,
    Swerve,
    blocking,
    meets_oncoming,
    obstacles,
    wanted_lateral,
    ways_around,
)
from aln_p3_core.world.planners.planner import Cause, Observation
from aln_p3_core.world.planners.surroundings import StandingMemory, Surroundings, look_around
from aln_p3_core.world.route import RouteStop, StopKind
from aln_p3_core.world.simulation import Simulation
from aln_p3_core.world.state import WorldState

PARKED = ActorFlag.PARKED


def seen(
    actors: Actors, *, speed: float = 8.0, standing_s: float = 0.0, stops: tuple[RouteStop, ...] = ()
) -> tuple[Observation, Surroundings, list[Obstacle]]:
    stage = helpers.stage(actors, speed=speed, start_s=20.0, route=helpers.straight_route(stops=stops))
    observation = Simulation(stage, {}).observe(images=False)
    memory = StandingMemory(dict.fromkeys(actors.ids, -standing_s))
    around = look_around(observation, memory)
    return observation, around, obstacles(around, observation.route, observation.route_s)


def test_obstacles_are_measured_along_the_route():
    car = helpers.actor(ActorKind.CAR, 60.0, -3.0, name="car", flags=PARKED)
    _, _, found = seen(car)
    assert len(found) == 1
    length, width = found[0].end_s - found[0].begin_s, found[0].left - found[0].right
    assert (length, width) == pytest.approx(tuple(sizes_of(car)[0, :2]), abs=1e-6)
    assert 0.5 * (found[0].left + found[0].right) == pytest.approx(-1.25)


def test_who_may_be_passed():
    parked = helpers.actor(ActorKind.CAR, 60.0, helpers.EAST_INNER, name="car", flags=PARKED)
    driven = helpers.actor(ActorKind.CAR, 60.0, helpers.EAST_INNER, name="car")

    def passed(actors: Actors, **options: object) -> bool:
        observation, around, found = seen(actors, **options)  # type: ignore[arg-type]
        return bool(blocking(found, around, observation))

    assert passed(parked) and not passed(driven) and passed(driven, standing_s=20.0)
    assert passed(helpers.actor(ActorKind.CONE, 60.0, -1.0))
    assert not passed(helpers.actor(ActorKind.CAR, 60.0, -5.0, flags=PARKED))
    light = (RouteStop(70.0, 80.0, StopKind.SIGNAL, 0),)
    assert not passed(driven, standing_s=20.0, stops=light) and passed(parked, stops=light)
    queue = join_actors([driven, helpers.actor(ActorKind.CAR, 68.0, helpers.EAST_INNER, name="ahead")])
    assert not passed(queue, standing_s=20.0)


def test_the_smaller_way_around_comes_first_and_stays_clear():
    observation, around, found = seen(helpers.actor(ActorKind.CAR, 60.0, -3.4, name="car", flags=PARKED))
    group = blocking(found, around, observation)
    ways = ways_around(group, found, around, observation, None)
    left = ways[0]
    assert 0.0 < left.offset < 1.6 and left.cause is Cause.STOPPED_VEHICLE and left.actor_id == "car"
    clearance = left.offset - EGO_SIZE_LWH[1] / 2 - group[0].left
    assert LEAST_SIDE_GAP_M - 1e-9 <= clearance <= SIDE_GAP_M + 1e-9
    s = np.arange(0.0, 120.0, 0.5)
    lateral = left.lateral(s)
    assert lateral[0] == 0.0 and lateral[-1] == 0.0 and lateral.max() == pytest.approx(left.offset)
    assert (lateral[(s > 55) & (s < 61)] > left.offset - 1e-9).all()
    wanted = wanted_lateral(left, 20.0, 40.0)
    assert wanted is not None and wanted == pytest.approx(left.lateral(20.0 + 0.5 * np.arange(81)))
    assert wanted_lateral(None, 20.0, 40.0) is None


def test_there_is_no_way_off_the_road_or_through_others():
    wall = join_actors([
        helpers.actor(ActorKind.TRUCK, 60.0, y, name=f"{y}", flags=PARKED) for y in (-5.25, -1.75, 1.75, 5.25)
    ])  # fmt: skip
    observation, around, found = seen(wall)
    assert not ways_around(blocking(found, around, observation), found, around, observation, None)


def test_a_swerve_under_way_goes_on_where_it_is():
    observation, around, found = seen(helpers.actor(ActorKind.CAR, 60.0, -3.4, name="car", flags=PARKED))
    group = blocking(found, around, observation)
    first = ways_around(group, found, around, observation, None)[0]
    again = ways_around(group, found, around, observation, first)[0]
    assert (again.offset, again.start_s, again.full_s) == (first.offset, first.start_s, first.full_s)
    # Another obstacle needs more room: from where the car is, without a step.
    wider = Swerve(0.6, 0.0, 0.0, 18.0, 20.0, 70.0, "other", Cause.WORKS)
    more = ways_around(group, found, around, observation, wider)[0]
    assert float(more.lateral(np.array(20.0))) == pytest.approx(0.6)


def test_oncoming_traffic_is_seen_from_afar():
    observation, around, _ = seen(helpers.actor(ActorKind.CAR, 170.0, 1.75, heading=np.pi, speed=14.0, name="fast"))
    swerve = Swerve(3.0, 0.0, 30.0, 45.0, 75.0, 95.0, "car", Cause.STOPPED_VEHICLE)
    assert meets_oncoming(swerve, around, observation, leaves_s=6.0)
    assert not meets_oncoming(swerve, around, observation, leaves_s=3.0)
    narrow = Swerve(0.6, 0.0, 30.0, 45.0, 75.0, 95.0, "car", Cause.STOPPED_VEHICLE)
    assert not meets_oncoming(narrow, around, observation, leaves_s=6.0)
    assert isinstance(observation.state, WorldState)


def test_the_opposite_lane_is_for_what_stays():
    driven = helpers.actor(ActorKind.CAR, 60.0, helpers.EAST_INNER, name="car")

    def sides(standing_s: float) -> set[bool]:
        observation, around, found = seen(driven, standing_s=standing_s)
        group = blocking(found, around, observation)
        return {way.offset > 0 for way in ways_around(group, found, around, observation, None)}

    # The outer lane on the right leads the same way.
    assert sides(8.0) == {False} and sides(30.0) == {False, True}
