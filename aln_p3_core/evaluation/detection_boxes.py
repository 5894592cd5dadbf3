"""Boxes as nuscenes-devkit wants them: in the global frame, with an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, matrix_to_quaternion, rotate_vectors, transform_points
from aln_p3_core.scene import Agents, FloatTensor

if TYPE_CHECKING:
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

#: Below this an agent stands, m/s.
STANDING_SPEED = 0.2
_MOVING_AND_STANDING = {
    "car": ("vehicle.moving", "vehicle.parked"),
    "truck": ("vehicle.moving", "vehicle.parked"),
    "trailer": ("vehicle.moving", "vehicle.parked"),
    "construction_vehicle": ("vehicle.moving", "vehicle.parked"),
    # A bus that stands has mostly stopped for passengers or a light.
    "bus": ("vehicle.moving", "vehicle.stopped"),
    "bicycle": ("cycle.with_rider", "cycle.without_rider"),
    "motorcycle": ("cycle.with_rider", "cycle.without_rider"),
    "pedestrian": ("pedestrian.moving", "pedestrian.standing"),
}


def attribute_of(class_name: str, speed: float) -> str:
    """The attribute that is likeliest for a class at a speed in m/s; "" for classes without one."""
    moving, standing = _MOVING_AND_STANDING.get(class_name, ("", ""))
    return moving if speed > STANDING_SPEED else standing


def detection_boxes(agents: Agents, T_global_model: FloatArray, token: str) -> list[DetectionBox]:
    """Agents as the devkit's boxes, in their order.

    The boxes stand upright in the model frame, whose roll and pitch they keep, as the devkit's own conversion of
    LiDAR boxes does. Their velocity is the horizontal one of the global frame.

    Args:
        agents: in the model frame.
        T_global_model: 4x4, model frame to global frame at the reference stamp.
        token: of the sample.
    """
    from nuscenes.eval.detection.data_classes import DetectionBox

    centers_global = transform_points(T_global_model, agents.centers_model)
    speeds = np.linalg.norm(agents.velocities_model, axis=1)
    flat = np.concatenate([agents.velocities_model, np.zeros((len(agents), 1))], axis=1)
    velocities_global = rotate_vectors(T_global_model, flat)
    quaternions = _turned(matrix_to_quaternion(T_global_model), agents.headings_model)
    boxes = []
    for i in range(len(agents)):
        length, width, height = map(float, agents.sizes_lwh[i])
        name = agents.class_names[int(agents.class_ids[i])]
        boxes.append(
            DetectionBox(
                sample_token=token,
                translation=tuple(map(float, centers_global[i])),
                size=(width, length, height),
                rotation=tuple(map(float, quaternions[i])),
                velocity=tuple(map(float, velocities_global[i, :2])),
                detection_name=name,
                detection_score=float(agents.scores[i]),
                attribute_name=attribute_of(name, float(speeds[i])),
            )
        )
    return boxes


def _turned(quaternion: FloatArray, headings: FloatTensor) -> FloatArray:
    """[A, 4] the rotation of a quaternion [w, x, y, z] after turns by headings [A] about z."""
    w, x, y, z = quaternion
    half = np.asarray(headings, dtype=np.float64) / 2
    cos, sin = np.cos(half), np.sin(half)
    return np.stack([w * cos - z * sin, x * cos + y * sin, y * cos - x * sin, z * cos + w * sin], axis=-1)


def true_boxes(nusc: Any, tokens: Sequence[str]) -> EvalBoxes:
    """The devkit's true boxes of samples. Raises DataError for an object with several attributes."""
    from nuscenes.eval.common.loaders import load_gt_of_sample_tokens
    from nuscenes.eval.detection.data_classes import DetectionBox

    try:
        with redirect_stderr(StringIO()):  # its progress bar cannot be switched off
            return load_gt_of_sample_tokens(nusc, list(tokens), DetectionBox)
    except Exception as error:  # the devkit raises bare exceptions
        raise DataError(f"nuscenes-devkit cannot read the annotations of {nusc.dataroot}: {error}") from error
