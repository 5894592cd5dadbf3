"""The maths of frames: rigid transforms, rotations, projections.

Notation: `T_a_b` is the 4x4 matrix that takes points given in frame b to frame a, so that
`T_a_c = T_a_b @ T_b_c`. Quaternions are `[w, x, y, z]`. Angles are radians, counter-clockwise seen
from above. docs/frames.md lists every frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

#: Model frame for rigs without a nuScenes-like LiDAR: x right, y forward, z up, at the place where a
#: nuScenes LIDAR_TOP sits over the rear axle (metres in the ego frame).
VIRTUAL_MODEL_ORIGIN_EGO = (0.94, 0.0, 1.84)

_ROTATION_TOLERANCE = 1e-3


def make_transform(rotation: ArrayLike, translation: ArrayLike) -> FloatArray:
    """Builds a 4x4 transform from a 3x3 rotation or a [w, x, y, z] quaternion and a translation in metres."""
    rotation_array = np.asarray(rotation, dtype=np.float64)
    matrix = quaternion_to_matrix(rotation_array) if rotation_array.shape == (4,) else rotation_array
    transform = np.eye(4)
    transform[:3, :3] = matrix
    transform[:3, 3] = np.asarray(translation, dtype=np.float64)
    return transform


def virtual_T_ego_model() -> FloatArray:
    """The model frame of a rig without LiDAR: see `VIRTUAL_MODEL_ORIGIN_EGO`."""
    # Columns are the model axes in the ego frame: x right = -y_ego, y forward = x_ego, z up.
    rotation = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return make_transform(rotation, VIRTUAL_MODEL_ORIGIN_EGO)


def invert_transform(transform: ArrayLike) -> FloatArray:
    """Inverse of a rigid 4x4 transform (or a stack of them, [..., 4, 4])."""
    transform = np.asarray(transform, dtype=np.float64)
    rotation_t = np.swapaxes(transform[..., :3, :3], -1, -2)
    inverse = np.zeros_like(transform)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation_t, transform[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def transform_points(T_a_b: ArrayLike, points_b: ArrayLike) -> FloatArray:
    """Takes points [..., 3] or [..., 2] (then z = 0, and z is dropped again) from frame b to frame a."""
    T = np.asarray(T_a_b, dtype=np.float64)
    points = np.asarray(points_b, dtype=np.float64)
    width = points.shape[-1]
    return points @ T[:width, :width].T + T[:width, 3]


def rotate_vectors(T_a_b: ArrayLike, vectors_b: ArrayLike) -> FloatArray:
    """Takes directions or velocities [..., 2 or 3] from frame b to frame a: rotation only."""
    vectors = np.asarray(vectors_b, dtype=np.float64)
    width = vectors.shape[-1]
    return vectors @ np.asarray(T_a_b, dtype=np.float64)[:width, :width].T


def heading_of(T_a_b: ArrayLike) -> float:
    """Heading in radians of b's x axis in frame a, counter-clockwise about a's z."""
    T = np.asarray(T_a_b, dtype=np.float64)
    return float(np.arctan2(T[1, 0], T[0, 0]))


def wrap_angle(angle: ArrayLike) -> FloatArray:
    """Wraps radians into [-pi, pi)."""
    return (np.asarray(angle, dtype=np.float64) + np.pi) % (2 * np.pi) - np.pi


def quaternion_to_matrix(quaternion_wxyz: ArrayLike) -> FloatArray:
    """Rotation matrix of a quaternion [w, x, y, z], which is normalised first.

    Raises:
        ValueError: when it is not four finite numbers with a norm near one.
    """
    quaternion = np.asarray(quaternion_wxyz, dtype=np.float64)
    if quaternion.shape != (4,) or not np.isfinite(quaternion).all():
        raise ValueError(f"a rotation must be four finite numbers [w, x, y, z], got {quaternion_wxyz!r}")
    norm = np.linalg.norm(quaternion)
    if abs(norm - 1.0) > 1e-2:
        raise ValueError(f"a rotation quaternion must have norm 1, got {norm:.4f} for {quaternion.tolist()}")
    w, x, y, z = quaternion / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quaternion(rotation: ArrayLike) -> FloatArray:
    """Quaternion [w, x, y, z] with w >= 0 of a 3x3 rotation (or of a 4x4 transform's rotation)."""
    m = np.asarray(rotation, dtype=np.float64)[:3, :3]
    # Largest of the four candidates first: stable for every rotation (Shepperd 1978).
    candidates = np.array([np.trace(m), m[0, 0], m[1, 1], m[2, 2]])
    i = int(candidates.argmax())
    if i == 0:
        q = np.array([1 + candidates[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    else:
        a, b, c = i - 1, i % 3, (i + 1) % 3
        q = np.zeros(4)
        q[0] = m[c, b] - m[b, c]
        q[1 + a] = 1 + m[a, a] - m[b, b] - m[c, c]
        q[1 + b] = m[b, a] + m[a, b]
        q[1 + c] = m[c, a] + m[a, c]
    q /= np.linalg.norm(q)
    return -q if q[0] < 0 else q


def interpolate_transform(T_0: ArrayLike, T_1: ArrayLike, fraction: float) -> FloatArray:
    """Rigid transform between two: straight line for the place, shortest great arc for the rotation.

    `fraction` 0 gives T_0, 1 gives T_1; values outside extrapolate.
    """
    T_0 = np.asarray(T_0, dtype=np.float64)
    T_1 = np.asarray(T_1, dtype=np.float64)
    relative = matrix_to_quaternion(T_0[:3, :3].T @ T_1[:3, :3])
    half = np.arctan2(np.linalg.norm(relative[1:]), relative[0])
    axis = relative[1:] / max(float(np.linalg.norm(relative[1:])), 1e-12)
    step = np.concatenate([[np.cos(half * fraction)], np.sin(half * fraction) * axis])
    translation = (1 - fraction) * T_0[:3, 3] + fraction * T_1[:3, 3]
    return make_transform(T_0[:3, :3] @ quaternion_to_matrix(step), translation)


def transform_problem(transform: ArrayLike) -> str | None:
    """Says what is wrong with a would-be rigid 4x4 transform, or None when it is one."""
    T = np.asarray(transform)
    if T.shape != (4, 4):
        return f"its shape is {T.shape}, not (4, 4)"
    if not np.isfinite(T).all():
        return "it holds NaN or infinity"
    if not np.allclose(T[3], [0, 0, 0, 1], atol=1e-9):
        return f"its last row is {T[3].tolist()}, not [0, 0, 0, 1]"
    rotation = T[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROTATION_TOLERANCE:
        return f"its rotation is not orthonormal (error {error:.3g})"
    if np.linalg.det(rotation) < 0:
        return "its rotation is a mirror image (determinant -1)"
    return None


def project_points(points_cam: ArrayLike, intrinsic: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Pinhole projection of points [..., 3] in a camera frame (x right, y down, z forward).

    Returns pixels [..., 2] and depths [...] in metres; a pixel means something only where depth > 0.
    """
    points = np.asarray(points_cam, dtype=np.float64)
    homogeneous = points @ np.asarray(intrinsic, dtype=np.float64)[:3, :3].T
    depth = homogeneous[..., 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    return homogeneous[..., :2] / safe[..., None], depth


def box_corners(center: ArrayLike, size_lwh: ArrayLike, heading: ArrayLike) -> FloatArray:
    """Corners [..., 8, 3] of upright boxes: centre [..., 3], size length-width-height, heading about z.

    The first four are the front face, the last four the rear face; in each: left top, right top,
    right bottom, left bottom, seen along the heading (the order that nuScenes uses).
    """
    center = np.asarray(center, dtype=np.float64)
    size = np.asarray(size_lwh, dtype=np.float64)
    heading = np.asarray(heading, dtype=np.float64)
    signs = np.array(
        [[1, 1, 1], [1, -1, 1], [1, -1, -1], [1, 1, -1], [-1, 1, 1], [-1, -1, 1], [-1, -1, -1], [-1, 1, -1]]
    )
    local = signs * size[..., None, :] / 2
    cos, sin = np.cos(heading)[..., None], np.sin(heading)[..., None]
    x = cos * local[..., 0] - sin * local[..., 1]
    y = sin * local[..., 0] + cos * local[..., 1]
    return np.stack([x, y, local[..., 2]], axis=-1) + center[..., None, :]
