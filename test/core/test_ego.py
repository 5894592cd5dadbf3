"""Motion by differences of past poses."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.datasets.ego import CanBus, status_from_poses
from aln_p3_core.frame import EgoPose
from aln_p3_core.geometry import FloatArray, make_transform


def pose(x: float, y: float, yaw: float) -> FloatArray:
    return make_transform([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)], [x, y, 0])


def drive(speed: float, acceleration: float, yaw_rate: float, step_s: float, steps: int) -> list[EgoPose]:
    """Poses of a car that starts at the origin at time 0, speeding up along an arc of constant yaw rate."""
    fine = np.linspace(0, step_s * steps, 2000 * steps + 1)
    v = speed + acceleration * fine
    dt = fine[1] - fine[0]
    x = np.concatenate([[0], np.cumsum((v * np.cos(yaw_rate * fine))[:-1] * dt)])
    y = np.concatenate([[0], np.cumsum((v * np.sin(yaw_rate * fine))[:-1] * dt)])
    at = [2000 * i for i in range(steps + 1)]
    return [EgoPose(round(fine[i] * 1e9), pose(x[i], y[i], yaw_rate * fine[i])) for i in at]


@given(st.floats(0, 30), st.floats(-3, 3), st.floats(-0.5, 0.5))
def test_a_smooth_drive_is_measured(speed: float, acceleration: float, yaw_rate: float) -> None:
    poses = drive(speed, acceleration, yaw_rate, 0.05, 6)
    now = poses[-1]
    status = status_from_poses(poses[:-1], now.stamp_ns, now.T_global_ego)
    assert status is not None and status.source == "poses"
    true_speed = speed + acceleration * 0.3
    # A backward difference is half a step old.
    assert status.velocity[0] == pytest.approx(true_speed, abs=0.03 * abs(acceleration) + 0.05)
    assert status.velocity[1] == pytest.approx(0, abs=0.03 * abs(yaw_rate * true_speed) + 0.05)
    np.testing.assert_allclose(status.rotation_rate, [0, 0, yaw_rate], atol=1e-6)
    assert status.acceleration[0] == pytest.approx(acceleration, abs=0.06 * abs(yaw_rate**2 * true_speed) + 0.3)
    assert status.acceleration[1] == pytest.approx(yaw_rate * true_speed, abs=0.2 * abs(yaw_rate) + 0.3)


def test_a_lone_frame_has_no_motion() -> None:
    assert status_from_poses([], 10**9, np.eye(4)) is None


def test_poses_that_are_too_near_or_too_old_do_not_count() -> None:
    now = 10 * 10**9
    near = EgoPose(now - 10**7, pose(9.9, 0, 0))
    old = EgoPose(now - 2 * 10**9, pose(-20, 0, 0))
    assert status_from_poses([old, near], now, pose(10, 0, 0)) is None
    good = EgoPose(now - 10**8, pose(9, 0, 0))
    status = status_from_poses([old, good, near], now, pose(10, 0, 0))
    assert status is not None
    np.testing.assert_allclose(status.velocity, [10, 0, 0])
    assert not status.acceleration.any()  # no second step within reach


def test_velocity_is_in_the_ego_frame() -> None:
    # Driving along global y with the nose along global y.
    before = EgoPose(0, pose(0, 0, np.pi / 2))
    status = status_from_poses([before], 10**8, pose(0, 1.2, np.pi / 2))
    assert status is not None
    np.testing.assert_allclose(status.velocity, [12, 0, 0], atol=1e-9)


def test_can_messages_are_kept_as_numbers(tmp_path: Path) -> None:
    count = 2000
    random = np.random.default_rng(0)
    rows = [
        {"utime": 20_000 * k, "vel": v[:3], "accel": v[3:6], "rotation_rate": v[6:]}
        for k, v in enumerate(random.normal(size=(count, 9)).tolist())
    ]
    (tmp_path / "can_bus").mkdir()
    (tmp_path / "can_bus" / "scene-0001_pose.json").write_text(json.dumps(rows[::-1]))
    bus = CanBus(tmp_path)
    tracemalloc.start()
    assert bus.status("scene-0001", -1) is None
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 120 * count, "bytes a message"
    for k in (0, 7, count - 1):
        status = bus.status("scene-0001", 20_000_000 * k + 19_999_999)
        assert status is not None and status.source == "can_bus"
        assert (status.velocity.tolist(), status.acceleration.tolist()) == (rows[k]["vel"], rows[k]["accel"])
        assert status.rotation_rate.tolist() == rows[k]["rotation_rate"]
    last = 20_000_000 * (count - 1)
    assert bus.status("scene-0001", last + 500_000_000) is not None
    assert bus.status("scene-0001", last + 500_000_001) is None
    assert bus.status("scene-0161", 0) is None, "a scene without CAN bus"
