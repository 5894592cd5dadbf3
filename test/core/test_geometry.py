"""Properties that the maths of frames must have for every rotation and place."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nuscenes.utils.data_classes import Box
from pyquaternion import Quaternion

from aln_p3_core.geometry import (
    FloatArray,
    box_corners,
    heading_of,
    interpolate_transform,
    invert_transform,
    make_transform,
    matrix_to_quaternion,
    project_points,
    quaternion_to_matrix,
    rotate_vectors,
    transform_points,
    transform_problem,
    virtual_T_ego_model,
    wrap_angle,
)

places = arrays(np.float64, 3, elements=st.floats(-2000, 2000))
quaternions = (
    arrays(np.float64, 4, elements=st.floats(-1, 1))
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
transforms = st.builds(make_transform, quaternions, places)
point_lists = arrays(np.float64, (4, 3), elements=st.floats(-200, 200))
angles = st.floats(-50, 50)


def yaw(angle: float) -> FloatArray:
    return make_transform([np.cos(angle / 2), 0, 0, np.sin(angle / 2)], [0, 0, 0])


@given(quaternions)
def test_a_quaternion_survives_its_matrix_up_to_sign(quaternion: FloatArray) -> None:
    matrix = quaternion_to_matrix(quaternion)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    back = matrix_to_quaternion(matrix)
    assert back[0] >= 0
    assert abs(back @ quaternion) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns_are_no_special_case(axis: int) -> None:
    quaternion = np.zeros(4)
    quaternion[1 + axis] = 1
    np.testing.assert_allclose(np.abs(matrix_to_quaternion(quaternion_to_matrix(quaternion))), quaternion, atol=1e-12)


@pytest.mark.parametrize("bad", [[1, 0, 0], [np.nan, 0, 0, 0], [0, 0, 0, 0], [2, 0, 0, 0]])
def test_what_is_no_rotation_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="a rotation"):
        quaternion_to_matrix(bad)


@given(transforms, point_lists)
def test_the_inverse_leads_back(T: FloatArray, points: FloatArray) -> None:
    np.testing.assert_allclose(invert_transform(T) @ T, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(transform_points(invert_transform(T), transform_points(T, points)), points, atol=1e-8)
    stack = np.stack([T, np.eye(4)])
    np.testing.assert_allclose(invert_transform(stack)[0], invert_transform(T))
    assert transform_problem(T) is None


@given(transforms, transforms, point_lists)
def test_transforms_chain(T_a_b: FloatArray, T_b_c: FloatArray, points: FloatArray) -> None:
    chained = transform_points(T_a_b, transform_points(T_b_c, points))
    np.testing.assert_allclose(transform_points(T_a_b @ T_b_c, points), chained, atol=1e-8)
    assert transform_problem(T_a_b @ T_b_c) is None


@given(transforms, point_lists, point_lists)
def test_vectors_are_differences_of_points(T: FloatArray, a: FloatArray, b: FloatArray) -> None:
    moved = transform_points(T, b) - transform_points(T, a)
    np.testing.assert_allclose(rotate_vectors(T, b - a), moved, atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(b - a, axis=1), atol=1e-8)


@given(angles, st.floats(-100, 100), st.floats(-100, 100))
def test_flat_points_are_points_with_height_zero(angle: float, x: float, y: float) -> None:
    T = yaw(angle) + np.array([[0, 0, 0, 3], [0, 0, 0, -7], [0, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(transform_points(T, [x, y]), transform_points(T, [x, y, 0])[:2], atol=1e-9)


@given(transforms, transforms, st.floats(0, 1))
def test_interpolation_is_rigid_and_starts_and_ends_right(T_0: FloatArray, T_1: FloatArray, fraction: float) -> None:
    np.testing.assert_allclose(interpolate_transform(T_0, T_1, 0), T_0, atol=1e-9)
    np.testing.assert_allclose(interpolate_transform(T_0, T_1, 1), T_1, atol=1e-6)
    between = interpolate_transform(T_0, T_1, fraction)
    assert transform_problem(between) is None
    straight = (1 - fraction) * T_0[:3, 3] + fraction * T_1[:3, 3]
    np.testing.assert_allclose(between[:3, 3], straight, atol=1e-9)


@given(st.floats(-3, 3), st.floats(-1, 2))
def test_interpolation_turns_evenly_the_short_way(turn: float, fraction: float) -> None:
    start = 3.0  # so that the turn crosses the seam at pi
    between = interpolate_transform(yaw(start), yaw(start + turn), fraction)
    assert float(wrap_angle(heading_of(between) - start - fraction * turn)) == pytest.approx(0, abs=1e-6)


@given(angles)
def test_angles_wrap_into_one_turn(angle: float) -> None:
    wrapped = float(wrap_angle(angle))
    assert -np.pi <= wrapped < np.pi
    assert np.cos(wrapped - angle) == pytest.approx(1)
    assert np.cos(heading_of(yaw(angle)) - angle) == pytest.approx(1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda T: T[:3], r"shape is \(3, 4\)"),
        (lambda T: T * np.nan, "NaN"),
        (lambda T: T + np.array([0, 0, 0, 1.0])[:, None], "last row"),
        (lambda T: T @ np.diag([2.0, 1, 1, 1]), "not orthonormal"),
        (lambda T: T @ np.diag([-1.0, 1, 1, 1]), "mirror image"),
    ],
)
def test_what_is_no_rigid_transform_is_said(damage: object, message: str) -> None:
    problem = transform_problem(damage(virtual_T_ego_model()))  # type: ignore[operator]
    assert problem is not None and re.search(message, problem)


def test_the_virtual_model_frame_looks_forward() -> None:
    T = virtual_T_ego_model()
    np.testing.assert_allclose(transform_points(T, [0, 10, 0]), [10.94, 0, 1.84])  # forward
    np.testing.assert_allclose(transform_points(T, [2, 0, 0]), [0.94, -2, 1.84])  # right


@given(arrays(np.float64, (5, 3), elements=st.floats(0.5, 50)), st.floats(100, 2000), st.floats(0.01, 10))
def test_projection_does_not_depend_on_the_distance(points: FloatArray, focal: float, factor: float) -> None:
    intrinsic = np.array([[focal, 0, 320], [0, focal, 240], [0, 0, 1]])
    pixels, depth = project_points(points, intrinsic)
    np.testing.assert_allclose(depth, points[:, 2])
    np.testing.assert_allclose(project_points(points * factor, intrinsic)[0], pixels, rtol=1e-9)
    np.testing.assert_allclose((pixels[:, 0] - 320) / focal * depth, points[:, 0], rtol=1e-6)


def test_points_in_the_camera_plane_do_not_divide_by_zero() -> None:
    pixels, depth = project_points([[1.0, 1, 0]], np.eye(3))
    assert np.isfinite(pixels).all() and depth[0] == 0


@given(places, arrays(np.float64, 3, elements=st.floats(0.1, 20)), angles)
def test_boxes_have_the_devkits_corners(center: FloatArray, size_lwh: FloatArray, heading: float) -> None:
    box = Box(center, size_lwh[[1, 0, 2]], Quaternion(axis=[0, 0, 1], radians=heading))
    np.testing.assert_allclose(box_corners(center, size_lwh, heading), box.corners().T, atol=1e-8)
