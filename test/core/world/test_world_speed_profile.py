"""Speed profiles: exact stops, safe distances, comfort unless in need."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.planners.drive_path import DrivePath, drive_path, speed_envelope
from aln_p3_core.world.planners.forecast import TIMES_S
from aln_p3_core.world.planners.planner import Cause
from aln_p3_core.world.planners.speed_profile import Restraint, needed_braking, roll_out, standing_restraint


def straight(speed: float = 10.0) -> DrivePath:
    route = helpers.straight_route()
    return drive_path(route, helpers.start_on(route, 10.0, speed), 10.0, 120.0)


def following(gap_m: float, speed: float, braking: float = 0.0) -> Restraint:
    speeds = np.maximum(speed - braking * TIMES_S, 0.0)
    moved = np.concatenate([[0.0], np.cumsum(0.5 * (speeds[1:] + speeds[:-1]) * 0.2)])
    return Restraint(gap_m + moved, speeds, Cause.LEAD_VEHICLE, "lead", headway_s=1.1)


def test_a_free_road_is_driven_at_the_limit_comfortably():
    profile = roll_out(5.0, 0.0, straight(), [])
    assert profile.speeds[-1] == pytest.approx(helpers.SPEED_LIMIT, abs=0.6)
    assert profile.accelerations.max() <= 1.7 + 1e-9 and np.diff(profile.accelerations).max() <= 0.36 + 1e-9
    assert profile.holding[1] == -2 and profile.holding[-1] == -1
    assert profile.s == pytest.approx(
        np.concatenate([[0], np.cumsum(0.1 * (profile.speeds[1:] + profile.speeds[:-1]))])
    )


@pytest.mark.parametrize("place", [8.0, 20.0, 35.0])
def test_it_stops_at_a_place_and_not_beyond(place):
    speed = np.sqrt(2 * 1.8 * place) * 0.8
    profile = roll_out(speed, 0.0, straight(speed), [standing_restraint(place, Cause.RED_LIGHT, signal=3)])
    assert place - 1.6 < profile.s[-1] < place + 0.7
    assert profile.speeds[-1] < 0.6 and profile.accelerations.min() > -3.0
    assert (profile.holding[-5:] == 0).all()


def test_a_place_that_is_free_in_time_is_not_stopped_at():
    profile = roll_out(8.0, 0.0, straight(), [standing_restraint(25.0, Cause.PEDESTRIAN, "walker", until_s=2.0)])
    assert profile.speeds[-1] > 8.0 and profile.s[-1] > 40.0


def test_it_settles_behind_a_leader():
    profile = roll_out(12.0, 0.0, straight(12.0), [following(25.0, 9.0)])
    gap = following(25.0, 9.0).places - profile.s
    assert profile.speeds[-1] == pytest.approx(9.0, abs=1.2) and 8.0 < gap[-1] < 14.0 and gap.min() > 7.0
    assert profile.accelerations.min() > -2.5


def test_it_brakes_in_need_and_never_beyond_what_brakes_can_do():
    profile = roll_out(12.0, 0.0, straight(12.0), [following(9.0, 12.0, braking=7.0)])
    assert -8.0 - 1e-9 <= profile.accelerations.min() < -4.0
    assert (following(9.0, 12.0, braking=7.0).places - profile.s).min() > -1.0


def test_needed_braking():
    assert needed_braking(10.0, 25.0) == pytest.approx(2.0)
    assert needed_braking(5.0, 3.0, other_speed=6.0) == 0.0 and needed_braking(5.0, 0.0) == np.inf


def test_the_envelope_meets_every_limit_with_its_braking():
    s = np.arange(0.0, 60.0, 0.5)
    limits = np.where(s < 40.0, 15.0, 5.0)
    envelope = speed_envelope(limits, s, braking=2.0)
    assert envelope[s == 40.0] == pytest.approx(5.0) and envelope[0] == pytest.approx(np.sqrt(25 + 4 * 40), abs=0.1)
    assert (envelope <= limits + 1e-9).all()


def test_a_path_leads_back_to_the_route_without_a_kink():
    route = helpers.straight_route()
    path = drive_path(route, helpers.start_on(route, 20.0, 8.0, lateral=1.0, turned=0.1), 20.0, 60.0)
    assert path.points[0] == pytest.approx(route.pose_at(20.0, 1.0)[0]) and path.headings[0] == pytest.approx(0.1)
    assert path.lateral[-1] == pytest.approx(0.0) and np.abs(np.diff(path.headings)).max() < 0.06
    assert path.s_of_route(30.0) == pytest.approx(10.0, abs=0.1) and path.s_of_route(15.0) == pytest.approx(-5.0)
