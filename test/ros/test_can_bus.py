"""The CAN bus as ROS messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aln_p3_core.errors import DataError
from aln_p3_ros.replay.can_bus import can_bus_messages
from aln_p3_ros.replay.messages import serialise


def write(root: Path, kind: str, rows: object) -> None:
    (root / "can_bus").mkdir(exist_ok=True)
    (root / "can_bus" / f"scene-0001_{kind}.json").write_text(json.dumps(rows))


def test_a_scene_without_can_bus_has_no_messages(tmp_path):
    assert list(can_bus_messages(tmp_path, "scene-0001")) == []


def test_each_kind_goes_to_its_topic_at_its_own_time(tmp_path):
    pose = {"utime": 1_600_000_000_000_001, "vel": [9, 0, 0], "rotation_rate": [0, 0, 0.1], "accel": [0, 0, 9.8],
            "orientation": [1, 0, 0, 0], "pos": [0, 0, 0]}  # fmt: skip
    imu = {
        "utime": 1_600_000_000_000_002,
        "linear_accel": [0.5, 0, 9.8],
        "q": [1, 0, 0, 0],
        "rotation_rate": [0, 0, 0.2],
    }
    write(tmp_path, "pose", [pose])
    write(tmp_path, "ms_imu", [imu])
    write(tmp_path, "steeranglefeedback", [{"utime": 1_600_000_000_000_003, "value": -0.2}])
    write(tmp_path, "meta", {"steeranglefeedback": {}})
    messages = {key: (stamp, message) for stamp, key, message in can_bus_messages(tmp_path, "scene-0001")}
    assert {key: stamp for key, (stamp, _) in messages.items()} == {
        "twist": 1_600_000_000_000_001_000,
        "imu": 1_600_000_000_000_002_000,
        "can_bus": 1_600_000_000_000_003_000,
    }
    assert messages["twist"][1].twist.linear.x == 9
    assert messages["imu"][1].angular_velocity.z == 0.2
    assert json.loads(messages["can_bus"][1].data)["message"] == "steeranglefeedback"
    assert all(len(serialise(message)) for _, message in messages.values())


@pytest.mark.parametrize("rows", [[{"utime": 1}], {"a": 1}, [1], [{"vel": []}]])
def test_a_broken_file_is_named(tmp_path, rows):
    write(tmp_path, "pose", rows)
    with pytest.raises(DataError, match=r"scene-0001_pose\.json"):
        list(can_bus_messages(tmp_path, "scene-0001"))


def test_real_vehicle_monitor(shared_dir, tmp_path):
    source = shared_dir / "data" / "language" / "can_bus" / "scene-0061_vehicle_monitor.json"
    (tmp_path / "can_bus").symlink_to(source.parent)
    messages = list(can_bus_messages(tmp_path, "scene-0061"))
    assert len(messages) == len(json.loads(source.read_text()))
    assert json.loads(messages[0][2].data)["vehicle_speed"] > 0
