"""Whose fault: one test a rule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.closed_loop.events import Fault
from aln_p3_core.world.closed_loop.faults import Contact, fault_of
from aln_p3_core.world.closed_loop.right_of_way import RED_LIGHT_MEMORY_S, RightOfWay
from aln_p3_core.world.ego import EgoState

FRONT, REAR, LEFT = (3.43, 0.0), (-0.65, 0.0), (1.5, 0.87)


def contact(point=FRONT, *, speed=8.0, other=(0.0, 0.0), heading=0.0, normal=(1.0, 0.0), kind=ActorKind.CAR, **more):
    return Contact(
        ego=EgoState(0.0, 0.0, 0.0, 0.0, speed=speed, yaw_rate=more.pop("yaw_rate", 0.0)),
        kind=kind,
        flags=int(more.pop("flags", 0)),
        heading=heading,
        velocity=np.array(other, dtype=float),
        point=np.array(point, dtype=float),
        normal=np.array(normal, dtype=float),
        **more,
    )


@pytest.mark.parametrize(
    ("case", "fault", "rule"),
    [
        (contact(REAR, speed=0.0, other=(5, 0)), Fault.OTHER, "ego_stands"),
        (contact(FRONT, speed=0.0, other=(-5, 0)), Fault.OTHER, "ego_stands"),
        (contact(FRONT), Fault.EGO, "hit_standing"),
        (contact(LEFT, kind=ActorKind.CONE, other=(1, 1)), Fault.EGO, "hit_standing"),
        (contact(LEFT, flags=ActorFlag.PARKED, other=(1, 0)), Fault.EGO, "hit_standing"),
        (contact(LEFT, other=(0, -9), must_yield=True), Fault.EGO, "right_of_way"),
        (contact(REAR, other=(12, 0)), Fault.OTHER, "hit_from_behind"),
        (contact(REAR, speed=-2.0, other=(1, 0)), Fault.EGO, "backed_into"),
        (contact(FRONT, other=(-8, 0), heading=np.pi), Fault.OTHER, "head_on"),
        (contact(FRONT, other=(-8, 0), heading=np.pi, lateral_m=2.5), Fault.EGO, "front_hit"),
        (contact(FRONT, other=(5, 0)), Fault.EGO, "front_hit"),
        (contact(FRONT, other=(-1.4, 0), heading=np.pi, kind=ActorKind.PEDESTRIAN), Fault.EGO, "front_hit"),
        (contact(LEFT, other=(8, -2), normal=(0, 1)), Fault.OTHER, "moved_into"),
        (contact(LEFT, other=(8, 0.5), normal=(0, 1), yaw_rate=0.8), Fault.EGO, "moved_into"),
        (contact(LEFT, other=(0, -1.4), normal=(0, 1), kind=ActorKind.PEDESTRIAN), Fault.OTHER, "moved_into"),
    ],
)
def test_rules(case, fault, rule):
    assert fault_of(case) == (fault, rule)


def test_right_of_way_of_who_is_in_a_lane_that_goes_first():
    city = helpers.cornering_city()
    # The corner yields to the lane that leads away from it, so that somebody there goes first.
    corner = dataclasses.replace(city.lanes[1], yields_to=(2,))
    city = dataclasses.replace(city, lanes=(city.lanes[0], corner, city.lanes[2]))
    route = helpers.cornering_route()
    rights = RightOfWay(city, route)
    place_after = route.pose_at(110.0)[0]
    rights.observe(20.0)
    assert not rights.has(place_after, 0.0)
    rights.observe(88.0)
    assert rights.has(place_after, 0.0)
    assert not rights.has(route.pose_at(40.0)[0], 0.0)


def test_who_ran_a_red_light_has_no_right_for_a_while():
    rights = RightOfWay(helpers.straight_city(), helpers.straight_route())
    rights.observe(50.0)
    rights.ran_red(10.0)
    assert rights.has(np.array([50.0, 3.0]), 10.0 + RED_LIGHT_MEMORY_S - 0.1)
    assert not rights.has(np.array([50.0, 3.0]), 10.0 + RED_LIGHT_MEMORY_S + 0.1)


def test_who_walks_on_a_crossing_goes_first():
    rights = RightOfWay(helpers.straight_city(), helpers.straight_route())
    rights.observe(290.0)
    middle = sum(helpers.CROSSING_X) / 2
    assert rights.has(np.array([middle, 0.0]), 0.0, on_foot=True)
    assert not rights.has(np.array([middle + 5.0, 0.0]), 0.0, on_foot=True)
    assert not rights.has(np.array([middle, 0.0]), 0.0)
