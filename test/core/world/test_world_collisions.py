"""Boxes that touch, and when; contacts are counted once."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from aln_p3_core.world.actors import ActorKind, join_actors, no_actors
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.boxes import EGO_SIZE_LW, footprints, overlapping, separations, time_to_overlap
from aln_p3_core.world.closed_loop.collisions import SEPARATION_S, CollisionMeasure
from aln_p3_core.world.closed_loop.events import InfractionKind
from aln_p3_core.world.closed_loop.right_of_way import RightOfWay
from aln_p3_core.world.closed_loop.time_to_collision import TimeToCollisionMeasure
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.state import WorldState

places = st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.floats(-3.1, 3.1), st.floats(0.4, 9), st.floats(0.4, 3))
speeds = st.tuples(st.floats(-12, 12), st.floats(-12, 12))


@given(places)
def test_overlap_agrees_with_polygons(box):
    x, y, heading, length, width = box
    center, size = np.array([[x, y]]), np.array([[length, width]])
    _, offsets, reach = separations(np.zeros(2), 0.3, EGO_SIZE_LW, center, np.array([heading]), size)
    own = Polygon(footprints(np.zeros(2), np.asarray(0.3), EGO_SIZE_LW))
    other = Polygon(footprints(center[0], np.asarray(heading), size[0]))
    area = own.intersection(other).area
    if area > 1e-6:
        assert overlapping(offsets, reach)[0]
    elif own.distance(other) > 1e-6:
        assert not overlapping(offsets, reach)[0]


@given(places, speeds)
def test_time_to_overlap_is_when_boxes_meet(box, velocity):
    x, y, heading, length, width = box
    center, size, velocity = np.array([[x, y]]), np.array([[length, width]]), np.array([velocity])
    geometry = separations(np.zeros(2), 0.0, EGO_SIZE_LW, center, np.array([heading]), size)
    soonest = float(time_to_overlap(*geometry, velocity)[0])

    def touches(time_s: float) -> bool:
        moved = separations(np.zeros(2), 0.0, EGO_SIZE_LW, center + velocity * time_s, np.array([heading]), size)
        return bool(overlapping(*moved[1:])[0])

    if np.isinf(soonest):
        assert not any(touches(t) for t in np.linspace(0, 3, 40))
    else:
        assert not any(touches(t) for t in np.linspace(0, soonest - 1e-3, 20) if soonest > 1e-3)


def ego(x: float, speed: float = 5.0, time_s: float = 0.0) -> EgoState:
    return EgoState(time_s, x, helpers.EAST_INNER, 0.0, speed=speed)


def measure() -> CollisionMeasure:
    return CollisionMeasure(RightOfWay(helpers.straight_city(), helpers.straight_route()))


def world(state: EgoState, *actors) -> WorldState:
    return WorldState(state, join_actors(actors) if actors else no_actors(), np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ActorKind.CAR, InfractionKind.COLLISION_VEHICLE),
        (ActorKind.BUS, InfractionKind.COLLISION_VEHICLE),
        (ActorKind.MOTORCYCLE, InfractionKind.COLLISION_VEHICLE),
        (ActorKind.BICYCLE, InfractionKind.COLLISION_CYCLIST),
        (ActorKind.PEDESTRIAN, InfractionKind.COLLISION_PEDESTRIAN),
        (ActorKind.CONE, InfractionKind.COLLISION_STATIC),
        (ActorKind.BARRIER, InfractionKind.COLLISION_STATIC),
    ],
)
def test_the_type_of_a_collision_is_that_of_who_was_hit(kind, expected):
    standing = helpers.actor(kind, 53.4, helpers.EAST_INNER)
    state = world(ego(50.0), standing)
    (event,) = measure().observe(state, state, 0.0)
    assert event.kind is expected and event.counts and event.actor_id == standing.ids[0]


def test_a_contact_counts_once_until_it_is_over():
    watch = measure()
    standing = helpers.actor(ActorKind.CAR, 54.0, helpers.EAST_INNER)
    counts = []
    for step in range(200):
        time_s = 0.05 * step
        x = 50.0 if time_s < 1 or time_s > 1 + SEPARATION_S + 1 else 20.0
        state = world(ego(x, time_s=time_s), standing)
        counts += watch.observe(state, state, 0.0)
    assert [round(event.time_s, 2) for event in counts] == [0.0, 4.05]


def test_being_hit_while_standing_does_not_count():
    bumping = helpers.actor(ActorKind.CAR, 48.5, helpers.EAST_INNER, speed=3.0)
    state = world(ego(50.0, speed=0.0), bumping)
    (event,) = measure().observe(state, state, 0.0)
    assert not event.counts and event.fault.value == "other"


def test_near_misses_are_none():
    beside = helpers.actor(ActorKind.CAR, 51.0, helpers.EAST_OUTER)
    state = world(ego(50.0), beside)
    assert not measure().observe(state, state, 0.0)


def test_time_to_collision_with_a_standing_car():
    watch = TimeToCollisionMeasure()
    standing = helpers.actor(ActorKind.CAR, 60.0, helpers.EAST_INNER)
    state = world(ego(40.0, speed=10.0), standing)
    gap = 20.0 - 1.39 - EGO_SIZE_LW[0] / 2 - sizes_of(standing)[0, 0] / 2
    assert watch.observe(state) == pytest.approx(gap / 10.0, abs=0.01)
    following = helpers.actor(ActorKind.CAR, 30.0, helpers.EAST_INNER, speed=14.0)
    assert watch.observe(world(ego(40.0), following)) == np.inf
    assert watch.observe(world(ego(40.0, speed=0.0), standing)) == np.inf
    assert watch.minimum_s == pytest.approx(gap / 10.0, abs=0.05) and watch.critical_share == 0.0
