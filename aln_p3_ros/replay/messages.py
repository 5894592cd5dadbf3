"""ROS messages from plain values, serialised to CDR without a ROS installation.

Everything here is little-endian CDR made from the Jazzy type definitions, byte for byte the same for the same
values: bags compare equal, and nodes publish the bytes as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, matrix_to_quaternion
from aln_p3_ros.bags.typestore import typestore


def make(typename: str, **fields: Any) -> Any:
    """A message object of the type store; `typename` is "package/Name"."""
    package, name = typename.split("/")
    return typestore().types[f"{package}/msg/{name}"](**fields)


def serialise(message: Any) -> memoryview:
    """CDR bytes of a message of the type store."""
    return typestore().serialize_cdr(message, message.__msgtype__)


def time_message(stamp_ns: int) -> Any:
    """builtin_interfaces/Time of nanoseconds since the epoch."""
    return make("builtin_interfaces/Time", sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def duration_message(seconds: float) -> Any:
    """builtin_interfaces/Duration of seconds."""
    nanoseconds = round(seconds * 1e9)
    return make("builtin_interfaces/Duration", sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def header(stamp_ns: int, frame_id: str) -> Any:
    """std_msgs/Header."""
    return make("std_msgs/Header", stamp=time_message(stamp_ns), frame_id=frame_id)


def point(position: Sequence[float] | FloatArray) -> Any:
    """geometry_msgs/Point of x, y, z in metres."""
    return make("geometry_msgs/Point", x=float(position[0]), y=float(position[1]), z=float(position[2]))


def vector(value: Sequence[float] | FloatArray) -> Any:
    """geometry_msgs/Vector3 of x, y, z."""
    return make("geometry_msgs/Vector3", x=float(value[0]), y=float(value[1]), z=float(value[2]))


def quaternion(rotation: FloatArray) -> Any:
    """geometry_msgs/Quaternion of a 3x3 rotation or 4x4 transform."""
    w, x, y, z = (float(value) for value in matrix_to_quaternion(rotation))
    return make("geometry_msgs/Quaternion", x=x, y=y, z=z, w=w)


def pose(T_a_b: FloatArray) -> Any:
    """geometry_msgs/Pose of frame b in frame a."""
    return make("geometry_msgs/Pose", position=point(T_a_b[:3, 3]), orientation=quaternion(T_a_b))


def transforms(entries: Iterable[tuple[int, str, str, FloatArray]]) -> Any:
    """tf2_msgs/TFMessage of (stamp_ns, frame a, frame b, T_a_b)."""
    return make(
        "tf2_msgs/TFMessage",
        transforms=[
            make(
                "geometry_msgs/TransformStamped",
                header=header(stamp_ns, parent),
                child_frame_id=child,
                transform=make("geometry_msgs/Transform", translation=vector(T[:3, 3]), rotation=quaternion(T)),
            )
            for stamp_ns, parent, child, T in entries
        ],
    )


def odometry(
    stamp_ns: int, parent: str, child: str, T_parent_child: FloatArray, linear: FloatArray, angular: FloatArray
) -> Any:
    """nav_msgs/Odometry: pose in `parent`, velocities [3] in `child` (m/s, rad/s); covariances unknown (zero)."""
    zeros = np.zeros(36)
    twist = make("geometry_msgs/Twist", linear=vector(linear), angular=vector(angular))
    return make(
        "nav_msgs/Odometry",
        header=header(stamp_ns, parent),
        child_frame_id=child,
        pose=make("geometry_msgs/PoseWithCovariance", pose=pose(T_parent_child), covariance=zeros),
        twist=make("geometry_msgs/TwistWithCovariance", twist=twist, covariance=zeros),
    )


def camera_info(stamp_ns: int, frame_id: str, intrinsic: FloatArray, width: int, height: int) -> Any:
    """sensor_msgs/CameraInfo of a rectified pinhole camera: R identity, P = [K | 0], no distortion."""
    projection = np.zeros((3, 4))
    projection[:, :3] = intrinsic
    region = make("sensor_msgs/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make(
        "sensor_msgs/CameraInfo",
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.asarray(intrinsic, dtype=np.float64).ravel(),
        r=np.eye(3).ravel(),
        p=projection.ravel(),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def compressed_image(stamp_ns: int, frame_id: str, image_format: str, data: bytes) -> Any:
    """sensor_msgs/CompressedImage of the bytes of an image file; format "jpeg" or "png"."""
    content = np.frombuffer(data, dtype=np.uint8)
    return make("sensor_msgs/CompressedImage", header=header(stamp_ns, frame_id), format=image_format, data=content)


def raw_image(stamp_ns: int, frame_id: str, image_bgr: NDArray[np.uint8]) -> Any:
    """sensor_msgs/Image, encoding bgr8, of uint8 [height, width, 3]."""
    height, width = image_bgr.shape[:2]
    return make(
        "sensor_msgs/Image",
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image_bgr).reshape(-1),
    )


#: A LiDAR point: name, numpy type, number of that type in sensor_msgs/PointField. Packed, little-endian.
_POINT_FIELDS = (("x", "<f4", 7), ("y", "<f4", 7), ("z", "<f4", 7), ("intensity", "<f4", 7), ("ring", "<u2", 4))
_POINT_DTYPE = np.dtype([(name, kind) for name, kind, _ in _POINT_FIELDS])


def point_cloud(stamp_ns: int, frame_id: str, points: NDArray[np.float32]) -> Any:
    """sensor_msgs/PointCloud2 of points [n, 5]: x, y, z in metres, intensity, ring."""
    cloud = np.empty(len(points), dtype=_POINT_DTYPE)
    fields = []
    offset = 0
    for column, (name, kind, number) in enumerate(_POINT_FIELDS):
        cloud[name] = points[:, column]
        fields.append(make("sensor_msgs/PointField", name=name, offset=offset, datatype=number, count=1))
        offset += np.dtype(kind).itemsize
    return make(
        "sensor_msgs/PointCloud2",
        header=header(stamp_ns, frame_id),
        height=1,
        width=len(cloud),
        fields=fields,
        is_bigendian=False,
        point_step=_POINT_DTYPE.itemsize,
        row_step=_POINT_DTYPE.itemsize * len(cloud),
        data=cloud.view(np.uint8),
        is_dense=bool(np.isfinite(points[:, :3]).all()),
    )
