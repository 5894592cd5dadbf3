"""The bicycle model and the interpolation of ego states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.world.ego import (
    MAX_BRAKING,
    MAX_STEERING_RAD,
    MAX_STEERING_RATE,
    WHEELBASE_M,
    Control,
    EgoState,
    interpolate_ego,
    step_bicycle,
)

states = st.builds(
    EgoState,
    time_s=st.just(0.0),
    x=st.floats(-100, 100),
    y=st.floats(-100, 100),
    heading=st.floats(-np.pi, np.pi, exclude_max=True),
    speed=st.floats(0, 20),
    steering=st.floats(-MAX_STEERING_RAD, MAX_STEERING_RAD),
)


def angle_between(a: float, b: float) -> float:
    return abs((a - b + np.pi) % (2 * np.pi) - np.pi)


@given(states, st.floats(0.01, 1.0))
def test_backing_up_the_same_arc_leads_back(state, dt):
    there = step_bicycle(state, Control(0.0, state.steering), dt)
    back = step_bicycle(replace(there, speed=-there.speed), Control(0.0, state.steering), dt)
    assert np.hypot(back.x - state.x, back.y - state.y) < 1e-6
    assert angle_between(back.heading, state.heading) < 1e-9


@given(states, st.floats(-3, 3))
def test_a_step_is_as_long_as_its_speeds_say_and_exact_in_parts(state, acceleration):
    control = Control(acceleration, state.steering)
    whole = step_bicycle(state, control, 0.2)
    if whole.speed == 0:
        return
    parts = state
    for _ in range(4):
        parts = step_bicycle(parts, control, 0.05)
    assert parts.speed == pytest.approx(whole.speed)
    assert np.hypot(parts.x - whole.x, parts.y - whole.y) < 1e-6
    assert angle_between(parts.heading, whole.heading) < 1e-9


def test_a_full_circle_ends_where_it_began_and_has_the_radius_of_its_steering():
    steering, dt = 0.3, 0.05
    radius = WHEELBASE_M / np.tan(steering)
    speed = 2 * np.pi * radius / (400 * dt)
    state = EgoState(0.0, 5.0, 7.0, 0.4, speed=speed, steering=steering)
    places = []
    for _ in range(400):
        state = step_bicycle(state, Control(0.0, steering), dt)
        places.append((state.x, state.y))
    assert np.hypot(state.x - 5.0, state.y - 7.0) < 1e-6
    assert np.ptp(np.array(places), axis=0) == pytest.approx([2 * radius] * 2, rel=1e-3)
    assert state.yaw_rate == pytest.approx(speed / radius)


def test_limits_of_the_car_hold():
    state = EgoState(0.0, 0.0, 0.0, 0.0, speed=10.0)
    after = step_bicycle(state, Control(-50.0, 5.0), 0.1)
    assert after.acceleration == pytest.approx(-MAX_BRAKING)
    assert after.steering == pytest.approx(MAX_STEERING_RATE * 0.1)
    for _ in range(100):
        after = step_bicycle(after, Control(0.0, 5.0), 0.1)
    assert after.steering == pytest.approx(MAX_STEERING_RAD)


def test_braking_ends_at_standstill():
    state = EgoState(0.0, 0.0, 0.0, 0.0, speed=0.3)
    state = step_bicycle(state, Control(-8.0, 0.0), 0.05)
    assert state.speed == 0.0 and 0 < state.x < 0.3 * 0.05
    assert step_bicycle(state, Control(-1.0, 0.0), 0.05).speed < 0  # asked to back up from there


@given(states, st.floats(-2, 2), st.floats(0, 1))
def test_interpolation_stays_on_the_way(state, acceleration, fraction):
    later = step_bicycle(state, Control(acceleration, state.steering), 0.05)
    between = interpolate_ego(state, later, 0.05 * fraction)
    assert between.time_s == pytest.approx(0.05 * fraction)
    length = np.hypot(later.x - state.x, later.y - state.y)
    assert np.hypot(between.x - state.x, between.y - state.y) == pytest.approx(fraction * length, abs=1e-9)
    assert angle_between(between.heading, state.heading) <= angle_between(later.heading, state.heading) + 1e-12


def test_interpolation_turns_the_short_way():
    earlier = EgoState(0.0, 0.0, 0.0, np.pi - 0.1)
    later = EgoState(1.0, 0.0, 0.0, -np.pi + 0.1)
    assert abs(interpolate_ego(earlier, later, 0.5).heading) == pytest.approx(np.pi)


def test_center_is_ahead_of_the_axle_and_the_pose_is_upright():
    state = EgoState(0.0, 1.0, 2.0, np.pi / 2, speed=3.0)
    assert state.center == pytest.approx([1.0, 2.0 + 1.39])
    assert state.velocity == pytest.approx([0.0, 3.0])
    assert state.T_world_ego @ [1, 0, 0, 1] == pytest.approx([1.0, 3.0, 0.0, 1.0])
