"""Forecasts, lanes and the stretches of a path that are taken."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, join_actors
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.planners.drive_path import drive_path
from aln_p3_core.world.planners.forecast import TIMES_S, Forecasts, Situation, forecast
from aln_p3_core.world.planners.lane_graph import lane_graph
from aln_p3_core.world.planners.occupancy import Occupancy, occupancy
from aln_p3_core.world.state import SignalColor


def forecasts(actors: Actors, city: CityMap | None = None, **situation: object) -> Forecasts:
    city = city or helpers.straight_city()
    match = lane_graph(city).match(actors.positions[:, :2], actors.headings)
    given = {"signals": np.zeros(len(city.signals), int), "ego_connectors": [], "standing_s": {}} | situation
    return forecast(actors, match, Situation(city, **given))  # type: ignore[arg-type]


def taken(actors: Actors, margin: float = 0.3) -> Occupancy:
    route = helpers.straight_route()
    path = drive_path(route, helpers.start_on(route, 10.0, 8.0), 10.0, 100.0)
    found = forecasts(actors)
    return occupancy(path, found, np.full(len(found), margin), 100.0)


def test_actors_are_matched_to_the_lane_they_drive_on():
    city = helpers.straight_city()
    graph = lane_graph(city)
    match = graph.match(
        np.array([[50.0, -1.5], [50.0, 2.0], [50.0, -12.0], [50.0, -1.5]]), np.array([0, np.pi, 0, 1.5])
    )
    assert match.lane.tolist() == [0, 2, -1, -1]
    assert match.s[:2] == pytest.approx([50.0, 550.0]) and match.lateral[:2] == pytest.approx([0.25, -0.25])
    assert lane_graph(city) is graph


def test_ways_fork_at_junctions():
    city, _ = helpers.left_turn()
    chains = lane_graph(city).chains(3)
    assert [chain.lanes for chain in chains] == [(3, 4, 5)]
    place, heading = chains[0].at(np.array([152.0]), np.array([1.0]))
    assert place[0] == pytest.approx([8.0, 0.75], abs=0.1) and np.cos(heading[0]) == pytest.approx(-1.0)


def test_a_driving_car_goes_on_along_its_lane_and_a_braking_one_stops():
    even = forecasts(helpers.actor(ActorKind.CAR, 50.0, -1.75, speed=8.0))
    assert even.positions[0, -1] == pytest.approx([50.0 + 8.0 * TIMES_S[-1], -1.75]) and even.moving[0]
    braking = forecasts(helpers.actor(ActorKind.CAR, 50.0, -1.75, speed=8.0, acceleration=-4.0))
    assert braking.speeds[0, -1] == pytest.approx(0.0) and braking.positions[0, -1, 0] == pytest.approx(58.0, abs=0.3)
    assert not forecasts(helpers.actor(ActorKind.CAR, 50.0, -1.75)).moving[0]


def test_a_red_light_holds_others():
    city = helpers.straight_city(signal=True)
    car = helpers.actor(ActorKind.CAR, 270.0, -1.75, speed=8.0)
    red = forecasts(car, city, signals=np.array([SignalColor.RED]))
    green = forecasts(car, city, signals=np.array([SignalColor.GREEN]))
    front = red.positions[0, :, 0] + 0.5 * sizes_of(car)[0, 0]
    assert front.max() == pytest.approx(helpers.CROSSING_X[0]) and red.yields[0]
    assert green.positions[0, -1, 0] > 300 and not green.yields[0]


def test_an_indicator_announces_a_change_of_lane():
    def sides(flags: int) -> list[float]:
        car = helpers.actor(ActorKind.CAR, 50.0, helpers.EAST_OUTER, speed=8.0, flags=flags)
        return sorted(forecasts(car).positions[:, -1, 1].tolist())

    assert sides(0) == pytest.approx([-5.25])
    assert sides(ActorFlag.LEFT) == pytest.approx([-5.25, -1.85]) and sides(ActorFlag.RIGHT) == pytest.approx([-5.25])


def test_somebody_on_foot_walks_on_for_a_while():
    walker = forecasts(helpers.actor(ActorKind.PEDESTRIAN, 50.0, -9.0, heading=np.pi / 2, speed=1.5))
    assert walker.positions[0, 5, 1] == pytest.approx(-9.0 + 1.5) and walker.positions[0, -1, 1] < -3.0


def test_what_stands_on_the_path_takes_a_stretch_of_it():
    car = helpers.actor(ActorKind.CAR, 60.0, -1.75, name="car")
    found = taken(car)
    # The front bumper is 3.43 m ahead of the rear axle, the rear bumper 0.65 m behind it.
    half = 0.5 * float(sizes_of(car)[0, 0])
    assert found.first[0, 0] == pytest.approx(50.0 - half - 3.43, abs=0.8)
    assert found.last[0, -1] == pytest.approx(50.0 + half + 0.65, abs=0.8)
    assert taken(helpers.actor(ActorKind.CAR, 60.0, -5.25)).any.tolist() == [False]


def test_a_margin_counts_and_who_is_beside_the_car_does_not_hold_it():
    gap = 0.865 + 0.5 * float(sizes_of(helpers.actor(ActorKind.CAR, 0, 0))[0, 1])
    near = helpers.actor(ActorKind.CAR, 60.0, -1.75 - gap - 0.2)
    assert taken(near, 0.3).any[0] and not taken(near, 0.1).any[0]
    beside = helpers.actor(ActorKind.CAR, 12.0, -1.75 - gap - 0.2)
    assert not taken(beside, 0.3).any[0]


def test_crossing_and_leading_traffic_take_the_path_at_their_times():
    lead = helpers.actor(ActorKind.CAR, 30.0, -1.75, speed=5.0, name="lead")
    crossing = helpers.actor(ActorKind.BICYCLE, 60.0, -13.0, heading=np.pi / 2, speed=4.0, name="cyclist")
    found = taken(join_actors([lead, crossing]))
    assert np.isfinite(found.first[0]).all() and (np.diff(found.first[0]) >= 0).all()
    assert found.along[0] == pytest.approx(np.full(len(TIMES_S), 5.0))
    there = np.flatnonzero(np.isfinite(found.first[1]))
    assert 1.8 < TIMES_S[there[0]] < 2.8 and TIMES_S[there[-1]] < 4.4
    assert found.along[1][there] == pytest.approx(np.zeros(len(there)), abs=1e-6)
