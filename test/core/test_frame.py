"""`DrivingFrame` and its parts: what they refuse, what they derive."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aln_p3_core.errors import CalibrationError, InvalidFrameError
from aln_p3_core.frame import (
    CameraCalibration,
    CameraView,
    DrivingFrame,
    EgoPose,
    EgoStatus,
    EncodedImage,
    newest_stamp_ns,
)
from aln_p3_core.geometry import make_transform, project_points, transform_points, virtual_T_ego_model

FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
INTRINSIC = np.array([[100.0, 0, 80], [0, 100, 45], [0, 0, 1]])


def calibration(**changes: object) -> CameraCalibration:
    values: dict[str, object] = {
        "intrinsic": INTRINSIC,
        "T_ego_cam": make_transform(FORWARD, [1.5, 0, 1.5]),
        "width": 160,
        "height": 90,
    }
    return CameraCalibration(**(values | changes))  # type: ignore[arg-type]


def view(stamp_ns: int = 1000, **changes: object) -> CameraView:
    values: dict[str, object] = {
        "image": np.zeros((90, 160, 3), np.uint8),
        "stamp_ns": stamp_ns,
        "calibration": calibration(),
        "T_global_ego": np.eye(4),
    }
    return CameraView(**(values | changes))  # type: ignore[arg-type]


def frame(**changes: object) -> DrivingFrame:
    values: dict[str, object] = {
        "cameras": ("A", "B"),
        "views": {"B": view(900), "A": view(1000)},
        "reference_stamp_ns": 1000,
        "T_global_ego": np.eye(4),
        "T_ego_model": virtual_T_ego_model(),
    }
    return DrivingFrame(**(values | changes))  # type: ignore[arg-type]


def tilted() -> np.ndarray:
    T = np.eye(4)
    T[0, 0] = 1.5
    return T


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intrinsic": np.zeros((3, 3))}, "uncalibrated camera"),
        ({"intrinsic": np.eye(4)}, "3x3"),
        ({"intrinsic": INTRINSIC * np.nan}, "finite"),
        ({"intrinsic": INTRINSIC + np.eye(3)}, "last row"),
        ({"width": 0}, "0x90"),
        ({"height": -1}, "160x-1"),
        ({"T_ego_cam": tilted()}, "not orthonormal"),
        ({"T_ego_cam": np.eye(3)}, "shape"),
    ],
)
def test_a_calibration_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        calibration(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image": np.zeros((91, 160, 3), np.uint8)},
            r"\(91, 160, 3\), its calibration speaks of uint8 \(90, 160, 3\)",
        ),
        ({"image": np.zeros((90, 160), np.uint8)}, "its calibration speaks of"),
        ({"image": np.zeros((90, 160, 3), np.float32)}, "float32"),
        ({"color": "yuv"}, "'rgb' or 'bgr'"),
        ({"T_global_ego": np.eye(4) * np.nan}, "NaN"),
    ],
)
def test_a_view_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidFrameError, match=message):
        view(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"T_global_ego": tilted()}, "T_global_ego is no rigid transform"),
        ({"T_ego_model": np.diag([-1.0, 1, 1, 1])}, "T_ego_model .* mirror image"),
        ({"cameras": ()}, "name each camera once"),
        ({"cameras": ("A", "A", "B")}, "name each camera once"),
        ({"cameras": ("A",)}, r"the rig does not have: \['B'\]"),
        ({"past_poses": (EgoPose(5, np.eye(4)), EgoPose(5, np.eye(4)))}, "sorted by stamp"),
        ({"past_poses": (EgoPose(7, np.eye(4)), EgoPose(5, np.eye(4)))}, "sorted by stamp"),
        ({"past_poses": (EgoPose(1000, np.eye(4)),)}, "must end before the reference stamp"),
    ],
)
def test_a_frame_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidFrameError, match=message):
        frame(**changes)


@pytest.mark.parametrize("field", ["velocity", "acceleration", "rotation_rate"])
@pytest.mark.parametrize("value", [np.zeros(2), np.array([0, np.nan, 0])])
def test_an_ego_status_that_cannot_be(field: str, value: np.ndarray) -> None:
    good = {name: np.zeros(3) for name in ("velocity", "acceleration", "rotation_rate")}
    with pytest.raises(InvalidFrameError, match=f"{field} must be three finite numbers"):
        EgoStatus(**(good | {field: value}))


def test_views_come_in_the_rigs_order_and_know_their_stamps() -> None:
    complete = frame()
    assert list(complete.views) == ["A", "B"] and complete.missing_cameras == ()
    assert complete.newest_image_stamp_ns == 1000 == newest_stamp_ns([900, 1000])
    complete.require_cameras()


def test_a_lost_camera_is_known() -> None:
    partial = frame(views={"B": view(900)})
    assert partial.missing_cameras == ("A",) and partial.newest_image_stamp_ns == 900
    partial.require_cameras(["B"])
    with pytest.raises(InvalidFrameError, match=r"no image from \['A'\]; this frame has \['B'\]"):
        partial.require_cameras()
    with pytest.raises(InvalidFrameError, match="no camera has an image"):
        _ = frame(views={}).newest_image_stamp_ns


def test_nothing_in_it_can_be_changed() -> None:
    fixed = frame()
    with pytest.raises(dataclasses.FrozenInstanceError):
        fixed.token = "x"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        fixed.T_global_ego[0, 0] = 2
    with pytest.raises(ValueError, match="read-only"):
        fixed.views["A"].calibration.intrinsic[0, 0] = 2
    with pytest.raises(TypeError):
        fixed.views["A"] = view()  # type: ignore[index]


def test_a_transform_that_its_owner_changes_later_does_not_change_the_frame() -> None:
    pose = np.eye(4)
    fixed = frame(T_global_ego=pose)
    pose[0, 3] = 5
    assert fixed.T_global_ego[0, 3] == 0


def test_a_point_ahead_projects_to_the_middle_of_the_front_camera() -> None:
    # Model origin (0.94, 0, 1.84), camera (1.5, 0, 1.5): 10 m ahead of the camera at its height.
    points = transform_points(frame().T_cam_model("A"), [0.0, 10.56, -0.34])
    pixel, depth = project_points(points, INTRINSIC)
    np.testing.assert_allclose(pixel, [80, 45], atol=1e-9)
    assert depth == pytest.approx(10)


def test_motion_between_exposure_and_reference_is_undone() -> None:
    # At its exposure the car stood 1 m further back: a fixed point was 1 m further away from the camera.
    early = view(900, T_global_ego=make_transform(np.eye(3), [-1, 0, 0]))
    moved = frame(views={"A": view(1000), "B": early})
    ahead = [0.0, 10.56, -0.34]
    assert transform_points(moved.T_cam_model("A"), ahead)[2] == pytest.approx(10)
    assert transform_points(moved.T_cam_model("B"), ahead)[2] == pytest.approx(11)


def test_an_encoded_image_is_checked_when_it_is_decoded() -> None:
    assert view(image=EncodedImage(b"", "nothing.jpg")).image.source == "nothing.jpg"  # type: ignore[union-attr]


def test_fingerprints_follow_the_calibration() -> None:
    assert calibration().fingerprint == calibration().fingerprint
    assert calibration(width=161).fingerprint != calibration().fingerprint
    shifted = calibration(T_ego_cam=make_transform(FORWARD, [1.5, 0, 1.51]))
    assert shifted.fingerprint != calibration().fingerprint
