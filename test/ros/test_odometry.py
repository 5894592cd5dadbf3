"""Ego motion at any instant."""

from __future__ import annotations

import numpy as np
import pytest
from nav_msgs.msg import Odometry

from aln_p3_core.geometry import heading_of, make_transform
from aln_p3_ros.driving.odometry import OdometryBuffer, OdometrySample

S = 1_000_000_000
SPEED, RATE = 8.0, 0.2


def pose(seconds: float) -> np.ndarray:
    """On a circle of radius SPEED / RATE."""
    angle = RATE * seconds
    radius = SPEED / RATE
    return make_transform(
        [np.cos(angle / 2), 0, 0, np.sin(angle / 2)], [radius * np.sin(angle), radius * (1 - np.cos(angle)), 0]
    )


def sample(seconds: float, **changes: object) -> OdometrySample:
    fields = {
        "stamp_ns": round(seconds * S),
        "T_odom_base": pose(seconds),
        "linear": np.array([SPEED, 0, 0]),
        "angular": np.array([0, 0, RATE]),
    }
    return OdometrySample(**{**fields, **changes})


@pytest.fixture
def buffer() -> OdometryBuffer:
    buffer = OdometryBuffer(tolerance_s=0.1)
    for step in range(21):
        assert buffer.add(sample(10 + 0.05 * step)) == ""
    return buffer


@pytest.mark.parametrize("seconds", [10.0, 10.37, 10.5, 10.999, 11.0])
def test_between_samples_it_interpolates(buffer: OdometryBuffer, seconds: float) -> None:
    np.testing.assert_allclose(buffer.pose_at(round(seconds * S)), pose(seconds), atol=2e-3)


@pytest.mark.parametrize("seconds", [9.93, 11.08])
def test_at_the_ends_it_follows_the_twist_within_the_bound(buffer: OdometryBuffer, seconds: float) -> None:
    np.testing.assert_allclose(buffer.pose_at(round(seconds * S)), pose(seconds), atol=1e-4)
    assert heading_of(buffer.pose_at(round(seconds * S))) == pytest.approx(RATE * seconds, abs=1e-9)


@pytest.mark.parametrize("seconds", [9.8, 11.2])
def test_beyond_the_bound_there_is_nothing(buffer: OdometryBuffer, seconds: float) -> None:
    stamp = round(seconds * S)
    assert buffer.pose_at(stamp) is None and buffer.status_at(stamp) is None
    assert "0.200 s away" in buffer.problem_at(stamp)


def test_a_hole_in_the_middle_is_no_pose() -> None:
    buffer = OdometryBuffer(tolerance_s=0.1)
    buffer.add(sample(10))
    buffer.add(sample(11))
    assert buffer.pose_at(round(10.5 * S)) is None
    assert buffer.pose_at(round(10.05 * S)) is not None


def test_nothing_came() -> None:
    buffer = OdometryBuffer(tolerance_s=0.1)
    assert buffer.problem_at(S) == "no odometry has come"
    assert not buffer.covers(S) and buffer.newest_stamp_ns is None and buffer.poses_before(S) == ()


def test_status_in_a_steady_bend_has_sideways_acceleration(buffer: OdometryBuffer) -> None:
    status = buffer.status_at(11 * S)
    np.testing.assert_allclose(status.velocity, [SPEED, 0, 0])
    np.testing.assert_allclose(status.rotation_rate, [0, 0, RATE])
    np.testing.assert_allclose(status.acceleration, [0, SPEED * RATE, 0])
    assert status.source == "odometry"


def test_acceleration_from_differences() -> None:
    buffer = OdometryBuffer(tolerance_s=0.1)
    for step in range(11):
        buffer.add(sample(10 + 0.05 * step, linear=np.array([5 + 0.1 * step, 0, 0]), angular=np.zeros(3)))
    np.testing.assert_allclose(buffer.status_at(round(10.5 * S)).acceleration, [2.0, 0, 0])


def test_past_poses_are_sorted_spaced_and_before() -> None:
    buffer = OdometryBuffer(tolerance_s=0.1, history_s=3.0)
    for step in range(100):
        buffer.add(sample(10 + 0.02 * step))
    stamp = round(11.5 * S)
    poses = buffer.poses_before(stamp, seconds=1.0)
    stamps = np.array([pose.stamp_ns for pose in poses])
    assert len(poses) == 10 and stamps[-1] <= stamp - S // 10 and stamps[0] >= stamp - S
    assert (np.diff(stamps) >= S // 10).all()


def test_bad_samples_are_refused(buffer: OdometryBuffer) -> None:
    assert "NaN" in buffer.add(sample(12, linear=np.array([np.nan, 0, 0])))
    assert "mirror" in buffer.add(sample(12, T_odom_base=np.diag([1.0, 1, -1, 1])))
    assert "not newer" in buffer.add(sample(10.9))
    assert buffer.newest_stamp_ns == 11 * S


def test_time_that_goes_back_clears(buffer: OdometryBuffer) -> None:
    assert "went back" in buffer.add(sample(2))
    assert buffer.newest_stamp_ns == 2 * S and buffer.pose_at(round(10.5 * S)) is None


def test_samples_of_the_time_before_a_small_step_back_are_forgotten(buffer: OdometryBuffer) -> None:
    buffer.forget_after(round(10.5 * S))
    assert buffer.newest_stamp_ns <= 10.5 * S
    assert buffer.pose_at(round(10.4 * S)) is not None and buffer.pose_at(11 * S) is None
    assert buffer.add(sample(10.9)) == ""


def test_old_samples_are_forgotten() -> None:
    buffer = OdometryBuffer(tolerance_s=0.1, history_s=1.0)
    for step in range(100):
        buffer.add(sample(10 + 0.1 * step))
    assert buffer.pose_at(round(18.0 * S)) is None and buffer.pose_at(round(19.0 * S)) is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"linear": np.array([1e20, 0, 0])}, "1e+20 m/s (limit 100 m/s)"),
        ({"linear": np.array([60.0, -60.0, 60.0])}, "104 m/s"),
        ({"angular": np.array([0, 0, -11.0])}, "11 rad/s (limit 10 rad/s)"),
    ],
)
def test_motion_that_no_road_vehicle_makes_is_refused(
    buffer: OdometryBuffer, changes: dict[str, np.ndarray], words: str
) -> None:
    assert words in buffer.add(sample(12, **changes))
    assert buffer.newest_stamp_ns == 11 * S


def test_the_newest_sample_tells_whether_one_was_taken(buffer: OdometryBuffer) -> None:
    late, good = sample(10.9), sample(11.1)
    buffer.add(late)
    assert buffer.newest is not late
    buffer.add(good)
    assert buffer.newest is good


@pytest.mark.parametrize("child", ["imu_link", "", "base_link_old"])
def test_a_message_of_another_frame_is_no_odometry(child: str) -> None:
    message = Odometry(child_frame_id=child)
    with pytest.raises(ValueError, match=f"it is of '{child}', not of 'base_link'"):
        OdometrySample.from_message(message, "base_link")
    OdometrySample.from_message(message)
    message.child_frame_id = "/base_link"
    OdometrySample.from_message(message, "base_link")
