"""Every rule of the temporal memory, one test each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.config import MemoryConfig
from aln_p3_core.driver.memory import MemoryState, T_prev_cur, TemporalMemory, can_bus_with_differences
from aln_p3_core.frame import CameraCalibration, CameraView, DrivingFrame
from aln_p3_core.geometry import make_transform, transform_points, virtual_T_ego_model

CAMERAS = ("front", "back")


def frame_at(seconds: float, *, x: float = 0.0, focal: float = 100.0, cameras=CAMERAS, drive="a", z_model=1.84):
    stamp_ns = 10_000_000_000 + round(seconds * 1e9)
    T_global_ego = make_transform([1, 0, 0, 0], [x, 0, 0])
    calibration = CameraCalibration(np.array([[focal, 0, 4], [0, focal, 3], [0, 0, 1]]), np.eye(4), 8, 6)
    image = np.zeros((6, 8, 3), np.uint8)
    T_ego_model = virtual_T_ego_model()
    T_ego_model[2, 3] = z_model
    return DrivingFrame(
        cameras=CAMERAS,
        views={name: CameraView(image, stamp_ns, calibration, T_global_ego) for name in cameras},
        reference_stamp_ns=stamp_ns,
        T_global_ego=T_global_ego,
        T_ego_model=T_ego_model,
        drive_id=drive,
    )


def drive(memory: TemporalMemory, frame: DrivingFrame) -> str:
    reason = memory.advance(frame)
    memory.store(MemoryState(frame.reference_stamp_ns, frame.T_global_model, torch.zeros(1, 2, 2, 1)))
    return reason


@pytest.fixture
def memory() -> TemporalMemory:
    memory = TemporalMemory(MemoryConfig())
    for step in range(6):
        assert drive(memory, frame_at(0.1 * step, x=step)) == ""
    return memory


def test_steady_drive_recalls_the_trained_interval(memory):
    frame = frame_at(0.6, x=6)
    assert memory.advance(frame) == ""
    state = memory.recall(frame.reference_stamp_ns)
    assert (frame.reference_stamp_ns - state.stamp_ns) * 1e-9 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("frame", "part_of_reason"),
    [
        (frame_at(0.2, x=5), "time went back"),
        (frame_at(2.0, x=5), "no frame for"),
        (frame_at(0.6, x=100), "pose jumped"),
        (frame_at(0.6, x=6, focal=101), "calibration of back, front changed"),
        (frame_at(0.6, x=6, z_model=1.5), "model frame changed"),
        (frame_at(0.6, x=6, drive="b"), "another drive"),
    ],
)
def test_rule_drops_the_memory(memory, frame, part_of_reason):
    assert part_of_reason in memory.advance(frame)
    assert len(memory) == 0
    assert memory.recall(frame.reference_stamp_ns) is None


def test_asked_for_reset_is_told_once(memory):
    memory.reset("operator")
    assert memory.advance(frame_at(0.6)) == "operator"
    assert memory.advance(frame_at(0.7)) == ""


def test_lost_camera_keeps_the_memory_but_must_return_unchanged(memory):
    assert drive(memory, frame_at(0.6, x=6, cameras=("front",))) == ""
    assert drive(memory, frame_at(0.7, x=7)) == ""
    assert drive(memory, frame_at(0.8, x=8, cameras=("front",))) == ""
    assert "calibration of back, front" in memory.advance(frame_at(0.9, x=9, focal=99))


def test_standstill_noise_is_no_jump():
    memory = TemporalMemory(MemoryConfig())
    drive(memory, frame_at(0.0))
    assert memory.advance(frame_at(0.001, x=0.5)) == ""


def test_same_stamp_again_replaces_and_never_recalls_itself():
    memory = TemporalMemory(MemoryConfig())
    drive(memory, frame_at(0.0))
    drive(memory, frame_at(0.0))
    assert len(memory) == 1
    assert memory.recall(frame_at(0.0).reference_stamp_ns) is None


@given(rate_hz=st.floats(2.0, 120.0))
def test_any_camera_rate_finds_a_state_of_the_right_age(rate_hz):
    memory = TemporalMemory(MemoryConfig())
    for step in range(int(rate_hz * 2) + 2):
        frame = frame_at(step / rate_hz)
        assert memory.advance(frame) == ""
        state = memory.recall(frame.reference_stamp_ns)
        if step / rate_hz > 0.8:
            age = (frame.reference_stamp_ns - state.stamp_ns) * 1e-9
            assert abs(age - 0.5) <= max(0.5 / rate_hz, 0.06) + 1e-6
        memory.store(MemoryState(frame.reference_stamp_ns, frame.T_global_model, torch.zeros(1)))
        assert len(memory) <= memory.config.capacity


def test_T_prev_cur_moves_a_standing_point_back_by_the_ego_motion():
    before, now = frame_at(0.0, x=0), frame_at(0.5, x=4)
    state = MemoryState(before.reference_stamp_ns, before.T_global_model, torch.zeros(1))
    # A post 10 m ahead now (model frame: y forward) was 14 m ahead then.
    np.testing.assert_allclose(transform_points(T_prev_cur(state, now), [0.0, 10.0, 0.0]), [0, 14, 0], atol=1e-9)


def test_can_bus_differences():
    current, previous = np.arange(18.0), np.arange(18.0) - 2
    current[-1], previous[-1] = 1.0, 359.0
    result = can_bus_with_differences(current, previous)
    np.testing.assert_array_equal(result[:3], [2, 2, 2])
    np.testing.assert_array_equal(result[3:-1], current[3:-1])
    assert result[-1] == pytest.approx(2.0)
    first = can_bus_with_differences(current, None)
    assert first[:3].tolist() == [0, 0, 0] and first[-1] == 0
