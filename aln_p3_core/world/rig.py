"""The six cameras and the LiDAR of the world's car: like those of nuScenes, with rounded figures of our own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aln_p3_core.frame import NUSCENES_CAMERAS, CameraCalibration
from aln_p3_core.geometry import FloatArray, make_transform, matrix_to_quaternion

# name: heading of the optical axis (degrees, counter-clockwise), place in the ego frame (m), field of view (degrees)
_CAMERAS = {
    "CAM_FRONT": (0.0, (1.70, 0.0, 1.50), 65.0),
    "CAM_FRONT_RIGHT": (-55.0, (1.55, -0.50, 1.50), 65.0),
    "CAM_FRONT_LEFT": (55.0, (1.55, 0.50, 1.50), 65.0),
    "CAM_BACK": (180.0, (0.05, 0.0, 1.55), 90.0),
    "CAM_BACK_LEFT": (110.0, (1.05, 0.50, 1.55), 65.0),
    "CAM_BACK_RIGHT": (-110.0, (1.05, -0.50, 1.55), 65.0),
}

#: Exposure before the frame's reference stamp, s: the cameras of a real car do not fire together either.
EXPOSURE_LEAD_S: Mapping[str, float] = {
    "CAM_FRONT": 0.036,
    "CAM_FRONT_RIGHT": 0.028,
    "CAM_FRONT_LEFT": 0.043,
    "CAM_BACK": 0.010,
    "CAM_BACK_LEFT": 0.001,
    "CAM_BACK_RIGHT": 0.020,
}

#: Pictures that the world renders, width and height.
SIZES = ((400, 225), (800, 450), (1600, 900))


def world_rig(width: int = 400, height: int = 225) -> dict[str, CameraCalibration]:
    """Calibrations of the six cameras, in nuScenes' order, for pictures of `width` x `height` pixels."""
    calibrations = {}
    for name in NUSCENES_CAMERAS:
        degrees, place, field_of_view = _CAMERAS[name]
        focal = width / 2 / np.tan(np.radians(field_of_view) / 2)
        intrinsic = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        calibrations[name] = CameraCalibration(intrinsic, _mounting(degrees, place), width, height)
    return calibrations


def _mounting(degrees: float, place: tuple[float, float, float]) -> FloatArray:
    """4x4, camera frame to ego frame, of a level camera that looks into a direction.

    Data sets and ROS messages carry quaternions. The matrix is one that comes back from its quaternion to the last
    bit (the direction is turned by billionths of a degree until it does), so that all of them speak of one camera.
    """
    for nudge in range(100):
        angle = np.radians(degrees + nudge * 1e-9)
        cos, sin = np.cos(angle), np.sin(angle)
        # Columns: camera x (right), y (down), z (optical axis) in the ego frame.
        mounting = make_transform([[sin, 0.0, cos], [-cos, 0.0, sin], [0.0, -1.0, 0.0]], place)
        for _ in range(10):
            again = make_transform(matrix_to_quaternion(mounting), place)
            if np.array_equal(again, mounting):
                return mounting
            mounting = again
    return mounting
