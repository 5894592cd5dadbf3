"""`Route`: places along it, projection, turns, commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world_helpers import cornering_route, straight_route

from aln_p3_core.frame import Command
from aln_p3_core.world.route import Route

CORNER = cornering_route(12.0)


@given(st.floats(0, 1), st.floats(-4, 4))
def test_projection_takes_a_place_back_to_where_it_came_from(fraction, lateral):
    s = fraction * CORNER.length
    place, heading = CORNER.pose_at(s, lateral)
    found_s, found_lateral = CORNER.project(place)
    assert found_s == pytest.approx(s, abs=0.25)
    assert found_lateral == pytest.approx(lateral, abs=0.05)
    assert -np.pi <= heading < np.pi


def test_poses_go_on_straight_beyond_the_ends():
    route = straight_route()
    places, headings = route.pose_at([-5.0, route.length + 7.0], 1.0)
    assert places == pytest.approx(np.array([[-5.0, -0.75], [607.0, -0.75]]))
    assert headings == pytest.approx([0.0, 0.0])


def test_the_known_arc_length_decides_where_a_route_crosses_itself():
    angle = np.linspace(0, 4 * np.pi, 800)
    twice_around = np.stack([20 * np.cos(angle), 20 * np.sin(angle)], axis=1)
    route = Route(twice_around, np.full(800, 10.0), np.full(800, -1))
    lap = route.length / 2
    place = route.pose_at(10.0)[0]
    assert route.project(place, near_s=12.0)[0] == pytest.approx(10.0, abs=0.1)
    assert route.project(place, near_s=lap + 8.0)[0] == pytest.approx(lap + 10.0, abs=0.1)


@pytest.mark.parametrize(("left", "command"), [(True, Command.LEFT), (False, Command.RIGHT)])
def test_a_corner_is_a_turn_that_is_announced_ahead_and_ends(left, command):
    route = cornering_route(10.0, left=left)
    ((start, end, turn),) = route.turns
    assert turn is command and start == pytest.approx(80.0, abs=1.0)
    assert end - start == pytest.approx(np.pi / 2 * 10, abs=1.5)
    assert route.command_at(start - 50.0, 10.0) is Command.STRAIGHT
    assert route.command_at(start - 25.0, 10.0) is command
    assert route.command_at(start - 10.0, 0.0) is command
    assert route.command_at(end - 1.0, 5.0) is command
    assert route.command_at(end + 0.1, 5.0) is Command.STRAIGHT


def test_curvature_of_a_corner():
    s = CORNER.s
    middle = (s > 84) & (s < 95)
    assert CORNER.curvatures[middle] == pytest.approx(1 / 12.0, rel=0.05)
    assert straight_route().curvatures == pytest.approx(0.0)
