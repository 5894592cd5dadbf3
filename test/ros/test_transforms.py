"""The tree of fixed transforms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from geometry_msgs.msg import Pose, Transform, TransformStamped
from std_msgs.msg import Header

from aln_p3_core.errors import CalibrationError, ConfigError
from aln_p3_core.geometry import invert_transform, make_transform
from aln_p3_ros.messages.transforms import TransformTree, fill_pose, tf_message_type, transform_from_message

T_BASE_MAST = make_transform([np.cos(0.3), 0, 0, np.sin(0.3)], [1.0, 0.0, 2.0])
T_MAST_CAM = make_transform([0.5, -0.5, 0.5, -0.5], [0.1, 0.2, 0.3])
T_BASE_LIDAR = make_transform(np.eye(3), [0.0, 0.0, 1.8])


@pytest.fixture
def tree() -> TransformTree:
    tree = TransformTree()
    tree.set("mast", "cam", T_MAST_CAM)
    tree.set("base_link", "mast", T_BASE_MAST)
    tree.set("base_link", "/lidar", T_BASE_LIDAR)
    return tree


def test_lookup_up_down_and_across(tree: TransformTree) -> None:
    np.testing.assert_allclose(tree.lookup("base_link", "cam"), T_BASE_MAST @ T_MAST_CAM, atol=1e-12)
    np.testing.assert_allclose(tree.lookup("cam", "base_link"), invert_transform(T_BASE_MAST @ T_MAST_CAM), atol=1e-12)
    np.testing.assert_allclose(
        tree.lookup("lidar", "cam"), invert_transform(T_BASE_LIDAR) @ T_BASE_MAST @ T_MAST_CAM, atol=1e-12
    )
    np.testing.assert_array_equal(tree.lookup("cam", "cam"), np.eye(4))
    assert tree.lookup("base_link", "roof") is None
    assert tree.frames() == ["base_link", "cam", "lidar", "mast"]


def test_only_changes_count(tree: TransformTree) -> None:
    version = tree.version
    assert not tree.set("mast", "cam", T_MAST_CAM) and tree.version == version
    assert tree.set("mast", "cam", np.eye(4)) and tree.version == version + 1


def test_loops_are_refused(tree: TransformTree) -> None:
    with pytest.raises(CalibrationError, match="loop"):
        tree.set("cam", "base_link", np.eye(4))


def test_messages_with_bad_rotations_are_refused_one_by_one(tree: TransformTree) -> None:
    good = TransformStamped(header=Header(frame_id="base_link"), child_frame_id="imu")
    bad = TransformStamped(header=Header(frame_id="base_link"), child_frame_id="gps")
    bad.transform.rotation.w = 0.0
    infinite = TransformStamped(header=Header(frame_id="base_link"), child_frame_id="radar")
    infinite.transform.translation.x = float("nan")
    problems = tree.add_message(tf_message_type()(transforms=[bad, good, infinite]))
    assert len(problems) == 2 and "gps" in problems[0] and "norm" in problems[0] and "radar" in problems[1]
    assert "imu" in tree.frames() and "gps" not in tree.frames()


def test_poses_there_and_back() -> None:
    for message in (Pose(), Transform()):
        np.testing.assert_allclose(transform_from_message(fill_pose(message, T_BASE_MAST)), T_BASE_MAST, atol=1e-12)


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    with pytest.raises(ConfigError, match="third_party_interfaces"):
        tf_message_type()
