"""Messages of other stacks, filled from ours. Their classes are the caller's: they may not be installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from aln_p3.msg import TrajectoryPoint
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Pose
from std_msgs.msg import Header

from aln_p3_core.geometry import FloatArray
from aln_p3_ros.adapter.tracker import DriveCommand
from aln_p3_ros.messages.transforms import fill_pose, transform_from_message

#: Of an Ackermann command that asks for next to no change of speed, m/s^2.
LEAST_ACCELERATION = 0.05


def autoware_trajectory(
    trajectory_class: Any,
    point_class: Any,
    points: Sequence[TrajectoryPoint],
    *,
    stamp: Time,
    frame_id: str,
    T_map_base: FloatArray,
    speed: float,
    wheelbase_m: float,
) -> Any:
    """autoware_planning_msgs/Trajectory: from the vehicle's own place on, in a frame fixed to the ground.

    Args:
        trajectory_class, point_class: of autoware_planning_msgs.
        points: of our plan, in base_link at `stamp`.
        frame_id: frame fixed to the ground. T_map_base: 4x4 pose of base_link in it at `stamp`.
        speed: of the vehicle at `stamp`, m/s.
        wheelbase_m: turns curvature into a wheel angle.
    """
    start = point_class(
        time_from_start=Duration(),
        pose=fill_pose(Pose(), T_map_base),
        longitudinal_velocity_mps=float(speed),
        acceleration_mps2=float(points[0].acceleration) if points else 0.0,
    )
    converted = [
        point_class(
            time_from_start=point.time_from_start,
            pose=fill_pose(Pose(), T_map_base @ transform_from_message(point.pose)),
            longitudinal_velocity_mps=float(point.longitudinal_velocity),
            acceleration_mps2=float(point.acceleration),
            heading_rate_rps=float(point.heading_rate),
            front_wheel_angle_rad=float(np.arctan(wheelbase_m * point.curvature)),
        )
        for point in points
    ]
    return trajectory_class(header=Header(stamp=stamp, frame_id=frame_id), points=[start, *converted])


def ackermann_drive(drive_class: Any, command: DriveCommand, *, signed: bool = False) -> Any:
    """ackermann_msgs/AckermannDrive: m/s, m/s^2, rad to the left. Steering rate and jerk 0: as fast as it can.

    Args:
        drive_class: of ackermann_msgs.
        command: what is asked of the vehicle.
        signed: write the acceleration with its sign. Else as the message defines it: how fast the speed may change
            towards the one asked for, in either direction; 0 would mean as fast as it can.
    """
    acceleration = command.acceleration if signed else max(abs(command.acceleration), LEAST_ACCELERATION)
    return drive_class(
        steering_angle=float(command.steering), speed=float(command.speed), acceleration=float(acceleration)
    )
