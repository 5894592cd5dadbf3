"""The CAN bus of a nuScenes scene as ROS messages, where the CAN bus expansion lies beside the data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_ros.replay import messages
from aln_p3_ros.topics import BASE_FRAME

#: Recorded messages that become a ROS message of their own; all others become JSON on one topic.
_IMU, _POSE = "ms_imu", "pose"
_NOT_A_SERIES = ("meta", "route")


def can_bus_messages(root: Path, scene_name: str) -> Iterator[tuple[int, str, Any]]:
    """All CAN messages of a scene.

    Args:
        root: nuScenes root; the expansion is its folder can_bus/.
        scene_name: for example scene-0061.

    Yields:
        (stamp_ns, topic key, message): `imu` in base_link, `twist` in base_link, `can_bus` as JSON with
        the name of the CAN message under "message". Nothing where the scene has no CAN bus.

    Raises:
        DataError: naming a file that is broken.
    """
    for path in sorted((root / "can_bus").glob(f"{scene_name}_*.json")):
        kind = path.stem.removeprefix(f"{scene_name}_")
        if kind in _NOT_A_SERIES:
            continue
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            for row in rows:
                yield (int(row["utime"]) * 1000, *_message(kind, row))
        except (json.JSONDecodeError, KeyError, TypeError, IndexError, ValueError) as error:
            raise DataError(f"{path} is no CAN bus file of nuScenes ({error!r}); unpack the expansion again") from error


def _message(kind: str, row: dict[str, Any]) -> tuple[str, Any]:
    stamp_ns = int(row["utime"]) * 1000
    if kind == _IMU:
        unknown = np.zeros(9)
        w, x, y, z = (float(value) for value in row["q"])
        return "imu", messages.make(
            "sensor_msgs/Imu",
            header=messages.header(stamp_ns, BASE_FRAME),
            orientation=messages.make("geometry_msgs/Quaternion", x=x, y=y, z=z, w=w),
            orientation_covariance=unknown,
            angular_velocity=messages.vector(row["rotation_rate"]),
            angular_velocity_covariance=unknown,
            linear_acceleration=messages.vector(row["linear_accel"]),
            linear_acceleration_covariance=unknown,
        )
    if kind == _POSE:
        twist = messages.make(
            "geometry_msgs/Twist",
            linear=messages.vector(row["vel"]),
            angular=messages.vector(row["rotation_rate"]),
        )
        return "twist", messages.make(
            "geometry_msgs/TwistStamped", header=messages.header(stamp_ns, BASE_FRAME), twist=twist
        )
    return "can_bus", messages.make("std_msgs/String", data=json.dumps({"message": kind, **row}, sort_keys=True))
