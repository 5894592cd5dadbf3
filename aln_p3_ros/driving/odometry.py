"""Ego motion at any instant, from `nav_msgs/Odometry`."""

from __future__ import annotations

import bisect
import threading
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Vector3
from nav_msgs.msg import Odometry

from aln_p3_core.frame import EgoPose, EgoStatus
from aln_p3_core.geometry import FloatArray, interpolate_transform, make_transform, transform_problem
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.messages.trajectory import MAX_SPEED_MPS
from aln_p3_ros.messages.transforms import transform_from_message

_ACCELERATION_WINDOW_S = 0.25
_PAST_SPACING_S = 0.1
# No road vehicle turns faster, not even one that tumbles.
_MAX_RATE_RADPS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class OdometrySample:
    """One odometry message.

    Attributes:
        stamp_ns: its stamp.
        T_odom_base: 4x4 pose of base_link in odom.
        linear, angular: [3] velocity in m/s and rad/s, in base_link.
    """

    stamp_ns: int
    T_odom_base: FloatArray
    linear: FloatArray
    angular: FloatArray

    @staticmethod
    def from_message(message: Odometry, base_frame: str = "") -> OdometrySample:
        """The sample of a message.

        Args:
            base_frame: of which the message must give pose and twist; "" takes what comes.

        Raises:
            ValueError: when pose or twist are of another frame, or no numbers to go by; nothing of such a message may
                be used.
        """
        child = message.child_frame_id.lstrip("/")
        if base_frame and child != base_frame:
            raise ValueError(f"it is of {child!r}, not of {base_frame!r}")
        twist = message.twist.twist
        sample = OdometrySample(
            to_ns(message.header.stamp),
            transform_from_message(message.pose.pose),
            _vector(twist.linear),
            _vector(twist.angular),
        )
        if problem := sample.problem:
            raise ValueError(problem)
        return sample

    @property
    def problem(self) -> str:
        """What is wrong with the numbers, or ""."""
        if problem := transform_problem(self.T_odom_base):
            return problem
        if not (np.isfinite(self.linear).all() and np.isfinite(self.angular).all()):
            return "the twist holds NaN or infinity"
        speed, rate = float(np.linalg.norm(self.linear)), float(np.linalg.norm(self.angular))
        if speed > MAX_SPEED_MPS:
            return f"the twist moves at {speed:.3g} m/s (limit {MAX_SPEED_MPS:g} m/s)"
        if rate > _MAX_RATE_RADPS:
            return f"the twist turns at {rate:.3g} rad/s (limit {_MAX_RATE_RADPS:g} rad/s)"
        return ""


