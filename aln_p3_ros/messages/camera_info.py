"""`sensor_msgs/CameraInfo` to and from our calibration, and lens distortion."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from aln_p3_core.errors import CalibrationError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray, make_transform

DistortionUse = Literal["warn", "undo", "rectified"]

#: How many coefficients a distortion model may have (OpenCV's and ROS's orders are the same).
_COEFFICIENTS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8,),
    "thin_prism": (12, 14),
    "equidistant": (4,),
    "fisheye": (4,),
}

#: Takes points of a camera frame with body axes (x forward, y left, z up) from optical axes (z forward).
T_BODY_OPTICAL = make_transform([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], [0, 0, 0])


def has_distortion(info: CameraInfo) -> bool:
    """Whether any distortion coefficient differs from zero."""
    return bool(np.any(np.abs(np.asarray(info.d, dtype=np.float64)) > 1e-12))


def intrinsics(info: CameraInfo, *, rectified: bool = False) -> tuple[FloatArray, int, int]:
    """Intrinsic matrix [3, 3] in pixels of the published image, and that image's width and height.

    `K` and `P` speak of the full sensor; region of interest and binning are applied here.

    Args:
        rectified: take `P` (for images that were rectified already) instead of `K`.
    """
    matrix = (
        np.asarray(info.p, dtype=np.float64).reshape(3, 4)[:, :3] if rectified else np.asarray(info.k).reshape(3, 3)
    )
    matrix = np.array(matrix, dtype=np.float64)
    roi = info.roi
    matrix[0, 2] -= roi.x_offset
    matrix[1, 2] -= roi.y_offset
    bin_x, bin_y = max(1, info.binning_x), max(1, info.binning_y)
    matrix[0] /= bin_x
    matrix[1] /= bin_y
    return matrix, (roi.width or info.width) // bin_x, (roi.height or info.height) // bin_y


def calibration_from_info(
    info: CameraInfo, T_base_frame: FloatArray, *, distortion: DistortionUse = "warn", body_axes: bool = False
) -> CameraCalibration:
    """Our calibration from CameraInfo and the pose of the camera's frame.

    Args:
        info: the message.
        T_base_frame: 4x4, the camera's TF frame to base_link.
        distortion: "rectified" uses `P` and turns the camera by `R`; the others use `K`.
        body_axes: the TF frame has x forward instead of z forward (some simulators).

    Raises:
        CalibrationError: for an uncalibrated camera (K all zeros) or a pose that is no rigid transform.
    """
    rectified = distortion == "rectified"
    matrix, width, height = intrinsics(info, rectified=rectified)
    T_base_cam = T_base_frame @ T_BODY_OPTICAL if body_axes else T_base_frame
    rotation = np.asarray(info.r, dtype=np.float64).reshape(3, 3)
    if rectified and rotation.any():
        # R turns from the camera to the rectified camera.
        T_base_cam = T_base_cam @ make_transform(rotation.T, [0, 0, 0])
    return CameraCalibration(matrix, T_base_cam, width, height)


def info_message(calibration: CameraCalibration, header: Header) -> CameraInfo:
    """CameraInfo of a rectified pinhole camera: K, R identity, P, five zero coefficients of plumb_bob."""
    message = CameraInfo(header=header, width=calibration.width, height=calibration.height)
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    message.k = calibration.intrinsic.reshape(-1).tolist()
    message.r = np.eye(3).reshape(-1).tolist()
    message.p = np.hstack([calibration.intrinsic, np.zeros((3, 1))]).reshape(-1).tolist()
    return message


class Undistorter:
    """Undoes lens distortion; the pixel maps are computed once.

    The result is a pinhole image with the same `K` and the same size.

    Raises:
        CalibrationError: for a distortion model that is not known, or coefficients that are none of it.
    """

    def __init__(self, info: CameraInfo) -> None:
        import cv2

        matrix, width, height = intrinsics(info)
        coefficients = np.asarray(info.d, dtype=np.float64)
        size = (width, height)
        counts = _COEFFICIENTS.get(info.distortion_model)
        if counts is None:
            raise CalibrationError(
                f"unknown distortion model {info.distortion_model!r}; known are {', '.join(_COEFFICIENTS)}. Rectify "
                "the images before they reach the driver"
            )
        if len(coefficients) not in counts or not np.isfinite(coefficients).all():
            raise CalibrationError(
                f"CameraInfo.d has {len(coefficients)} coefficients ({coefficients.tolist()}); {info.distortion_model} "
                f"has {', '.join(map(str, counts))}, all finite"
            )
        if info.distortion_model in ("equidistant", "fisheye"):
            self._maps = cv2.fisheye.initUndistortRectifyMap(
                matrix, coefficients, np.eye(3), matrix, size, cv2.CV_16SC2
            )
        else:
            self._maps = cv2.initUndistortRectifyMap(matrix, coefficients, None, matrix, size, cv2.CV_16SC2)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The undistorted image of uint8 [height, width, 3]; outside of the lens's view it is black."""
        import cv2

        return np.asarray(cv2.remap(np.ascontiguousarray(pixels), *self._maps, cv2.INTER_LINEAR), dtype=np.uint8)
