"""The rig's calibration from topics."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from aln_p3_core.errors import CalibrationError
from aln_p3_core.geometry import make_transform, virtual_T_ego_model
from aln_p3_core.synthetic import track
from aln_p3_ros.driving.rig import Rig
from aln_p3_ros.messages.camera_info import info_message
from aln_p3_ros.messages.transforms import TransformTree

CALIBRATION = track.rig(160, 90)["CAM_FRONT"]
NUSCENES_LIDAR = make_transform([np.sqrt(0.5), 0, 0, -np.sqrt(0.5)], [0.94, 0.0, 1.84])


def info(frame: str = "cam_front") -> CameraInfo:
    return info_message(CALIBRATION, Header(frame_id=frame))


@pytest.fixture
def tree() -> TransformTree:
    tree = TransformTree()
    tree.set("base_link", "cam_front", CALIBRATION.T_ego_cam)
    return tree


def test_a_camera_is_calibrated_when_both_parts_are_there() -> None:
    tree = TransformTree()
    rig = Rig(("CAM_FRONT",), tree)
    assert rig.calibration("CAM_FRONT") is None and rig.problem("CAM_FRONT") == "no CameraInfo has come"
    rig.add_info("CAM_FRONT", info())
    assert rig.calibration("CAM_FRONT") is None
    assert rig.problem("CAM_FRONT") == "/tf_static does not connect 'cam_front' to 'base_link'"
    tree.set("base_link", "cam_front", CALIBRATION.T_ego_cam)
    calibration = rig.calibration("CAM_FRONT")
    assert calibration is not None and rig.problem("CAM_FRONT") == ""
    assert calibration.fingerprint == CALIBRATION.fingerprint


def test_nothing_is_computed_anew_while_nothing_changes(tree: TransformTree) -> None:
    rig = Rig(("CAM_FRONT",), tree)
    rig.add_info("CAM_FRONT", info())
    before = rig.calibration("CAM_FRONT")
    rig.add_info("CAM_FRONT", info())
    tree.set("base_link", "lidar_top", np.eye(4))
    assert rig.calibration("CAM_FRONT") is before
    tree.set("base_link", "cam_front", np.eye(4))
    assert rig.calibration("CAM_FRONT") is not before


def test_frames_may_be_given(tree: TransformTree) -> None:
    rig = Rig(("CAM_FRONT",), tree, frames={"CAM_FRONT": "cam_front"})
    rig.add_info("CAM_FRONT", info("some/other_frame"))
    assert rig.calibration("CAM_FRONT") is not None


def test_fixed_calibrations_need_no_topics() -> None:
    rig = Rig(("CAM_FRONT",), TransformTree(), fixed={"CAM_FRONT": CALIBRATION})
    assert rig.calibration("CAM_FRONT") is CALIBRATION and rig.problem("CAM_FRONT") == ""
    assert rig.undistorter("CAM_FRONT") is None and rig.warning("CAM_FRONT") == ""


def test_an_uncalibrated_camera_is_explained(tree: TransformTree) -> None:
    rig = Rig(("CAM_FRONT",), tree)
    rig.add_info("CAM_FRONT", CameraInfo(header=Header(frame_id="cam_front"), width=160, height=90))
    assert rig.calibration("CAM_FRONT") is None and "uncalibrated" in rig.problem("CAM_FRONT")
    rig.add_info("CAM_FRONT", info())
    assert rig.calibration("CAM_FRONT") is not None


@pytest.mark.parametrize(
    ("use", "warns", "undoes"), [("warn", True, False), ("undo", False, True), ("rectified", False, False)]
)
def test_distortion(tree: TransformTree, use: str, warns: bool, undoes: bool) -> None:
    rig = Rig(("CAM_FRONT",), tree, distortion=use)
    message = info()
    message.d = [-0.2, 0.0, 0.0, 0.0, 0.0]
    rig.add_info("CAM_FRONT", message)
    assert rig.calibration("CAM_FRONT") is not None
    assert bool(rig.warning("CAM_FRONT")) == warns
    assert (rig.undistorter("CAM_FRONT") is not None) == undoes


def test_coefficients_that_are_none_of_the_model_are_explained(tree: TransformTree) -> None:
    for model, count in (("plumb_bob", 3), ("plumb_bob", 6), ("fisheye", 3), ("rational_polynomial", 5)):
        rig = Rig(("CAM_FRONT",), tree, distortion="undo")
        message = info()
        message.distortion_model, message.d = model, [0.1] * count
        rig.add_info("CAM_FRONT", message)
        assert rig.calibration("CAM_FRONT") is None
        assert f"has {count} coefficients" in rig.problem("CAM_FRONT") and model in rig.problem("CAM_FRONT")


def test_an_unknown_distortion_model_is_explained(tree: TransformTree) -> None:
    rig = Rig(("CAM_FRONT",), tree, distortion="undo")
    message = info()
    message.d, message.distortion_model = [0.1], "scaramuzza"
    rig.add_info("CAM_FRONT", message)
    assert rig.calibration("CAM_FRONT") is None and "scaramuzza" in rig.problem("CAM_FRONT")


@pytest.mark.parametrize(
    ("model_frame", "lidar", "expected"),
    [
        ("auto", NUSCENES_LIDAR, NUSCENES_LIDAR),
        ("auto", make_transform(np.eye(3), [1.4, 0, 2.2]), virtual_T_ego_model()),
        ("auto", None, virtual_T_ego_model()),
        ("virtual", NUSCENES_LIDAR, virtual_T_ego_model()),
        ("lidar", NUSCENES_LIDAR, NUSCENES_LIDAR),
    ],
)
def test_model_frame(model_frame: str, lidar: np.ndarray | None, expected: np.ndarray) -> None:
    tree = TransformTree()
    if lidar is not None:
        tree.set("base_link", "lidar_top", lidar)
    np.testing.assert_allclose(Rig(("CAM_FRONT",), tree, model_frame=model_frame).T_ego_model(), expected)


def test_a_model_frame_that_cannot_be_placed_is_an_error() -> None:
    tree = TransformTree()
    rig = Rig(("CAM_FRONT",), tree, model_frame="lidar")
    with pytest.raises(CalibrationError, match="not on /tf_static"):
        rig.T_ego_model()
    tree.set("base_link", "lidar_top", np.eye(4))
    with pytest.raises(CalibrationError, match="y forward"):
        rig.T_ego_model()
