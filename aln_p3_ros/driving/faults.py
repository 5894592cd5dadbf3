"""When to drive on with less, and when to stop: the one table of rules. Pure Python, no ROS.

| what is wrong                                             | plan    |
|-----------------------------------------------------------|---------|
| nothing                                                   | whole   |
| cameras lost, at most `max_missing_cameras`, none required| reduced |
| odometry missing or too far away (no memory, no tracking) | reduced |
| odometry in another frame than `odom_frame`               | reduced |
| the plan is older than `reduced_plan_age_s`               | reduced |
| the plan is older than `max_plan_age_s`, or its horizon   | stop    |
| the plan cannot be driven (`plan_gate`)                   | stop    |
| more cameras lost                                         | stop    |
| a required camera lost                                    | stop    |
| no camera set for `input_timeout_s`                       | stop    |
| the model takes longer than `inference_timeout_s`         | stop    |
| the model fails, or the node                              | stop    |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from aln_p3_ros.driving.camera_set import CameraFault


class Level(IntEnum):
    """How much a plan can be trusted; the numbers are `PlannedTrajectory.DEGRADED_*`."""

    NONE = 0
    REDUCED = 1
    STOP = 2


@dataclass(frozen=True, slots=True)
class Degradation:
    """A level and, one line each, why."""

    level: Level = Level.NONE
    reasons: tuple[str, ...] = ()

    def also(self, level: Level, reason: str) -> Degradation:
        """The same with one more reason; the worse level wins."""
        return Degradation(max(self.level, level), (*self.reasons, reason))


def judge_set(
    faults: Mapping[str, CameraFault],
    *,
    cameras: Iterable[str],
    max_missing: int,
    required: Iterable[str],
    odometry_problem: str | None = None,
    odometry_doubt: str = "",
) -> Degradation:
    """Judges one camera set.

    Args:
        faults: of every camera that the plan cannot use.
        cameras: the rig.
        max_missing: with more cameras lost than this the vehicle stops.
        required: cameras without which it stops.
        odometry_problem: why there is no ego motion, or None.
        odometry_doubt: what is doubtful about that which there is, or "".
    """
    result = Degradation()
    for name, fault in faults.items():
        result = result.also(Level.REDUCED, f"{name} {fault.kind.value}: {fault.text}")
    lost = [name for name in cameras if name in faults]
    if len(lost) > max_missing:
        result = result.also(Level.STOP, f"{len(lost)} cameras lost, at most {max_missing} may be")
    needed = [name for name in required if name in faults]
    if needed:
        result = result.also(Level.STOP, f"{', '.join(needed)} required for driving")
    if odometry_problem:
        result = result.also(Level.REDUCED, f"odometry: {odometry_problem}; driving without memory")
    elif odometry_doubt:
        result = result.also(Level.REDUCED, odometry_doubt)
    return result


def judge_age(age_s: float, reduced_s: float, max_s: float) -> Degradation:
    """Judges a plan by the age of the newest image that it was made from, in seconds."""
    if age_s > max_s:
        return Degradation(Level.STOP, (f"the plan is {age_s:.1f} s old (limit {max_s:g} s)",))
    if age_s > reduced_s:
        return Degradation(Level.REDUCED, (f"the plan is {age_s:.1f} s old (whole up to {reduced_s:g} s)",))
    return Degradation()


def quiet_seconds(now_ns: int, started_ns: int, last_set_ns: int | None) -> float:
    """Seconds without a camera set since the last one or the start; never negative.

    A set can come between the reading of the clock and this question, so the last one may be newer than `now_ns`.
    """
    since_ns = started_ns if last_set_ns is None else max(last_set_ns, started_ns)
    return max(0, now_ns - since_ns) * 1e-9


def no_input(quiet_s: float, limit_s: float, faults: Mapping[str, CameraFault]) -> Degradation:
    """Nothing to drive on: no camera set for `quiet_s` seconds."""
    result = Degradation(Level.STOP, (f"no camera set for {quiet_s:.1f} s (limit {limit_s:g} s)",))
    for name, fault in faults.items():
        result = result.also(Level.STOP, f"{name} {fault.kind.value}: {fault.text}")
    return result


def slow_model(busy_s: float, limit_s: float) -> Degradation:
    """One plan takes too long."""
    return Degradation(Level.STOP, (f"the model has been busy for {busy_s:.1f} s (limit {limit_s:g} s)",))


def failed_model(error: BaseException) -> Degradation:
    """The model raised an error."""
    return _failed("model", error)


def failed_node(error: BaseException) -> Degradation:
    """A callback of the node raised an error, and the node ends."""
    return _failed("node", error)


def impossible_plan(problem: str) -> Degradation:
    """The model gave a plan that nobody can drive."""
    return Degradation(Level.STOP, (f"the plan cannot be driven: {problem}",))


def _failed(what: str, error: BaseException) -> Degradation:
    return Degradation(Level.STOP, (f"the {what} failed: {type(error).__name__}: {error}",))
