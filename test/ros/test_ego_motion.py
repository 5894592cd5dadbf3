"""Poses and velocities of a recorded drive."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.frame import EgoPose
from aln_p3_core.geometry import make_transform
from aln_p3_ros.replay.ego_motion import EgoMotion

MS = 1_000_000


def pose(x: float, y: float, yaw: float) -> np.ndarray:
    return make_transform([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)], [x, y, 2.0])


def drive(motion, count=40, step_ms=25) -> EgoMotion:
    return EgoMotion([EgoPose(i * step_ms * MS, pose(*motion(i * step_ms * 1e-3))) for i in range(count)])


def test_odom_starts_at_the_first_pose_along_the_first_heading():
    motion = drive(lambda t: (100 + 10 * t * np.cos(0.7), 50 + 10 * t * np.sin(0.7), 0.7))
    np.testing.assert_allclose(motion.T_odom_ego(0), np.eye(4), atol=1e-12)
    np.testing.assert_allclose(motion.T_odom_ego(500 * MS)[:3, 3], [5.0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(motion.T_map_odom, pose(100, 50, 0.7), atol=1e-12)


def test_odom_keeps_the_vertical_of_the_data_set_when_the_car_pitches():
    pitched = make_transform([np.cos(0.05), 0, np.sin(0.05), 0], [3, 4, 5])
    motion = EgoMotion([EgoPose(0, pitched)])
    np.testing.assert_allclose(motion.T_map_odom[:3, 2], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(motion.T_map_odom @ motion.T_odom_ego(0), pitched, atol=1e-12)


def test_velocity_is_in_the_vehicle_frame():
    motion = drive(lambda t: (10 * t * np.cos(2.0), 10 * t * np.sin(2.0), 2.0))
    for stamp in motion.stamps_ns:
        linear, angular = motion.twist(stamp)
        np.testing.assert_allclose(linear, [10, 0, 0], atol=1e-6)
        np.testing.assert_allclose(angular, 0, atol=1e-9)


def test_turn_rate_is_that_of_the_circle():
    radius, speed = 20.0, 8.0
    rate = speed / radius
    motion = drive(lambda t: (radius * np.sin(rate * t), radius * (1 - np.cos(rate * t)), rate * t))
    linear, angular = motion.twist(500 * MS)
    np.testing.assert_allclose(angular, [0, 0, rate], atol=1e-6)
    np.testing.assert_allclose(linear, [speed, 0, 0], atol=1e-2)


def test_poses_a_moment_apart_do_not_amplify_their_noise():
    """Cameras fire within milliseconds: a centimetre of error there must not become metres per second."""
    rng = np.random.default_rng(0)
    stamps = sorted({i * 500 * MS + k * MS for i in range(6) for k in (0, 7, 15, 23)})
    poses = [EgoPose(s, pose(10 * s * 1e-9 + rng.normal(0, 0.01), 0, 0)) for s in stamps]
    motion = EgoMotion(poses)
    speeds = [motion.twist(s)[0][0] for s in motion.stamps_ns]
    assert max(abs(speed - 10) for speed in speeds) < 0.5


def test_a_single_pose_stands():
    motion = EgoMotion([EgoPose(7, pose(1, 2, 3))])
    linear, angular = motion.twist(7)
    assert not linear.any() and not angular.any()


def test_equal_stamps_count_once():
    motion = EgoMotion([EgoPose(0, pose(0, 0, 0)), EgoPose(0, pose(0, 0, 0)), EgoPose(9, pose(1, 0, 0))])
    assert motion.stamps_ns == [0, 9]
    with pytest.raises(KeyError):
        motion.T_odom_ego(5)
