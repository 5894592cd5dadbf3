"""Follows plans over odometry: what the vehicle shall do now, and where the plan lies on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from aln_p3.msg import PlannedTrajectory

from aln_p3_core.errors import AlnP3Error
from aln_p3_core.geometry import FloatArray, heading_of
from aln_p3_core.world.controller import SPEED_TIME_CONSTANT_S, TrackingController
from aln_p3_core.world.ego import WHEELBASE_M, EgoState
from aln_p3_ros.adapter.adapter_settings import AdapterSettings
from aln_p3_ros.driving.braking_path import BrakingPath
from aln_p3_ros.driving.odometry import OdometryBuffer, OdometrySample
from aln_p3_ros.messages.stamps import seconds_to_ns, to_ns
from aln_p3_ros.messages.trajectory import TrajectoryArrays, stop_trajectory
from aln_p3_ros.simulator.plans import plan_from_message


@dataclass(frozen=True, slots=True)
class DriveCommand:
    """What is asked of the vehicle.

    Attributes:
        speed: m/s to reach, negative backwards. acceleration: m/s^2 on the way there.
        steering: rad at the front wheels, positive to the left.
        stopping: why this is a declared stop, "" when the plan is followed.
    """

    speed: float
    acceleration: float
    steering: float
    stopping: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class DeclaredStop:
    """A braking path.

    Attributes:
        trajectory: in base_link as it stood at `stamp_ns`. ground: 4x4 pose of base_link in the odometry's frame then.
        speed: m/s then.
    """

    trajectory: TrajectoryArrays
    stamp_ns: int
    ground: FloatArray
    speed: float


class PlanTracker:
    """The tracking controller of the world, fed by odometry. Times are nanoseconds of the node's clock.

    The vehicle's state between two odometry messages follows the last one's twist.
    """

    def __init__(self, settings: AdapterSettings) -> None:
        self._settings = settings
        self._odometry = OdometryBuffer(settings.odometry_timeout_s)
        self._controller = TrackingController()
        self._start_ns: int | None = None
        self._plan_ns: int | None = None
        self._path: BrakingPath | None = None
        self._speed = 0.0
        self._last: OdometrySample | None = None
        self._steering = 0.0
        self.frame = ""

    def add_odometry(self, sample: OdometrySample, frame: str) -> str:
        """Takes odometry in `frame`; returns what was wrong with it, or ""."""
        self.frame = frame
        problem = self._odometry.add(sample)
        if "went back" in problem:  # a new drive: what was planned for the last one must not be followed
            self._plan_ns = self._path = None
            self._controller.reset()
        if self._odometry.newest is sample:
            self._speed, self._last = float(sample.linear[0]), sample
        return problem

    def follow(self, message: PlannedTrajectory) -> str:
        """Takes a plan over; returns why it is not followed, or ""."""
        stamp_ns = to_ns(message.header.stamp)
        if self._plan_ns is not None and stamp_ns < self._plan_ns:
            return "a plan that is older than the one followed"
        ground = self._odometry.pose_at(stamp_ns)
        if ground is None:
            return str(self._odometry.problem_at(stamp_ns) or "no odometry at the plan's stamp")
        try:
            plan = plan_from_message(message, self._seconds(stamp_ns), self._settings.base_frame)
        except AlnP3Error as error:
            return str(error)
        self._controller.follow(plan, _flat(ground))
        self._plan_ns = stamp_ns
        self._path = BrakingPath(plan.points_ego, _flat(ground), stamp_ns)
        return ""

    def ground_at(self, stamp_ns: int) -> FloatArray | None:
        """4x4 pose of the vehicle in the odometry's frame, None where it is unknown."""
        return self._odometry.pose_at(stamp_ns)

    @property
    def speed(self) -> float:
        """m/s, of the last odometry; 0 before any."""
        return self._speed

    def plan_age_s(self, now_ns: int) -> float | None:
        """Seconds since the stamp of the plan that is followed; None without one."""
        return None if self._plan_ns is None else (now_ns - self._plan_ns) * 1e-9

    def trouble(self, now_ns: int) -> str:
        """Why the vehicle must stop now, or ""."""
        problem = self._odometry.problem_at(now_ns)
        if problem:
            return problem.replace("the images", "now")
        age_s = self.plan_age_s(now_ns)
        if age_s is None:
            return "no trajectory has come"
        if age_s > self._settings.plan_timeout_s:
            clock = "; does the node lack use_sim_time?" if age_s > 3600 else ""
            return f"the last trajectory is {age_s:.2f} s old (limit {self._settings.plan_timeout_s:g} s){clock}"
        if age_s < -self._settings.plan_timeout_s:
            return f"the last trajectory lies {-age_s:.2f} s in the future"
        return ""

    def command(self, now_ns: int) -> DriveCommand:
        """What to ask of the vehicle now."""
        stopping = self.trouble(now_ns)
        if stopping:
            return DriveCommand(0.0, -self._settings.stop_deceleration_mps2, self._steering, stopping)
        ground = self._odometry.pose_at(now_ns)
        assert ground is not None
        ego = EgoState(
            self._seconds(now_ns),
            float(ground[0, 3]),
            float(ground[1, 3]),
            heading_of(ground),
            speed=self._speed,
            steering=self._steering,
        )
        asked = self._controller.control(ego)
        most, least = self._settings.max_acceleration_mps2, -self._settings.max_braking_mps2
        acceleration = float(np.clip(asked.acceleration, least, most))
        # The controller asks for a curvature, in terms of its own car's wheels.
        steering = np.arctan(np.tan(asked.steering) * self._settings.wheelbase_m / WHEELBASE_M)
        limit = self._settings.max_steering_rad
        self._steering = float(np.clip(steering, -limit, limit))
        target = ego.speed + acceleration * SPEED_TIME_CONSTANT_S
        if asked.acceleration < 0 and ego.speed >= 0:
            target = max(target, 0.0)  # who brakes does not mean to back up
        return DriveCommand(target, acceleration, self._steering)

    def stop(self, now_ns: int) -> DeclaredStop | None:
        """A stop along the last plan's path, where that is new and near enough, from where the vehicle is; where
        odometry is lost, from where it was last, with that stamp. None before any odometry."""
        ground = self._odometry.pose_at(now_ns)
        if ground is None:
            if self._last is None:
                return None
            ground, now_ns = self._last.T_odom_base, self._last.stamp_ns
        path = None if self._path is None else self._path.ahead(_flat(ground), now_ns)
        trajectory = stop_trajectory(self._speed, self._settings.stop_deceleration_mps2, path)
        return DeclaredStop(trajectory, now_ns, ground, self._speed)

    def _seconds(self, stamp_ns: int) -> float:
        """Seconds since the first stamp: small numbers, which keep their digits."""
        if self._start_ns is None:
            self._start_ns = stamp_ns - seconds_to_ns(10.0)
        return (stamp_ns - self._start_ns) * 1e-9


def _flat(pose: FloatArray) -> FloatArray:
    """The pose on level ground: the place, and the heading alone."""
    heading = heading_of(pose)
    level = np.eye(4)
    level[:2, :2] = [[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]]
    level[:3, 3] = pose[:3, 3]
    return level
