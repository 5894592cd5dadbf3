"""Settings of a recording, its cameras, and the pushes that are drawn for a scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.calibration import save_calibration
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.geometry import project_points
from aln_p3_core.world.ego import Control, EgoState, pushed, step_bicycle
from aln_p3_core.world.recorder.disturbance import START_LATERAL_M, Disturbances, Push
from aln_p3_core.world.recorder.settings import RecordSettings, only_recording, prepare_root, read_rig, root_rig
from aln_p3_core.world.recorder.take import SceneTask
from aln_p3_core.world.rig import world_rig
from aln_p3_core.world.weather import Condition


def test_a_root_keeps_its_settings_and_cameras(tmp_path: Path) -> None:
    root = tmp_path / "root"
    settings = prepare_root(root, RecordSettings(size=(800, 450), seed=3))
    assert prepare_root(root, settings) == settings
    assert json.loads((root / "recording.json").read_text())["seed"] == 3
    assert root_rig(root)["CAM_FRONT"].width == 800
    with pytest.raises(ConfigError, match="seed is 3, not 4"):
        prepare_root(root, RecordSettings(size=(800, 450), seed=4))


def test_settings_of_another_recorder_are_told(tmp_path: Path) -> None:
    prepare_root(tmp_path / "root", RecordSettings())
    file = tmp_path / "root" / "recording.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 0}))
    with pytest.raises(ConfigError, match="format is 0, not 1"):
        prepare_root(tmp_path / "root", RecordSettings())
    file.write_text("{")
    with pytest.raises(DataError, match=r"recording\.json cannot be read"):
        prepare_root(tmp_path / "root", RecordSettings())


def test_a_rig_of_ones_own(tmp_path: Path) -> None:
    save_calibration(tmp_path / "rig.yaml", world_rig(1600, 900))
    rig = read_rig(tmp_path / "rig.yaml", 400)
    assert list(rig) == list(NUSCENES_CAMERAS) and (rig["CAM_BACK"].width, rig["CAM_BACK"].height) == (400, 225)
    point = np.array([1.0, -0.5, 8.0])
    large, small = world_rig(1600, 900)["CAM_BACK"], rig["CAM_BACK"]
    assert np.allclose(project_points(point, large.intrinsic)[0] / 4, project_points(point, small.intrinsic)[0])
    settings = prepare_root(tmp_path / "root", RecordSettings(), rig)
    assert settings.size == (400, 225) and settings.rig != "world"
    assert root_rig(tmp_path / "root")["CAM_BACK"].height == 225
    with pytest.raises(ConfigError, match=r"rig is \w+, not world"):
        prepare_root(tmp_path / "root", RecordSettings())


def test_one_recording_at_a_time(tmp_path: Path) -> None:
    prepare_root(tmp_path / "root", RecordSettings())
    with (
        only_recording(tmp_path / "root"),
        pytest.raises(DataError, match="another process"),
        only_recording(tmp_path / "root"),
    ):
        pass
    with only_recording(tmp_path / "root"):
        pass


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate_hz": 3}, "3 Hz"),
        ({"size": (640, 360)}, "640x360"),
        ({"duration_s": 0.1}, "0.5 to 200"),
        ({"quality": 0}, "1 to 100"),
        ({"condition": "fog"}, "no condition 'fog'"),
    ],
)
def test_settings_that_cannot_be(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecordSettings(**wrong)


def test_the_weather_of_scenes() -> None:
    drawn = {RecordSettings().weather(seed).condition for seed in range(60)}
    assert drawn == set(Condition)
    assert {RecordSettings(condition="rain").weather(seed).condition for seed in range(60)} == {Condition.RAIN}
    assert RecordSettings(condition="rain").weather(5).seed == 5


def test_a_root_older_than_a_setting_has_its_default(tmp_path: Path) -> None:
    root = tmp_path / "root"
    prepare_root(root, RecordSettings())
    path = root / "recording.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "halts"}))
    prepare_root(root, RecordSettings())
    with pytest.raises(ConfigError, match="halts is false, not true"):
        prepare_root(root, RecordSettings(halts=True))


def test_tasks_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="no split 'test'"):
        SceneTask("test", 0)
    with pytest.raises(ConfigError, match="up to 1000 scenes of split val"):
        SceneTask("val", 1000)


def displaced(disturbances: Disturbances, speed: float) -> tuple[float, float]:
    """Where a car that nobody steers ends up beside its way (m), and the range of its speed (m/s)."""
    state = EgoState(0.0, 0.0, 0.0, 0.0, speed=speed)
    speeds = []
    for _ in range(400):
        control = disturbances.at(state)
        if control is not None:
            state = step_bicycle(state, control, 0.05)
        else:
            state = EgoState(state.time_s + 0.05, state.x + state.speed * 0.05, state.y, state.heading, state.speed)
        speeds.append(state.speed)
    return state.y, max(speeds) - min(speeds)


def test_pushes_are_seeded_and_move_the_car() -> None:
    names = [f"scene-{k}" for k in range(60)]
    drawn = [Disturbances(0, name, 20.0) for name in names]
    again = [Disturbances(0, name, 20.0) for name in names]
    assert [d.to_json() for d in drawn] == [d.to_json() for d in again]
    assert [d.to_json() for d in drawn] != [Disturbances(1, name, 20.0).to_json() for name in names]
    active = [d for d in drawn if d.active]
    assert 0.5 < len(active) / len(drawn) < 0.9
    assert {event["push"] for d in active for event in d.to_json()} == {"lateral", "heading", "speed"}
    moved = [displaced(d, 10.0) for d in active]
    assert max(abs(y) for y, _ in moved) > 0.2 and max(spread for _, spread in moved) > 1.0
    calm = next(d for d in drawn if not d.active)
    assert calm.to_json() == [] and displaced(calm, 10.0) == (0.0, 0.0)
    assert all(d.at(EgoState(t, 0, 0, 0, speed=1.0)) is None for d in active for t in range(20))


def test_halts_bring_the_car_to_a_stand() -> None:
    with pytest.raises(ConfigError, match="halts are perturbations"):
        RecordSettings(halts=True, perturb=False)
    drawn = [Disturbances(0, f"scene-{k}", 20.0, halts=True) for k in range(40)]
    assert all(d.active for d in drawn)
    assert {event["push"] for d in drawn for event in d.to_json()} == {push.value for push in Push}
    standing = 0
    for disturbances in drawn:
        ego = EgoState(0.0, 0.0, 0.0, 0.0, speed=8.0)
        for _ in range(400):  # somebody who wants to go on, as the expert does
            wish, push = Control(2.0 if ego.speed < 8.0 else 0.0, 0.0), disturbances.at(ego)
            ego = step_bicycle(ego, wish if push is None else pushed(wish, push, ego.speed, 0.05), 0.05)
            assert ego.speed >= 0.0
            standing += ego.speed == 0.0
    assert 0.05 < standing / (40 * 400) < 0.4
    start = EgoState(0.0, 5.0, 7.0, 0.5, speed=8.0)
    assert 5 <= sum(d.start(start).speed == 0.0 for d in drawn) <= 20


def test_the_start_is_displaced_a_little() -> None:
    start = EgoState(0.0, 5.0, 7.0, 0.5, speed=8.0)
    moved = [Disturbances(0, f"scene-{k}", 20.0).start(start) for k in range(40)]
    offsets = [np.hypot(ego.x - start.x, ego.y - start.y) for ego in moved]
    assert 0.2 < max(offsets) <= START_LATERAL_M and min(ego.speed for ego in moved) < 8.0
    standing = EgoState(0.0, 5.0, 7.0, 0.5)
    assert all(Disturbances(0, f"scene-{k}", 20.0).start(standing) == standing for k in range(10))
