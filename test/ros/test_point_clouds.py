"""PointCloud2 to and from numpy."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from aln_p3_core.errors import DataError
from aln_p3_ros.messages.point_clouds import point_cloud_array, point_cloud_message

POINTS = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def test_there_and_back() -> None:
    message = point_cloud_message(POINTS, Header(frame_id="lidar_top"))
    assert (message.width, message.height, message.point_step, message.row_step) == (7, 1, 16, 112)
    assert message.is_dense and message.header.frame_id == "lidar_top"
    np.testing.assert_array_equal(point_cloud_array(message), POINTS)
    np.testing.assert_array_equal(point_cloud_array(message, ("z", "x")), POINTS[:, [2, 0]])


def test_same_bytes_as_sensor_msgs_py() -> None:
    point_cloud2 = pytest.importorskip("sensor_msgs_py.point_cloud2", reason="sensor_msgs_py is not installed")
    ours = point_cloud_message(POINTS[:, :3], Header(), ("x", "y", "z"))
    theirs = point_cloud2.create_cloud_xyz32(Header(), POINTS[:, :3])
    assert ours.data == theirs.data and ours.fields == theirs.fields


def test_foreign_layouts_are_read() -> None:
    layout = np.dtype({"names": ["x", "t", "ring"], "formats": [">f8", ">u4", ">u2"], "offsets": [4, 12, 18],
                       "itemsize": 24})  # fmt: skip
    cloud = np.zeros((2, 3), layout)
    cloud["x"], cloud["ring"] = np.arange(6).reshape(2, 3) / 2, 5
    message = PointCloud2(height=2, width=3, point_step=24, row_step=80, is_bigendian=True)
    rows = [row.tobytes() + b"\7" * 8 for row in cloud]
    message.data = array("B", b"".join(rows))
    message.fields = [
        PointField(name="x", offset=4, datatype=PointField.FLOAT64, count=1),
        PointField(name="ring", offset=18, datatype=PointField.UINT16, count=1),
    ]
    np.testing.assert_array_equal(
        point_cloud_array(message, ("x", "ring")), np.column_stack([np.arange(6) / 2, np.full(6, 5)])
    )


def test_clouds_that_contradict_themselves_are_refused() -> None:
    message = point_cloud_message(POINTS, Header())
    with pytest.raises(DataError, match=r"no field \['ring'\]"):
        point_cloud_array(message, ("x", "ring"))
    message.width = 9
    message.row_step = 144
    with pytest.raises(DataError, match="112 bytes"):
        point_cloud_array(message)
    with pytest.raises(DataError, match="columns"):
        point_cloud_message(POINTS, Header(), ("x", "y"))


def test_empty_clouds() -> None:
    message = point_cloud_message(np.zeros((0, 4), np.float32), Header())
    assert point_cloud_array(message).shape == (0, 4)
