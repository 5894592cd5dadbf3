"""Live traffic from SUMO: the same bytes for the same seed, smooth, and aware of the ego."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors
from aln_p3_core.world.assets.catalogue import kinds_of, models_of, sizes_of
from aln_p3_core.world.city.cities import load_sumo_city
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.city.routing import random_route
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.scenarios.sites import long_lanes, route_from
from aln_p3_core.world.state import TrafficState
from aln_p3_core.world.traffic.footprint import ego_overlaps
from aln_p3_core.world.traffic.parked import parked_cars
from aln_p3_core.world.traffic.script import Phase, Script
from aln_p3_core.world.traffic.sumo import StageTraffic, SumoTraffic
from aln_p3_core.world.traffic.sumo_demand import Demand

pytest.importorskip("libsumo")

CITY = "poplar-green"
DENSE = Demand(vehicles_per_km=16.0, walkers_per_km=30.0, warm_up_s=15.0)
EMPTY = Demand(vehicles_per_km=0.0, walkers_per_km=0.0, warm_up_s=4.0)


def along(route: Route, s0: float, speed: float) -> Callable[[float], EgoState]:
    """An ego that drives along a route whatever happens."""

    def at(time_s: float) -> EgoState:
        place, heading = route.pose_at(s0 + speed * time_s)
        return EgoState(time_s, float(place[0]), float(place[1]), float(heading), speed=speed)

    return at


def states(traffic: SumoTraffic, ego: Callable[[float], EgoState], steps: int) -> Iterator[TrafficState]:
    yield traffic.start(ego(0.0))
    for step in range(steps):
        yield traffic.step(ego(0.1 * step))


def digest(steps: int = 40) -> str:
    """Of everything that traffic tells in a drive with a scripted actor."""
    town = load_sumo_city(CITY)
    route = random_route(town.city, np.random.default_rng(5), 300.0)
    lead = Script("lead", models_of(ActorKind.CAR)[0], route, (Phase(speed=7.0),), start_s=30.0, speed=7.0)
    parked = parked_cars(np.column_stack([route.points[::20] + 5.0, np.zeros(len(route.points[::20]))]), 0.5, 1)
    traffic = SumoTraffic(town, route, 9, demand=DENSE, setting=StageTraffic(scripts=(lead,), things=parked))
    total = hashlib.sha256()
    for state in states(traffic, along(route, 5.0, 7.0), steps):
        actors = state.actors
        total.update("/".join(actors.ids).encode())
        for values in (actors.positions, actors.headings, actors.velocities, actors.phases, actors.colors):
            total.update(np.ascontiguousarray(values).tobytes())
        for values in (actors.models, actors.flags, actors.accelerations, state.signals):
            total.update(np.ascontiguousarray(values).tobytes())
    traffic.close()
    return total.hexdigest()


@pytest.fixture(scope="module")
def recording() -> list[TrafficState]:
    """Twenty seconds of dense traffic around a moving ego."""
    town = load_sumo_city(CITY)
    route = random_route(town.city, np.random.default_rng(2), 300.0)
    traffic = SumoTraffic(town, route, 4, demand=DENSE)
    recorded = list(states(traffic, along(route, 5.0, 8.0), 200))
    traffic.close()
    return recorded


def test_the_same_bytes_in_two_processes() -> None:
    program = "from test_world_sumo_traffic import digest; print(digest())"
    here = Path(__file__).resolve()
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": f"{here.parent}:{here.parents[3]}"}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert told.stdout.split()[-1] == digest()


def test_many_kinds_move_without_jumps(recording: list[TrafficState]) -> None:
    sideways, turning = {True: [0.0], False: [0.0]}, [0.0]
    kinds: set[ActorKind] = set()
    for before, after in pairwise(recording):
        rows = {name: row for row, name in enumerate(before.actors.ids)}
        kinds.update(kinds_of(after.actors))
        for row, name in enumerate(after.actors.ids):
            if name not in rows:
                continue
            moved = after.actors.positions[row] - before.actors.positions[rows[name]]
            heading = after.actors.headings[row]
            assert np.allclose(moved[:2] / 0.1, after.actors.velocities[row], atol=1e-6), name
            on_foot = name.startswith("pedestrian")
            sideways[on_foot].append(abs(-np.sin(heading) * moved[0] + np.cos(heading) * moved[1]) / 0.1)
            turning.append(abs(wrap_angle(heading - before.actors.headings[rows[name]])) / 0.1)
    assert {ActorKind.CAR, ActorKind.PEDESTRIAN} <= kinds
    assert len(kinds) >= 4
    assert max(sideways[False]) < 2.5
    assert max(sideways[True]) < 1.8
    assert max(turning) < 4.5
    # And they do move.
    speeds = np.concatenate([state.actors.speeds for state in recording])
    assert (speeds > 5.0).sum() > 500


def test_boxes_lie_in_their_lanes(recording: list[TrafficState]) -> None:
    city = load_sumo_city(CITY).city
    offsets = []
    for state in recording[::20]:
        actors = state.actors
        for row, kind in enumerate(kinds_of(actors)):
            lanes = city.lanes_near(actors.positions[row, :2], 3.0)
            if kind is not ActorKind.CAR or not lanes or city.lanes[lanes[0]].is_connector:
                continue
            lane = city.lanes[lanes[0]]
            place = actors.positions[row, :2]
            nearest = ((lane.centerline - place) ** 2).sum(axis=1).argmin()
            along_m = np.linalg.norm(np.diff(lane.centerline[: nearest + 1], axis=0), axis=1).sum()
            offsets.append((np.cos(actors.headings[row] - heading_at(lane.centerline, along_m)), lanes[0]))
    assert len(offsets) > 20
    assert np.median([cosine for cosine, _ in offsets]) > 0.99


def test_the_front_bumper_is_where_sumo_has_it() -> None:
    town = load_sumo_city(CITY)
    route = random_route(town.city, np.random.default_rng(2), 300.0)
    ego = along(route, 5.0, 8.0)
    traffic = SumoTraffic(town, route, 4, demand=DENSE)
    actors = list(states(traffic, ego, 30))[-1].actors
    import libsumo

    fronts = actors.positions[:, :2] + sizes_of(actors)[:, :1] / 2 * np.stack(
        [np.cos(actors.headings), np.sin(actors.headings)], axis=1
    )
    for row, kind in enumerate(kinds_of(actors)):
        if kind.is_vehicle:
            assert np.allclose(fronts[row], libsumo.vehicle.getPosition(actors.ids[row]), atol=0.15)
    expected = ego(2.9).xy + 3.43 * np.array([np.cos(ego(2.9).heading), np.sin(ego(2.9).heading)])
    assert np.allclose(libsumo.vehicle.getPosition("ego"), expected + 0.1 * ego(2.9).velocity, atol=0.15)
    traffic.close()


def test_lights_change() -> None:
    town = load_sumo_city(CITY)
    route = random_route(town.city, np.random.default_rng(2), 300.0)
    traffic = SumoTraffic(town, route, 4, demand=EMPTY)
    shown = np.array([state.signals for state in states(traffic, along(route, 5.0, 0.0), 400)])
    traffic.close()
    assert shown.shape[1] == len(town.city.signals)
    assert {1, 2, 3} <= set(np.unique(shown))
    assert (np.abs(np.diff(shown, axis=0)).sum(axis=0) > 0).mean() > 0.8


def test_a_follower_stops_behind_a_standing_ego_and_parked_cars_stay() -> None:
    town = load_sumo_city(CITY)
    lane = long_lanes(town.city, np.random.default_rng(3), 170.0)[0]
    route = route_from(town.city, lane, 100.0, 60.0)
    here = town.city.lanes[lane]
    onward = town.city.lanes[town.city.lanes[here.successors[0]].successors[0]].road
    parked = parked_cars(np.array([[*route.points[20] + 6.0, 0.0]]), 1.0, 2)
    stream = tuple(((here.road, onward), 0.5 + 3.0 * k, models_of(ActorKind.CAR)[1]) for k in range(2))
    traffic = SumoTraffic(town, route, 1, demand=EMPTY, setting=StageTraffic(streams=stream, things=parked))
    ego = along(route, 10.0, 0.0)
    nearest = np.inf
    last: Actors | None = None
    for state in states(traffic, ego, 250):
        last = state.actors
        moving = last.select([row for row, name in enumerate(last.ids) if name.startswith("stream")])
        if len(moving):
            centers = moving.positions[:, :2]
            assert not ego_overlaps(ego(0.0), centers, moving.headings, sizes_of(moving)).any()
            nearest = min(nearest, float(np.linalg.norm(centers - ego(0.0).center, axis=1).min()))
        still = last.select([row for row, name in enumerate(last.ids) if name.startswith("parked")])
        assert np.array_equal(still.positions, parked.positions)
        assert (still.flags & int(ActorFlag.PARKED)).all()
    traffic.close()
    assert last is not None
    assert nearest < 9.0
    assert last.speeds.max() < 0.2


def test_another_simulation_ends_this_one() -> None:
    town = load_sumo_city(CITY)
    route = random_route(town.city, np.random.default_rng(2), 300.0)
    ego = along(route, 5.0, 0.0)
    first, second = (SumoTraffic(town, route, seed, demand=EMPTY) for seed in (1, 2))
    first.start(ego(0.0))
    second.start(ego(0.0))
    with pytest.raises(ConfigError, match="one simulation at a time"):
        first.step(ego(0.0))
    second.close()
    second.close()
