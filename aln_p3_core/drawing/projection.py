"""From the model frame to the pixels of a picture, with everything outside the camera's view cut away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray, project_points, transform_points

#: Nothing nearer to the camera than this is drawn, metres.
NEAR_M = 0.3
#: How far lines may leave the picture before they are cut, as a share of its size.
_MARGIN = 0.1


@dataclass(frozen=True, eq=False)
class PictureCamera:
    """A camera whose picture is shown `width` x `height` pixels large.

    Attributes:
        T_cam_model: 4x4, model frame to camera frame (x right, y down, z forward).
        intrinsic: 3x3, for the picture's pixels.
        width, height: of the picture, pixels.
    """

    T_cam_model: FloatArray
    intrinsic: FloatArray
    width: int
    height: int

    @classmethod
    def of(cls, calibration: CameraCalibration, T_cam_model: FloatArray, width: int, height: int) -> PictureCamera:
        """The camera of a calibration, for its image resized to `width` x `height`."""
        scale_x, scale_y = width / calibration.width, height / calibration.height
        # Resizing keeps the image's edges in place, and pixel centres lie half a pixel inside them.
        resize = np.array([[scale_x, 0, 0.5 * scale_x - 0.5], [0, scale_y, 0.5 * scale_y - 0.5], [0, 0, 1]])
        return cls(np.asarray(T_cam_model), resize @ calibration.intrinsic, width, height)

    @cached_property
    def _planes(self) -> FloatArray:
        """[5, 4] planes of the view's pyramid in the camera frame; inside is where a point's value is >= 0."""
        fx, skew, cx = self.intrinsic[0]
        fy, cy = self.intrinsic[1, 1:]
        left, right = -_MARGIN * self.width, (1 + _MARGIN) * self.width
        top, bottom = -_MARGIN * self.height, (1 + _MARGIN) * self.height
        return np.array(
            [
                [0, 0, 1, -NEAR_M],
                [fx, skew, cx - left, 0],
                [-fx, -skew, right - cx, 0],
                [0, fy, cy - top, 0],
                [0, -fy, bottom - cy, 0],
            ]
        )

    def in_camera(self, points_model: ArrayLike) -> FloatArray:
        """Points [..., 3] in the camera frame."""
        return transform_points(self.T_cam_model, points_model)

    def segments(self, starts_model: ArrayLike, ends_model: ArrayLike) -> FloatArray:
        """The visible parts of straight lines: pixels [k, 2, 2] of k <= n lines with ends [n, 3]."""
        return self.clip_segments(starts_model, ends_model)[0]

    def clip_segments(self, starts_model: ArrayLike, ends_model: ArrayLike) -> tuple[FloatArray, NDArray[np.int64]]:
        """As `segments`, and for each visible part the index [k] of the line that it belongs to."""
        starts, ends = self.in_camera(starts_model).reshape(-1, 3), self.in_camera(ends_model).reshape(-1, 3)
        inside_start, inside_end = self._inside(starts), self._inside(ends)
        change = inside_start - inside_end
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = inside_start / change
        enter = np.where((inside_start < 0) & (inside_end >= 0), crossing, 0.0).max(axis=1)
        leave = np.where((inside_end < 0) & (inside_start >= 0), crossing, 1.0).min(axis=1)
        visible = ~((inside_start < 0) & (inside_end < 0)).any(axis=1) & (enter < leave)
        starts, ends = starts[visible], ends[visible]
        enter, leave = enter[visible, None], leave[visible, None]
        cut = np.stack([starts + enter * (ends - starts), starts + leave * (ends - starts)], axis=1)
        return project_points(cut, self.intrinsic)[0], np.flatnonzero(visible)

    def polyline(self, points_model: ArrayLike) -> FloatArray:
        """The visible parts of a line through points [n, 3]: pixels [k, 2, 2]."""
        points = np.asarray(points_model)
        return self.segments(points[:-1], points[1:])

    def polygon(self, corners_model: ArrayLike) -> FloatArray:
        """The visible part of a flat polygon [n, 3]: pixels [m, 2], with m = 0 when none of it is seen."""
        corners = self.in_camera(corners_model)
        inside = self._inside(corners) >= 0
        if not inside.any(axis=0).all():
            return np.zeros((0, 2))
        for plane in self._planes[~inside.all(axis=0)]:  # Sutherland and Hodgman, 1974.
            corners = _cut(corners, corners @ plane[:3] + plane[3])
        return project_points(corners, self.intrinsic)[0] if len(corners) else np.zeros((0, 2))

    def _inside(self, points_cam: FloatArray) -> FloatArray:
        return points_cam @ self._planes[:, :3].T + self._planes[:, 3]


def _cut(corners: FloatArray, value: FloatArray) -> FloatArray:
    """The part of a polygon [n, 3] where a linear function of place, `value` [n] at the corners, is >= 0."""
    kept: list[FloatArray] = []
    for here in range(len(corners)):
        there = (here + 1) % len(corners)
        if value[here] >= 0:
            kept.append(corners[here])
        if (value[here] >= 0) != (value[there] >= 0):
            share = value[here] / (value[here] - value[there])
            kept.append(corners[here] + share * (corners[there] - corners[here]))
    return np.array(kept).reshape(-1, 3)
