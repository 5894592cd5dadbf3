"""Kinematics of planned paths and of declared stops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_ros.messages.trajectory import kinematics, stop_trajectory


def circle(speed: float, radius: float, steps: int = 6, step_s: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    angles = speed * step_s * np.arange(1, steps + 1) / radius
    return np.stack([radius * np.sin(angles), radius * (1 - np.cos(angles))], axis=1), angles


def test_straight_and_steady() -> None:
    positions = np.stack([4.0 * np.arange(1, 7), np.zeros(6)], axis=1)
    result = kinematics(positions, np.zeros(6), 0.5, current_speed=8.0)
    np.testing.assert_allclose(result.times_s, 0.5 * np.arange(1, 7))
    np.testing.assert_allclose(result.velocities, 8.0)
    for name in ("accelerations", "heading_rates", "curvatures"):
        np.testing.assert_allclose(getattr(result, name), 0.0, atol=1e-12)


@pytest.mark.parametrize("radius", [30.0, -30.0])
def test_a_circle_has_its_curvature(radius: float) -> None:
    positions, headings = circle(6.0, radius)
    result = kinematics(positions, headings, 0.5, current_speed=6.0)
    np.testing.assert_allclose(result.curvatures, 1 / radius, rtol=0.01)
    np.testing.assert_allclose(result.velocities, 6.0, rtol=0.01)
    np.testing.assert_allclose(result.heading_rates, 6.0 / radius, rtol=0.01)


def test_the_current_speed_is_the_start() -> None:
    # 10 m/s now, then a path that covers 4 m in each half second: it brakes first.
    positions = np.stack([4.0 * np.arange(1, 7), np.zeros(6)], axis=1)
    result = kinematics(positions, np.zeros(6), 0.5, current_speed=10.0)
    assert result.accelerations[0] == pytest.approx((8.0 - 10.0) / (2 * 0.5))
    np.testing.assert_allclose(result.accelerations[1:], 0.0)
    unknown = kinematics(positions, np.zeros(6), 0.5)
    np.testing.assert_allclose(unknown.accelerations, 0.0, atol=1e-12)


def test_even_acceleration_is_found() -> None:
    times = 0.5 * np.arange(1, 7)
    positions = np.stack([5 * times + times**2 / 2, np.zeros(6)], axis=1)
    result = kinematics(positions, np.zeros(6), 0.5, current_speed=5.0)
    np.testing.assert_allclose(result.accelerations[:-2], 1.0)
    np.testing.assert_allclose(result.velocities[:-1], 5.0 + times[:-1])


def test_standing_has_no_curvature() -> None:
    result = kinematics(np.full((6, 2), 0.001), np.linspace(0, 1, 6), 0.5, current_speed=0.0)
    np.testing.assert_array_equal(result.curvatures, 0.0)


def test_backing_up_is_negative() -> None:
    positions = np.stack([-0.5 * np.arange(1, 7), np.zeros(6)], axis=1)
    np.testing.assert_allclose(kinematics(positions, np.zeros(6), 0.5, -1.0).velocities, -1.0)


@given(
    st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40), st.floats(-3.1, 3.1)), min_size=1, max_size=8),
    st.none() | st.floats(-5, 40),
)
def test_any_path_gives_finite_consistent_values(path: list[tuple[float, float, float]], speed: float | None) -> None:
    values = np.array(path)
    result = kinematics(values[:, :2], values[:, 2], 0.5, speed)
    for name in ("velocities", "accelerations", "heading_rates", "curvatures"):
        assert np.isfinite(getattr(result, name)).all()
    np.testing.assert_allclose(result.heading_rates, result.curvatures * result.velocities)


@given(st.floats(0, 40), st.floats(0.5, 8))
def test_a_stop_stands_after_the_braking_distance(speed: float, deceleration: float) -> None:
    result = stop_trajectory(speed, deceleration)
    assert 6 <= len(result) <= 60
    assert (np.diff(result.positions[:, 0]) >= -1e-9).all() and (np.diff(result.velocities) <= 1e-9).all()
    assert (result.velocities >= -1e-9).all() and (result.accelerations >= -deceleration - 1e-9).all()
    if speed / deceleration <= 30.0:
        assert result.velocities[-1] == pytest.approx(0.0, abs=1e-9)
        assert result.positions[-1, 0] == pytest.approx(speed**2 / (2 * deceleration), abs=1e-6)


def test_a_stop_follows_the_path() -> None:
    path, _ = circle(8.0, 20.0)
    result = stop_trajectory(8.0, 2.0, path)
    radii = np.hypot(result.positions[:, 0], result.positions[:, 1] - 20.0)
    np.testing.assert_allclose(radii, 20.0, atol=0.15)
    # 16 m of braking on a circle of 20 m.
    assert result.headings[-1] == pytest.approx(16.0 / 20.0, abs=0.1)
    np.testing.assert_allclose(result.curvatures[1:7], 1 / 20, rtol=0.2)
    assert result.curvatures[-1] == 0.0


def test_a_stop_longer_than_its_path_goes_straight_on() -> None:
    result = stop_trajectory(10.0, 2.0, np.array([[1.0, 0.0], [2.0, 0.5]]))
    steps = np.diff(result.positions[3:], axis=0)
    directions = np.arctan2(steps[:, 1], steps[:, 0])[np.hypot(*steps.T) > 1e-6]
    np.testing.assert_allclose(directions, np.arctan2(0.5, 1.0), atol=1e-6)


def test_a_stop_while_backing_up_and_a_useless_path() -> None:
    result = stop_trajectory(-2.0, 2.0, np.array([[5.0, 5.0]]))
    assert result.positions[-1].tolist() == pytest.approx([-1.0, 0.0])
    assert result.accelerations[0] == pytest.approx(2.0)
    behind = stop_trajectory(2.0, 2.0, np.array([[-3.0, 0.0]]))
    assert behind.positions[-1].tolist() == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("speed", [float("nan"), float("inf"), -float("inf"), 1e20, -1e20])
def test_a_stop_from_an_absurd_speed_can_be_driven(speed: float) -> None:
    result = stop_trajectory(speed, 2.0, np.array([[5.0, 0.0], [np.nan, np.inf], [1e9, 0.0]]))
    for name in ("times_s", "positions", "headings", "velocities", "accelerations", "heading_rates", "curvatures"):
        assert np.isfinite(getattr(result, name)).all(), name
    assert np.abs(result.velocities).max() <= 100.0 and np.abs(result.positions).max() <= 100.0 * 30.0
    assert np.isfinite(speed) or not np.isnan(speed) or not result.positions.any()
