"""CAN bus messages, read back by the devkit and by our own reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from nuscenes.can_bus.can_bus_api import NuScenesCanBus
from run_complete import shared_data

from aln_p3_core.datasets.ego import CanBus
from aln_p3_core.world.ego import Control, EgoState, step_bicycle
from aln_p3_core.world.recorder.can_bus import RATES_HZ, can_messages
from aln_p3_core.world.recorder.tables import write_json

START_US = 1_700_000_000_000_000
SCENE = "scene-2001"


def drive() -> list[EgoState]:
    """Five seconds: it speeds up on a circle to the left."""
    states = [EgoState(0.0, 100.0, 50.0, 0.3, speed=5.0, steering=0.1)]
    for _ in range(100):
        states.append(step_bicycle(states[-1], Control(0.8, 0.1), 0.05))
    return states


@pytest.fixture
def root(tmp_path: Path) -> Path:
    states = drive()
    route = np.array([[state.x, state.y] for state in states])
    for name, content in can_messages(states, START_US, route, [1] * len(states)).items():
        write_json(tmp_path / "can_bus" / f"{SCENE}_{name}.json", content)
    return tmp_path


def test_the_devkit_reads_every_message(root: Path) -> None:
    bus = NuScenesCanBus(str(root))
    for name in bus.all_messages:
        assert bus.get_messages(SCENE, name)
    assert set(RATES_HZ) == set(bus.can_messages)
    assert bus.list_misaligned_routes() == []
    route, pose = bus.get_pose_and_route(SCENE)
    np.testing.assert_allclose(pose[0], [100.0, 50.0])
    np.testing.assert_allclose(pose[-1], route[-1], atol=0.01)
    meta = bus.get_messages(SCENE, "meta")
    assert meta["pose"]["message_count"] == 251 and meta["pose"]["timespan"] == pytest.approx(5.0)


def test_fields_are_those_of_the_recorded_messages(root: Path, shared_dir: Path) -> None:
    recorded = shared_data(shared_dir / "data" / "language" / "can_bus" / "scene-0061_vehicle_monitor.json")
    ours = json.loads((root / "can_bus" / f"{SCENE}_vehicle_monitor.json").read_text())
    theirs = json.loads(recorded.read_text())
    assert set(ours[0]) == set(theirs[0])
    # One turn of a wheel is as long as on the recorded car.
    for row in theirs[:5]:
        meters_per_turn = row["vehicle_speed"] / 3.6 / (row["rear_left_rpm"] / 60)
        assert ours[0]["vehicle_speed"] / 3.6 / (
            np.mean([ours[0]["rear_left_rpm"], ours[0]["rear_right_rpm"]]) / 60
        ) == (pytest.approx(meters_per_turn, rel=0.03))


def test_values(root: Path) -> None:
    def read(name: str) -> list[dict]:
        return json.loads((root / "can_bus" / f"{SCENE}_{name}.json").read_text())

    last, state = read("vehicle_monitor")[-1], drive()[-1]
    assert last["vehicle_speed"] == pytest.approx(state.speed * 3.6, abs=1e-3)
    assert last["yaw_rate"] == pytest.approx(np.degrees(state.yaw_rate), abs=0.1) and last["left_signal"] == 1
    assert last["rear_right_rpm"] > last["rear_left_rpm"]  # the outer wheel of a turn to the left
    assert last["throttle"] > 0 and last["brake"] == 0
    stamps = [row["utime"] for row in read("pose")]
    assert stamps[0] == START_US and set(np.diff(stamps)) == {20_000}


def test_our_reader(root: Path) -> None:
    status = CanBus(root).status(SCENE, (START_US + 3_000_000) * 1000 + 1)
    assert status is not None and status.source == "can_bus"
    state = next(s for s in drive() if abs(s.time_s - 3.0) < 1e-6)
    np.testing.assert_allclose(status.velocity, [state.speed, 0, 0], atol=1e-5)
    np.testing.assert_allclose(status.rotation_rate, [0, 0, state.yaw_rate], atol=1e-5)
    np.testing.assert_allclose(status.acceleration, [0.8, state.speed * state.yaw_rate, 9.81], atol=1e-4)
