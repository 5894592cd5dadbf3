"""The test track itself: a straight road, painted boxes that move, and a rig like that of nuScenes.

Global frame: x along the road, y to the left of it, z up; the ego lane's centre is y = -1.75 m.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray, box_corners, invert_transform, make_transform, transform_points

LANE_WIDTH = 3.5
KERB = 5.5
CROSSING_X = 46.0
EGO_LANE_Y = -LANE_WIDTH / 2
EGO_SPEED = 8.0

# name: heading of the optical axis (degrees, counter-clockwise), place in the ego frame (m), field of view (degrees)
_RIG = {
    "CAM_FRONT": (0.0, (1.70, 0.0, 1.50), 65.0),
    "CAM_FRONT_RIGHT": (-55.0, (1.55, -0.50, 1.50), 65.0),
    "CAM_FRONT_LEFT": (55.0, (1.55, 0.50, 1.50), 65.0),
    "CAM_BACK": (180.0, (0.0, 0.0, 1.55), 90.0),
    "CAM_BACK_LEFT": (110.0, (1.05, 0.50, 1.55), 65.0),
    "CAM_BACK_RIGHT": (-110.0, (1.05, -0.50, 1.55), 65.0),
}

_SKY_TOP = np.array([96, 140, 196], np.float32)
_SKY_LOW = np.array([214, 226, 236], np.float32)
_NEAR_M = 0.3


@dataclass(frozen=True, slots=True)
class Actor:
    """A box on the track: category, size (length, width, height, m), place at time 0, speed along its heading."""

    category: str
    size_lwh: tuple[float, float, float]
    x: float
    y: float
    heading: float
    speed: float
    color: tuple[int, int, int]

    def center(self, seconds: float) -> FloatArray:
        """Centre [3] in the global frame, m."""
        distance = self.speed * seconds
        return np.array(
            [
                self.x + distance * np.cos(self.heading),
                self.y + distance * np.sin(self.heading),
                self.size_lwh[2] / 2,
            ]
        )


ACTORS = (
    Actor("vehicle.car", (4.6, 1.9, 1.6), 19.0, EGO_LANE_Y, 0.0, 8.5, (196, 62, 54)),
    Actor("vehicle.truck", (8.5, 2.5, 3.2), 62.0, -EGO_LANE_Y, np.pi, 7.0, (225, 170, 60)),
    Actor("vehicle.car", (4.3, 1.8, 1.5), -14.0, EGO_LANE_Y, 0.0, 7.5, (66, 110, 190)),
    Actor("vehicle.car", (4.4, 1.8, 1.5), 30.0, -4.6, 0.0, 0.0, (120, 124, 130)),
    Actor("vehicle.bus.rigid", (11.0, 2.8, 3.3), 16.0, -EGO_LANE_Y, np.pi, 6.0, (70, 150, 110)),
    Actor("human.pedestrian.adult", (0.6, 0.6, 1.75), 34.0, 6.6, 0.0, 1.3, (150, 70, 160)),
    Actor("human.pedestrian.adult", (0.6, 0.6, 1.70), CROSSING_X, -7.0, np.pi / 2, 0.0, (230, 120, 40)),
    Actor("human.pedestrian.adult", (0.6, 0.6, 1.80), 6.0, -6.8, 0.0, 1.2, (60, 60, 70)),
    Actor("movable_object.trafficcone", (0.4, 0.4, 0.8), 24.0, 5.0, 0.0, 0.0, (240, 110, 30)),
)

# Houses along the road: seen, but not annotated.
SCENERY = tuple(
    Actor("", (length, 9.0, height), x, side * 15.0, 0.0, 0.0, color)
    for side in (1, -1)
    for x, length, height, color in (
        (-60.0, 14.0, 9.0, (186, 160, 132)),
        (-30.0, 18.0, 6.5, (150, 150, 158)),
        (4.0, 12.0, 8.0, (198, 176, 150)),
        (30.0 + 6 * side, 16.0, 7.0, (166, 128, 112)),
        (62.0, 20.0, 10.0, (160, 170, 176)),
        (98.0, 14.0, 7.5, (188, 170, 140)),
    )
)


def rig(width: int = 800, height: int = 450) -> dict[str, CameraCalibration]:
    """Six calibrated cameras in the order of nuScenes, for pictures of `width` x `height` pixels."""
    calibrations = {}
    for name, (degrees, place, field_of_view) in _RIG.items():
        focal = width / 2 / np.tan(np.radians(field_of_view) / 2)
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        # Columns: camera x (right), y (down), z (optical axis) in the ego frame.
        rotation = np.array([[sin, 0.0, cos], [-cos, 0.0, sin], [0.0, -1.0, 0.0]])
        intrinsic = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        calibrations[name] = CameraCalibration(intrinsic, make_transform(rotation, place), width, height)
    return calibrations


def ego_pose(seconds: float) -> FloatArray:
    """4x4 ego to global: straight on at `EGO_SPEED`."""
    return make_transform([1, 0, 0, 0], [EGO_SPEED * seconds, EGO_LANE_Y, 0.0])


def paint(calibration: CameraCalibration, T_global_ego: FloatArray, seconds: float) -> NDArray[np.uint8]:
    """The picture of one camera, uint8 [height, width, 3] RGB."""
    T_global_cam = T_global_ego @ calibration.T_ego_cam
    image = _paint_ground_and_sky(calibration, T_global_cam)
    camera_place = T_global_cam[:3, 3]
    T_cam_global = invert_transform(T_global_cam)
    by_distance = sorted((*ACTORS, *SCENERY), key=lambda a: -float(np.linalg.norm(a.center(seconds) - camera_place)))
    for actor in by_distance:
        _paint_box(image, actor, seconds, T_cam_global, camera_place, calibration.intrinsic)
    return image


def _paint_ground_and_sky(calibration: CameraCalibration, T_global_cam: FloatArray) -> NDArray[np.uint8]:
    k = calibration.intrinsic
    u, v = np.meshgrid(np.arange(calibration.width) + 0.5, np.arange(calibration.height) + 0.5)
    rays = np.stack([(u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones_like(u)], axis=-1).astype(np.float32)
    rays = rays @ T_global_cam[:3, :3].T.astype(np.float32)
    slope = rays[..., 2]
    blend = np.clip(slope / np.linalg.norm(rays, axis=-1) * 2.5, 0, 1)[..., None]
    image = _SKY_LOW * (1 - blend) + _SKY_TOP * blend
    below = slope < -1e-3
    distance = -T_global_cam[2, 3] / slope[below]
    x = T_global_cam[0, 3] + rays[below][:, 0] * distance
    y = T_global_cam[1, 3] + rays[below][:, 1] * distance
    fog = np.exp(-np.hypot(x - T_global_cam[0, 3], y - T_global_cam[1, 3]) / 120)[:, None]
    image[below] = _ground_color(x, y) * fog + _SKY_LOW * (1 - fog)
    return image.astype(np.uint8)


def _ground_color(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float32]:
    color = np.empty((len(x), 3), np.float32)
    patch = ((np.floor(x / 4) + np.floor(y / 4)) % 2)[:, None]
    color[:] = np.where(patch > 0, (104, 138, 84), (96, 128, 78))
    across = np.abs(y)
    color[across < KERB + 2.2] = (168, 164, 158)
    color[across < KERB] = (78, 80, 84)
    color[(across > KERB - 0.15) & (across < KERB + 0.15)] = (205, 202, 195)
    color[np.abs(across - LANE_WIDTH) < 0.08] = (235, 235, 235)
    color[(across < 0.08) & (np.mod(x, 9.0) < 3.0)] = (235, 235, 235)
    color[(np.abs(x - CROSSING_X) < 1.8) & (across < LANE_WIDTH) & (np.mod(y, 1.0) < 0.5)] = (240, 240, 240)
    return color


_FACES = (
    ((0, 1, 2, 3), (1.0, 0.0, 0.0)),
    ((4, 5, 6, 7), (-1.0, 0.0, 0.0)),
    ((0, 4, 7, 3), (0.0, 1.0, 0.0)),
    ((1, 5, 6, 2), (0.0, -1.0, 0.0)),
    ((0, 1, 5, 4), (0.0, 0.0, 1.0)),
)
_SUN = np.array([0.35, -0.45, 0.82])


def _paint_box(
    image: NDArray[np.uint8],
    actor: Actor,
    seconds: float,
    T_cam_global: FloatArray,
    camera_place: FloatArray,
    intrinsic: FloatArray,
) -> None:
    corners = box_corners(actor.center(seconds), actor.size_lwh, actor.heading)
    heading = make_transform([np.cos(actor.heading / 2), 0, 0, np.sin(actor.heading / 2)], [0, 0, 0])[:3, :3]
    for indices, normal_local in _FACES:
        normal = heading @ np.array(normal_local)
        face = corners[list(indices)]
        if normal @ (camera_place - face[0]) <= 0:
            continue
        polygon = _clip_near(transform_points(T_cam_global, face))
        if len(polygon) < 3:
            continue
        pixels = polygon @ intrinsic.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        light = 0.55 + 0.45 * max(0.0, float(normal @ _SUN))
        color = tuple(float(c) * light for c in actor.color)
        # A shift of 4 paints at a sixteenth of a pixel, so that the picture keeps the exact geometry.
        points = np.clip(np.round(pixels * 16), -(1 << 20), 1 << 20).astype(np.int32)
        cv2.fillConvexPoly(image, points, color, cv2.LINE_AA, 4)


def _clip_near(polygon_cam: FloatArray) -> FloatArray:
    """Cuts a polygon [n, 3] in the camera frame at the near plane (Sutherland and Hodgman, one plane)."""
    kept: list[FloatArray] = []
    for index, current in enumerate(polygon_cam):
        previous = polygon_cam[index - 1]
        if (current[2] >= _NEAR_M) != (previous[2] >= _NEAR_M):
            fraction = (_NEAR_M - previous[2]) / (current[2] - previous[2])
            kept.append(previous + fraction * (current - previous))
        if current[2] >= _NEAR_M:
            kept.append(current)
    return np.array(kept)