class OdometryBuffer:
    """The last seconds of odometry, interpolated. Safe to use from several threads.

    Args:
        tolerance_s: farthest distance in time between an instant that is asked for and the nearest sample.
        history_s: how long samples are kept.
        jump_s: a stamp that steps back further than this clears the buffer (a bag starts over).
    """

    def __init__(self, tolerance_s: float, history_s: float = 3.0, jump_s: float = 0.5) -> None:
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._history_ns = round(history_s * 1e9)
        self._jump_ns = round(jump_s * 1e9)
        self._lock = threading.Lock()
        self._samples: list[OdometrySample] = []
        self._stamps: list[int] = []

    def add(self, sample: OdometrySample) -> str:
        """Takes a sample. Returns "" or, when it was refused or cleared the buffer, the reason."""
        if problem := sample.problem:
            return f"odometry refused: {problem}"
        with self._lock:
            message = ""
            if self._stamps and sample.stamp_ns <= self._stamps[-1]:
                if self._stamps[-1] - sample.stamp_ns <= self._jump_ns:
                    return "odometry refused: its stamp is not newer than the last one"
                self._samples.clear()
                self._stamps.clear()
                message = "the odometry's time went back"
            self._samples.append(sample)
            self._stamps.append(sample.stamp_ns)
            keep = bisect.bisect_left(self._stamps, sample.stamp_ns - self._history_ns)
            del self._samples[:keep], self._stamps[:keep]
            return message

    def forget_after(self, stamp_ns: int) -> None:
        """Forgets the samples of later instants: after a step back in time they are of the time before."""
        with self._lock:
            kept = bisect.bisect_right(self._stamps, stamp_ns)
            del self._samples[kept:], self._stamps[kept:]

    @property
    def newest(self) -> OdometrySample | None:
        """The newest sample, or None. A sample just added that is not this one was refused."""
        with self._lock:
            return self._samples[-1] if self._samples else None

    @property
    def newest_stamp_ns(self) -> int | None:
        """Stamp of the newest sample, or None."""
        newest = self.newest
        return None if newest is None else newest.stamp_ns

    def covers(self, stamp_ns: int) -> bool:
        """Whether a sample at or after the instant is there, so that nothing need be extrapolated."""
        newest = self.newest_stamp_ns
        return newest is not None and newest >= stamp_ns

    def problem_at(self, stamp_ns: int) -> str | None:
        """Why there is no pose for an instant, or None when there is one."""
        with self._lock:
            return self._problem(stamp_ns)

    def pose_at(self, stamp_ns: int) -> FloatArray | None:
        """4x4 pose of base_link in odom at an instant, or None where `problem_at` says why.

        Between samples it is interpolated; before the first and after the last it follows that sample's twist.
        """
        with self._lock:
            if self._problem(stamp_ns):
                return None
            index = bisect.bisect_left(self._stamps, stamp_ns)
            if index < len(self._stamps) and self._stamps[index] == stamp_ns:
                return self._samples[index].T_odom_base
            if 0 < index < len(self._stamps):
                before, after = self._samples[index - 1], self._samples[index]
                fraction = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
                return interpolate_transform(before.T_odom_base, after.T_odom_base, fraction)
            end = self._samples[0] if index == 0 else self._samples[-1]
        return _follow_twist(end, (stamp_ns - end.stamp_ns) * 1e-9)

    def status_at(self, stamp_ns: int) -> EgoStatus | None:
        """Velocity, acceleration and rotation rate in base_link at an instant, or None where there is no pose."""
        with self._lock:
            if self._problem(stamp_ns):
                return None
            index = self._nearest(stamp_ns)
            now = self._samples[index]
            start = bisect.bisect_left(self._stamps, now.stamp_ns - round(_ACCELERATION_WINDOW_S * 1e9))
            earlier = self._samples[start]
        elapsed_s = (now.stamp_ns - earlier.stamp_ns) * 1e-9
        change = (now.linear - earlier.linear) / elapsed_s if elapsed_s > 0 else np.zeros(3)
        # The axes turn with the car: in a steady bend the velocity in base_link does not change, yet it accelerates.
        acceleration = change + np.cross(now.angular, now.linear)
        return EgoStatus(now.linear, acceleration, now.angular, source="odometry")

    def poses_before(self, stamp_ns: int, seconds: float = 2.0) -> tuple[EgoPose, ...]:
        """Recorded poses before an instant, oldest first, at least 0.1 s apart."""
        with self._lock:
            start = bisect.bisect_left(self._stamps, stamp_ns - round(seconds * 1e9))
            end = bisect.bisect_left(self._stamps, stamp_ns)
            samples = self._samples[start:end]
        poses: list[EgoPose] = []
        for sample in reversed(samples):
            limit = poses[-1].stamp_ns if poses else stamp_ns
            if limit - sample.stamp_ns >= round(_PAST_SPACING_S * 1e9):
                poses.append(EgoPose(sample.stamp_ns, sample.T_odom_base))
        return tuple(reversed(poses))

    def _nearest(self, stamp_ns: int) -> int:
        index = bisect.bisect_left(self._stamps, stamp_ns)
        candidates = [i for i in (index - 1, index) if 0 <= i < len(self._stamps)]
        return min(candidates, key=lambda i: abs(self._stamps[i] - stamp_ns))

    def _problem(self, stamp_ns: int) -> str | None:
        if not self._stamps:
            return "no odometry has come"
        distance = abs(self._stamps[self._nearest(stamp_ns)] - stamp_ns)
        if distance > self._tolerance_ns:
            return (
                f"the nearest odometry is {distance * 1e-9:.3f} s away from the images "
                f"(limit {self._tolerance_ns * 1e-9:g} s)"
            )
        return None


def _follow_twist(sample: OdometrySample, seconds: float) -> FloatArray:
    """Pose after driving on with constant velocity and rotation rate (midpoint rule)."""
    rate = float(np.linalg.norm(sample.angular))
    axis = sample.angular / rate if rate > 1e-9 else np.array([0.0, 0.0, 1.0])

    def turn(angle: float) -> FloatArray:
        return make_transform(np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * axis]), [0, 0, 0])

    step = turn(rate * seconds)
    step[:3, 3] = turn(rate * seconds / 2)[:3, :3] @ (sample.linear * seconds)
    return sample.T_odom_base @ step


def _vector(message: Vector3) -> FloatArray:
    return np.array([message.x, message.y, message.z])
