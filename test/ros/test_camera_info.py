"""CameraInfo: intrinsics, regions, rectification, distortion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from aln_p3_core.errors import CalibrationError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import make_transform, transform_points
from aln_p3_ros.messages.camera_info import (
    T_BODY_OPTICAL,
    Undistorter,
    calibration_from_info,
    has_distortion,
    info_message,
    intrinsics,
)

K = np.array([[100.0, 0, 80], [0, 110.0, 45], [0, 0, 1]])
MOUNT = make_transform([0.5, -0.5, 0.5, -0.5], [1.0, 2.0, 3.0])


def info(**fields: object) -> CameraInfo:
    message = info_message(CameraCalibration(K, MOUNT, 160, 90), Header(frame_id="cam"))
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def test_there_and_back() -> None:
    calibration = calibration_from_info(info(), MOUNT)
    np.testing.assert_array_equal(calibration.intrinsic, K)
    np.testing.assert_array_equal(calibration.T_ego_cam, MOUNT)
    assert (calibration.width, calibration.height) == (160, 90)


def test_region_of_interest_and_binning() -> None:
    message = info(binning_x=2, binning_y=2)
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = 20, 10, 120, 80
    matrix, width, height = intrinsics(message)
    # A point that the full sensor sees at (80, 45) is at ((80 - 20) / 2, (45 - 10) / 2) in the image.
    np.testing.assert_allclose(matrix, [[50, 0, 30], [0, 55, 17.5], [0, 0, 1]])
    assert (width, height) == (60, 40)


def test_uncalibrated_cameras_are_refused() -> None:
    with pytest.raises(CalibrationError, match="uncalibrated"):
        calibration_from_info(CameraInfo(width=160, height=90), MOUNT)


def test_body_axes_look_along_x() -> None:
    calibration = calibration_from_info(info(), np.eye(4), body_axes=True)
    np.testing.assert_allclose(transform_points(calibration.T_ego_cam, [[0, 0, 1.0]]), [[1.0, 0, 0]])
    np.testing.assert_allclose(transform_points(T_BODY_OPTICAL, [[1.0, 0, 0]]), [[0, -1.0, 0]])


def test_rectified_images_use_p_and_r() -> None:
    turn = make_transform([np.cos(0.05), 0, np.sin(0.05), 0], [0, 0, 0])[:3, :3]
    projection = np.hstack([K * [[2], [2], [1]], np.zeros((3, 1))])
    message = info(r=turn.reshape(-1).tolist(), p=projection.reshape(-1).tolist(), d=[0.1, 0, 0, 0, 0])
    calibration = calibration_from_info(message, MOUNT, distortion="rectified")
    np.testing.assert_allclose(calibration.intrinsic, projection[:, :3])
    # A point in the rectified camera is R times the point in the camera.
    point_cam = np.array([0.3, 0.2, 5.0])
    np.testing.assert_allclose(
        transform_points(calibration.T_ego_cam, turn @ point_cam), transform_points(MOUNT, point_cam)
    )


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("plumb_bob", [-0.3, 0.1, 0.001, 0.002, 0.0]), ("equidistant", [0.05, 0.01, 0.0, 0.0])],
)
def test_distortion_is_undone(model: str, coefficients: list[float]) -> None:
    message = info(distortion_model=model, d=coefficients)
    assert has_distortion(message) and not has_distortion(info())
    point = np.array([[[0.4, -0.2, 1.0]]])
    if model == "plumb_bob":
        seen = cv2.projectPoints(point, np.zeros(3), np.zeros(3), K, np.array(coefficients))[0].reshape(2)
    else:
        seen = cv2.fisheye.projectPoints(point, np.zeros(3), np.zeros(3), K, np.array(coefficients))[0].reshape(2)
    image = np.zeros((90, 160, 3), np.uint8)
    column, row = np.round(seen).astype(int)
    image[row - 1 : row + 2, column - 1 : column + 2] = 255
    straight = Undistorter(message)(image)
    rows, columns = np.nonzero(straight[..., 0] > 100)
    pinhole = (K @ point[0, 0])[:2]
    np.testing.assert_allclose([columns.mean(), rows.mean()], pinhole, atol=1.0)
    assert np.linalg.norm(pinhole - seen) > 1.5, "the test's distortion is visible"


def test_unknown_distortion_models_are_named() -> None:
    with pytest.raises(CalibrationError, match="scaramuzza"):
        Undistorter(info(distortion_model="scaramuzza"))
