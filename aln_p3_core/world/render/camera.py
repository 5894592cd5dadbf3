"""A pinhole camera as OpenGL wants it, and what it can see.

The continuous pixel coordinates of `geometry.project_points` are kept exactly: u runs from 0 at the left edge of
the picture to `width` at its right edge, so the pixel in column i covers u from i to i + 1 and its centre lies at
i + 0.5. The optical axis of a camera with cx = width / 2 goes through the middle of the picture. Row 0 of the
frame buffer is the top row of the picture: the projection is upside down for OpenGL, and no picture is flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray, invert_transform

#: Nearest and farthest distance along the optical axis that is drawn, m.
NEAR_M = 0.2
FAR_M = 700.0


@dataclass(frozen=True, eq=False)
class PlacedCamera:
    """A camera at its exposure.

    Attributes:
        calibration: intrinsics and size.
        T_world_cam: 4x4, camera frame (x right, y down, z forward) to world frame.
    """

    calibration: CameraCalibration
    T_world_cam: FloatArray

    @property
    def eye(self) -> FloatArray:
        """[3] place of the pinhole, m."""
        return self.T_world_cam[:3, 3]

    @property
    def axis(self) -> FloatArray:
        """[3] unit vector along the optical axis."""
        return self.T_world_cam[:3, 2]

    @cached_property
    def T_clip_world(self) -> FloatArray:
        """4x4, world frame to OpenGL clip space."""
        k, width, height = self.calibration.intrinsic, self.calibration.width, self.calibration.height
        clip = np.zeros((4, 4))
        clip[0, :3] = 2 / width * k[0] - [0, 0, 1]
        clip[1, :3] = 2 / height * k[1] - [0, 0, 1]
        clip[2, 2] = (FAR_M + NEAR_M) / (FAR_M - NEAR_M)
        clip[2, 3] = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
        clip[3, 2] = 1.0
        return clip @ invert_transform(self.T_world_cam)

    @cached_property
    def rays(self) -> FloatArray:
        """[3, 3] world directions a, b, c: the pixel at clip x, y is seen along a + x b + y c."""
        k_inverse = np.linalg.inv(self.calibration.intrinsic)
        half = np.array([self.calibration.width / 2, self.calibration.height / 2, 1.0])
        columns = np.array([[half[0], half[1], 1.0], [half[0], 0.0, 0.0], [0.0, half[1], 0.0]])
        return columns @ k_inverse.T @ self.T_world_cam[:3, :3].T

    @cached_property
    def _sides(self) -> tuple[FloatArray, FloatArray]:
        """Inward normals [4, 3] of the view's side planes (through the eye), and the eye."""
        a, b, c = self.rays
        corners = [a - b - c, a + b - c, a + b + c, a - b + c]
        normals = np.array([np.cross(corners[(i + 1) % 4], corners[i]) for i in range(4)])
        normals *= np.sign(normals @ a)[:, None]
        return normals / np.linalg.norm(normals, axis=1, keepdims=True), self.eye

    def sees(self, centers: FloatArray, radii: FloatArray, reach_m: float) -> tuple[np.ndarray, FloatArray]:
        """Which spheres [N, 3], [N] may be in the picture within `reach_m`, and their distances [N] from the eye."""
        normals, eye = self._sides
        offset = np.asarray(centers) - eye
        distance = np.sqrt((offset**2).sum(axis=1))
        inside = ((offset @ normals.T) > -np.asarray(radii)[:, None]).all(axis=1)
        return inside & (distance - radii < reach_m), distance


def metric_depth(buffer: np.ndarray) -> np.ndarray:
    """Metres along the optical axis, float32, of the values 0..1 of the depth buffer; infinite where it is empty."""
    scale = np.float32((FAR_M - NEAR_M) / (FAR_M * NEAR_M))
    with np.errstate(divide="ignore"):
        # 1 / Z is linear in the buffer's value: 1/near at 0, 1/far at 1.
        depth = np.float32(1.0) / (np.float32(1.0 / NEAR_M) - scale * buffer)
    depth[buffer >= 1.0] = np.inf
    return depth
