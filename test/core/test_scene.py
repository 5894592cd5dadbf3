"""From the network's plan (model origin) to the vehicle's (ego origin)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import invert_transform, make_transform, transform_points, virtual_T_ego_model
from aln_p3_core.scene import Agents, DrivingScene, MapElements, Plan, path_headings


def scene(trajectories_model: np.ndarray, command: Command = Command.STRAIGHT) -> DrivingScene:
    empty = {"scores": np.zeros(0, np.float32), "class_ids": np.zeros(0, np.int64), "query_ids": np.zeros(0, np.int64)}
    agents = Agents(
        centers_model=np.zeros((0, 3), np.float32),
        sizes_lwh=np.zeros((0, 3), np.float32),
        headings_model=np.zeros(0, np.float32),
        velocities_model=np.zeros((0, 2), np.float32),
        forecasts_model=np.zeros((0, 6, 6, 2), np.float32),
        forecast_probabilities=np.zeros((0, 6), np.float32),
        **empty,
    )
    return DrivingScene(
        agents=agents,
        map_elements=MapElements(points_model=np.zeros((0, 20, 2), np.float32), **empty),
        plan=Plan(trajectories_model.astype(np.float32), RouteCommand(command, CommandProvenance.GIVEN)),
        reference_stamp_ns=0,
        newest_image_stamp_ns=0,
        T_global_ego=np.eye(4),
        T_ego_model=virtual_T_ego_model(),
    )


def test_straight_ahead_in_the_model_frame_is_straight_ahead_for_the_ego() -> None:
    ahead = np.stack([np.zeros(6), 5.0 * np.arange(1, 7)], axis=-1)
    positions, headings = scene(np.stack([ahead] * 3)).plan_in_ego()
    np.testing.assert_allclose(positions, [np.c_[5.0 * np.arange(1, 7), np.zeros(6)]] * 3, atol=1e-6)
    np.testing.assert_allclose(headings, 0, atol=1e-6)


@given(st.floats(8, 200), st.sampled_from([-1, 1]))
def test_a_circle_of_the_ego_origin_is_found_again(radius: float, side: int) -> None:
    """A car on a circle: its model origin's path, given to the scene, leads back to the ego's own."""
    T_ego_model = virtual_T_ego_model()
    steps = np.arange(1, 7) * 4.0 / radius  # 4 m a step
    truth = np.stack([radius * np.sin(steps), side * radius * (1 - np.cos(steps))], axis=-1)
    origins = []
    for (x, y), angle in zip(truth, side * steps, strict=True):
        T_now_then = make_transform([np.cos(angle / 2), 0, 0, np.sin(angle / 2)], [x, y, 0])
        model_then = T_now_then @ T_ego_model
        origins.append(transform_points(invert_transform(T_ego_model), model_then[:3, 3])[:2])
    positions, headings = scene(np.stack([np.array(origins)] * 3)).plan_in_ego()
    # Headings by differences of points are those of the model origin (0.94 m before the axle) and, at the last
    # point, half a step old: both errors shrink with the curvature.
    bound = (0.94 + 2.0 + 0.2) / radius + 1e-3
    assert np.abs(headings[0] - side * steps).max() < bound
    assert np.abs(positions[0] - truth).max() < 0.94 * bound + 1e-3


def test_a_standing_car_stays_where_it_is() -> None:
    positions, headings = scene(np.zeros((3, 6, 2))).plan_in_ego()
    np.testing.assert_allclose(positions, 0, atol=1e-6)
    assert not headings.any()


def test_the_commanded_trajectory_is_chosen() -> None:
    trajectories = np.arange(36.0).reshape(3, 6, 2)
    for command in Command:
        plan = scene(trajectories, command).plan
        np.testing.assert_array_equal(plan.points_model, trajectories[command.value])
    np.testing.assert_allclose(plan.times_s, [0.5, 1, 1.5, 2, 2.5, 3])


def test_headings_along_a_diagonal() -> None:
    path = np.stack([np.arange(5.0), np.arange(5.0)], axis=-1)
    np.testing.assert_allclose(path_headings(path), np.pi / 4)


def test_headings_do_not_follow_noise_at_standstill() -> None:
    path = np.array([[0, 0], [2.0, 0], [4, 0], [4.01, 0.02], [4.0, -0.01], [4.01, 0.01]])
    assert np.abs(path_headings(path)[2:]).max() < 0.02


def test_backing_up_keeps_the_heading() -> None:
    straight = np.c_[-np.arange(5.0), np.zeros(5)]
    np.testing.assert_allclose(np.cos(path_headings(straight)), 1)
    curved = np.c_[-np.arange(5.0), 0.1 * np.arange(5.0) ** 2]
    headings = path_headings(curved)
    assert (headings < 0).all() and headings[-1] == pytest.approx(-np.arctan(0.7), abs=1e-6)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=6))
def test_headings_are_always_finite_angles(offsets: list[tuple[float, float]]) -> None:
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(offsets, axis=0)])
    headings = path_headings(path)
    assert headings.shape == (len(offsets),) and np.isfinite(headings).all() and (np.abs(headings) <= np.pi).all()
