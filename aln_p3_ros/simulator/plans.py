"""Plans between ROS and the world: `PlannedTrajectory` to `EgoPlan` and back, and the inbox where they arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from aln_p3.msg import PlannedTrajectory
from std_msgs.msg import Header

from aln_p3_core.errors import InvalidFrameError
from aln_p3_core.frame import RouteCommand
from aln_p3_core.world.planners.planner import EgoPlan
from aln_p3_ros.messages.conversions import command_message, trajectory_points
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.messages.trajectory import TrajectoryArrays
from aln_p3_ros.messages.transforms import transform_from_message
from aln_p3_ros.topics import BASE_FRAME


def plan_from_message(message: PlannedTrajectory, stamp_s: float, base_frame: str = BASE_FRAME) -> EgoPlan:
    """The plan of a message.

    Args:
        message: our trajectory. stamp_s: the time of its stamp, in seconds of the drive.
        base_frame: frame of the vehicle that it must be in.

    Raises:
        InvalidFrameError: for a plan without points, in another frame, with times that do not rise, or poses that
            are none.
    """
    if message.header.frame_id.lstrip("/") != base_frame:
        raise InvalidFrameError(
            f"the trajectory is in frame {message.header.frame_id!r}, not in {base_frame} as it stood at its stamp"
        )
    times = np.array([to_ns(point.time_from_start) / 1e9 for point in message.points])
    if not len(times) or times[0] < 0 or (np.diff(times) <= 0).any():
        raise InvalidFrameError("the trajectory has no points, or its times do not rise from 0 on")
    try:
        for point in message.points:
            transform_from_message(point.pose)
    except ValueError as error:
        raise InvalidFrameError(f"a pose of the trajectory is none: {error}") from error
    places = np.array([[p.pose.position.x, p.pose.position.y] for p in message.points])
    # From the numbers as they were sent, so that a plan comes back as it was to the last bit.
    headings = np.array([2 * np.arctan2(p.pose.orientation.z, p.pose.orientation.w) for p in message.points])
    return EgoPlan(stamp_s, times, places, headings)


def message_from_plan(
    plan: EgoPlan, stamp_ns: int, command: RouteCommand, plan_id: str, planner: str
) -> PlannedTrajectory:
    """The message of a plan. `planner` stands where the hash of a checkpoint would."""
    header = Header(stamp=to_time(stamp_ns), frame_id=BASE_FRAME)
    return PlannedTrajectory(
        header=header,
        plan_id=plan_id,
        checkpoint_hash=planner,
        command=command_message(command, Header(stamp=header.stamp)),
        points=trajectory_points(_arrays(plan)),
    )


def _arrays(plan: EgoPlan) -> TrajectoryArrays:
    """Speeds and curvatures beside the planned points, by differences."""
    times, points, headings = plan.times_s, plan.points_ego, np.unwrap(plan.headings_ego)
    if len(times) < 2:
        zeros = np.zeros(len(times))
        return TrajectoryArrays(times, points, headings, zeros, zeros, zeros, zeros)
    motion = np.gradient(points, times, axis=0)
    speeds = motion[:, 0] * np.cos(headings) + motion[:, 1] * np.sin(headings)
    rates = np.gradient(headings, times)
    moving = np.abs(speeds) > 0.1
    curvatures = np.where(moving, rates / np.where(moving, speeds, 1.0), 0.0)
    return TrajectoryArrays(times, points, headings, speeds, np.gradient(speeds, times), rates, curvatures)


class PlanInbox:
    """Trajectories as they arrive, by their stamps. Filled by the executor, emptied by the simulation's thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: PlannedTrajectory | None = None
        self._taken = True
        self._closed = False

    def put(self, message: PlannedTrajectory) -> None:
        """Takes a message; one that is older than the last is dropped."""
        with self._changed:
            if self._newest is not None and to_ns(message.header.stamp) < to_ns(self._newest.header.stamp):
                return
            self._newest, self._taken = message, False
            self._changed.notify_all()

    def take(self) -> PlannedTrajectory | None:
        """The newest message that has not been taken, or None."""
        with self._changed:
            if self._taken:
                return None
            self._taken = True
            return self._newest

    def wait_for(
        self, stamp_ns: int, timeout_s: float, fits: Callable[[PlannedTrajectory], bool] = lambda message: True
    ) -> PlannedTrajectory | None:
        """Waits for the plan of an instant.

        Args:
            stamp_ns: of the plan. timeout_s: longest wait, wall clock.
            fits: what else the plan must be.

        Returns:
            None when none came in time, one of a later instant came, or the inbox was closed.
        """

        def it_is() -> bool:
            message = self._newest
            return message is not None and to_ns(message.header.stamp) == stamp_ns and fits(message)

        def over() -> bool:
            passed = self._newest is not None and to_ns(self._newest.header.stamp) > stamp_ns
            return self._closed or passed or it_is()

        with self._changed:
            self._changed.wait_for(over, timeout_s)
            if not it_is():
                return None
            self._taken = True
            return self._newest

    def clear(self) -> None:
        """Forgets what came before a new episode."""
        with self._changed:
            self._newest, self._taken = None, True

    def close(self) -> None:
        """Wakes whoever waits; nothing will come any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
