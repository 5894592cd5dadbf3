"""`Actors`: selection, joining, interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world_helpers import actor

from aln_p3_core.world.actors import (
    ActorFlag,
    ActorKind,
    interpolate_actors,
    join_actors,
    make_actors,
    no_actors,
)
from aln_p3_core.world.assets.catalogue import kinds_of, sizes_of


def test_categories_are_those_of_nuscenes():
    assert ActorKind.VAN.category == "vehicle.car" and ActorKind.BUS.is_vehicle
    assert ActorKind.CONE.is_static and not ActorKind.PEDESTRIAN.is_vehicle


def test_made_up_joined_and_selected():
    car = actor(ActorKind.CAR, 1.0, 2.0, speed=3.0, flags=ActorFlag.BRAKE)
    cone = actor(ActorKind.CONE, 50.0, 0.0)
    both = join_actors([car, no_actors(), cone])
    assert len(both) == 2 and both.ids == (*car.ids, *cone.ids)
    assert kinds_of(both) == [ActorKind.CAR, ActorKind.CONE]
    assert both.speeds == pytest.approx([3.0, 0.0])
    assert both.select([1]).ids == cone.ids
    assert both.select(both.speeds > 1).ids == car.ids
    assert both.near(np.array([0.0, 0.0]), 10.0).ids == car.ids
    assert len(join_actors([])) == len(no_actors()) == 0
    assert sizes_of(both).shape == (2, 3)


def moved(rows):
    count = len(rows)
    return make_actors(
        [f"a{name}" for name, *_ in rows],
        [0] * count,
        [[x, y] for _, x, y, _ in rows],
        [heading for *_, heading in rows],
        velocities=np.ones((count, 2)),
    )


row = st.tuples(st.integers(0, 6), st.floats(-50, 50), st.floats(-50, 50), st.floats(-3.1, 3.1))
rows = st.lists(row, max_size=6, unique_by=lambda r: r[0])


@given(rows, rows, st.floats(0, 1))
def test_interpolation_lies_between_in_the_rows_of_the_later(first, second, fraction):
    earlier, later = moved(first), moved(second)
    between = interpolate_actors(earlier, later, fraction, 0.1)
    assert between.ids == later.ids
    place = dict(zip(earlier.ids, earlier.positions, strict=True))
    for name, now, end in zip(between.ids, between.positions, later.positions, strict=True):
        begin = place.get(name, end - [0.1, 0.1, 0.0])
        assert now == pytest.approx(begin + fraction * (end - begin), abs=1e-9)
    if fraction == 1:
        assert between.positions == pytest.approx(later.positions)


def test_headings_and_walking_cycles_go_the_short_way():
    earlier = make_actors(["a"], [0], [[0, 0]], [3.0], phases=[3.1])
    later = make_actors(["a"], [0], [[0, 0]], [-3.0], phases=[-3.1])
    between = interpolate_actors(earlier, later, 0.5, 0.1)
    assert abs(between.headings[0]) == pytest.approx(np.pi)
    assert between.phases[0] == pytest.approx(np.pi)
