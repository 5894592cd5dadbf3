"""A six-camera rig with grey pictures, and content to draw over it."""

from __future__ import annotations

import numpy as np

from aln_p3_core.drawing.content import DrawnBox
from aln_p3_core.frame import NUSCENES_CAMERAS, CameraCalibration, CameraView, DrivingFrame
from aln_p3_core.geometry import make_transform, virtual_T_ego_model

HEADINGS_DEG = {
    "CAM_FRONT": 0.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_FRONT_LEFT": 55.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_BACK_RIGHT": -110.0,
}
GREY = 90
STAMP_NS = 1_700_000_000_000_000_000


def calibration(heading_deg: float, width: int = 320, height: int = 180) -> CameraCalibration:
    """A level camera, 1.5 m over the ground, that looks to `heading_deg` (left is positive)."""
    yaw = np.radians(heading_deg)
    forward = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    rotation = np.stack([right, [0.0, 0.0, -1.0], forward], axis=1)
    intrinsic = np.array([[250.0, 0, (width - 1) / 2], [0, 250.0, (height - 1) / 2], [0, 0, 1]])
    return CameraCalibration(intrinsic, make_transform(rotation, [1.0, 0.0, 1.5]), width, height)


def grey_frame(cameras: tuple[str, ...] = NUSCENES_CAMERAS, lost: tuple[str, ...] = ()) -> DrivingFrame:
    """A frame whose pictures are plain grey, so that everything else in a mosaic was drawn."""
    views = {
        name: CameraView(np.full((180, 320, 3), GREY, np.uint8), STAMP_NS, calibration(HEADINGS_DEG[name]), np.eye(4))
        for name in cameras
        if name not in lost
    }
    return DrivingFrame(cameras, views, STAMP_NS, np.eye(4), virtual_T_ego_model())


def box_at(x: float, y: float, class_name: str = "car", heading: float = np.pi / 2) -> DrawnBox:
    """A car-sized box on the ground at x to the right and y ahead in the model frame."""
    return DrawnBox(
        class_name, np.array([x, y, -1.84 + 0.8]), np.array([4.5, 1.9, 1.6]), heading, np.zeros(2), score=0.9
    )
