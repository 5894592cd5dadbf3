"""A recorded root: whole, the same bytes after a kill, read by the devkit and by our own data set class."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from nuscenes.can_bus.can_bus_api import NuScenesCanBus
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.detection.data_classes import DetectionMetrics
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.splits import get_scenes_of_split
from recording_helpers import RECORDED, RECORDED_TASKS

from aln_p3_core.commands.check import command as check_command
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.stored_signals import NO_SIGNAL
from aln_p3_core.datasets.world_map import WorldMap
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.frame import NUSCENES_CAMERAS, CommandProvenance
from aln_p3_core.world.recorder.assembly import assemble_root
from aln_p3_core.world.recorder.recording import record_root
from aln_p3_core.world.recorder.tables import VERSION
from aln_p3_core.world.recorder.take import SceneTask

#: Records the second scene and is killed in the middle of it.
KILLED = """
import os, signal, sys
from pathlib import Path
from aln_p3_core.world.recorder.record import record_scene
from aln_p3_core.world.recorder.recording import record_root
from aln_p3_core.world.recorder.settings import RecordSettings
from aln_p3_core.world.recorder.take import SceneTask

def work(root, settings, task, on_progress):
    left = [2]
    def dying():
        on_progress()
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    record_scene(root, settings, task, dying)

record_root(Path(sys.argv[1]), RecordSettings(duration_s=2.0), [SceneTask("mini", 1)], work=work)
"""


def contents(root: Path) -> dict[str, str]:
    """Hash of every file of a folder by its name."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def nusc(recorded_root: Path) -> NuScenes:
    return NuScenes(VERSION, str(recorded_root), verbose=False)


@pytest.mark.slow
def test_a_killed_recording_ends_with_the_same_bytes(recorded_root: Path, tmp_path: Path) -> None:
    root, part = tmp_path / "root", Path(".parts") / "scene-9001.json"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(root)], capture_output=True, text=True, timeout=300)
    assert killed.returncode == -9, killed.stderr
    assert not (root / part).exists() and not (root / VERSION).exists()
    # What another process wrote, without the first scene before it, is what the fixture holds.
    whole, half = contents(recorded_root), contents(root)
    assert len(list((root / "samples" / "CAM_FRONT").iterdir())) == 2
    assert {name: whole[name] for name in half if name != ".parts/.lock"}.items() <= half.items()
    (root / "can_bus").mkdir(exist_ok=True)
    (root / "can_bus" / ".half-written.json.1.part").write_text("{")
    recorded = record_root(root, RECORDED, RECORDED_TASKS[1:])
    assert recorded.new == ("scene-9001",) and recorded.key_frames == 4
    # With the part of the first scene, the root is the fixture's but for that scene's own pictures and messages.
    shutil.copy(recorded_root / ".parts" / "scene-9000.json", root / ".parts")
    assert assemble_root(root) == ["scene-9000", "scene-9001"]
    expected = {name: value for name, value in whole.items() if "scene-9000" not in name or name.startswith(".parts")}
    assert contents(root) == expected


def test_nothing_is_recorded_twice_and_tables_come_out_the_same(recorded_root: Path) -> None:
    before = contents(recorded_root)
    recorded = record_root(recorded_root, RECORDED, RECORDED_TASKS[:1])
    assert recorded.new == () and recorded.scenes == ("scene-9000", "scene-9001")
    assert contents(recorded_root) == before


def test_settings_are_not_mixed(recorded_root: Path, tmp_path: Path) -> None:
    other = replace(RECORDED, size=(800, 450), sweeps=True)
    with pytest.raises(ConfigError, match=r"size is 400x225, not 800x450; sweeps is false, not true"):
        record_root(recorded_root, other, RECORDED_TASKS)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        record_root(tmp_path, RECORDED, RECORDED_TASKS)


def test_a_broken_part_is_named(recorded_root: Path, tmp_path: Path) -> None:
    shutil.copytree(recorded_root / ".parts", tmp_path / ".parts")
    shutil.copy(recorded_root / "rig.json", tmp_path)
    (tmp_path / ".parts" / "scene-9001.json").write_text('{"scene": "sc')
    with pytest.raises(DataError, match=r"scene-9001\.json is no complete JSON"):
        assemble_root(tmp_path)


def test_one_failing_scene_does_not_lose_the_others(tmp_path: Path) -> None:
    def work(root: Path, settings: Any, task: SceneTask, on_progress: Any) -> None:
        raise ConfigError(f"no place for {task.scene_name}")

    recorded = record_root(tmp_path / "root", RECORDED, RECORDED_TASKS, work=work)
    assert recorded.failed == {name: f"no place for {name}" for name in ("scene-9000", "scene-9001")}
    assert recorded.scenes == recorded.new == ()


def test_the_devkit_loads_it(nusc: NuScenes, recorded_root: Path) -> None:
    assert [scene["name"] for scene in nusc.scene] == ["scene-9000", "scene-9001"]
    assert get_scenes_of_split("mini", nusc) == get_scenes_of_split("world_mini", nusc) == ["scene-9000", "scene-9001"]
    for scene in nusc.scene:
        assert scene["nbr_samples"] == 4
        token, stamps = scene["first_sample_token"], []
        while token:
            sample = nusc.get("sample", token)
            assert set(sample["data"]) == {*NUSCENES_CAMERAS, "LIDAR_TOP"} and sample["anns"]
            stamps.append(sample["timestamp"])
            token = sample["next"]
        assert np.diff(stamps).tolist() == [500_000] * 3
        can = NuScenesCanBus(str(recorded_root)).get_messages(scene["name"], "pose")
        assert can[0]["utime"] == stamps[0] and can[-1]["utime"] == stamps[0] + 2_000_000
    for sample in nusc.sample:
        pointcloud, boxes, _ = nusc.get_sample_data(sample["data"]["LIDAR_TOP"])
        assert Path(pointcloud).stat().st_size > 20 * 1000 and boxes


def test_the_devkit_draws_it(nusc: NuScenes, recorded_root: Path, tmp_path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    location = nusc.get("log", nusc.scene[0]["log_token"])["location"]
    nusc.render_sample_data(nusc.sample[0]["data"]["CAM_FRONT"], out_path=str(tmp_path / "front.png"), verbose=False)
    nusc.render_sample_data(nusc.sample[0]["data"]["LIDAR_TOP"], out_path=str(tmp_path / "top.png"), verbose=False)
    assert (tmp_path / "front.png").stat().st_size > 10_000 and (tmp_path / "top.png").stat().st_size > 10_000
    street = WorldMap(recorded_root, location)
    for sample in nusc.sample:
        pose = nusc.get("ego_pose", nusc.get("sample_data", sample["data"]["LIDAR_TOP"])["ego_pose_token"])
        x, y, _ = pose["translation"]
        assert street.record_on_point(x, y, "drivable_area")
        mask = nusc.map[0]["mask"]
        assert mask.is_on_mask(x, y)


def test_a_perfect_detector_scores_one(nusc: NuScenes, tmp_path: Path) -> None:
    results = perfect_detections(nusc)
    metrics = detection_metrics(nusc, results, tmp_path)
    assert metrics.mean_ap == pytest.approx(1.0) and metrics.nd_score == pytest.approx(1.0)
    # The measure can fail: boxes that are moved lose.
    for boxes in results.values():
        for box in boxes:
            box["translation"] = [box["translation"][0] + 1.0, *box["translation"][1:]]
    assert detection_metrics(nusc, results, tmp_path).nd_score < 0.8


def detection_metrics(nusc: NuScenes, results: Mapping[str, Any], folder: Path) -> DetectionMetrics:
    """The devkit's figures over the classes that are there: it gives 0 to one that is nowhere within its range."""
    file = folder / "results.json"
    file.write_text(json.dumps({"meta": {"use_camera": True}, "results": results}))
    config = config_factory("detection_cvpr_2019")
    evaluation = DetectionEval(nusc, config, str(file), "world_mini", str(folder), verbose=False)
    present = {box.detection_name for boxes in evaluation.gt_boxes.boxes.values() for box in boxes}
    assert "car" in present and len(present) > 1
    config.class_names = sorted(present)
    return evaluation.evaluate()[0]


def perfect_detections(nusc: NuScenes) -> dict[str, list[dict[str, Any]]]:
    """Every box that the evaluation asks for: those with LiDAR points."""
    attributes: Mapping[str, str] = {row["token"]: row["name"] for row in nusc.attribute}
    results: dict[str, list[dict[str, Any]]] = {sample["token"]: [] for sample in nusc.sample}
    for row in nusc.sample_annotation:
        name = category_to_detection_name(row["category_name"])
        if name is None or not row["num_lidar_pts"]:
            continue
        results[row["sample_token"]].append(
            {key: row[key] for key in ("sample_token", "translation", "size", "rotation")}
            | {
                "velocity": np.nan_to_num(nusc.box_velocity(row["token"])[:2]).tolist(),
                "detection_name": name,
                "detection_score": 1.0,
                "attribute_name": attributes[row["attribute_tokens"][0]] if row["attribute_tokens"] else "",
            }
        )
    return results


def test_our_data_set_class_reads_plans_and_commands(recorded_root: Path) -> None:
    dataset = NuScenesDataset(recorded_root)
    assert len(dataset) == 8 and dataset.scenes == ("scene-9000", "scene-9001")
    commands = json.loads((recorded_root / "route_command.json").read_text())
    for token in dataset.tokens:
        frame, targets = dataset.frame(token), dataset.targets(token)
        assert tuple(frame.views) == NUSCENES_CAMERAS and frame.ego_status is not None
        assert frame.ego_status.source == "can_bus"
        assert frame.command.provenance is CommandProvenance.GIVEN
        assert frame.command.command.name.lower() == commands[token]
        assert targets.ego_future_mask.all()  # three seconds, to the last key frame
        plan = dataset.stored_plan(token)
        assert plan is not None and plan.source == "expert" and plan.decision is not None
    # The expert does what it plans: half a second later the car is where it wanted to be.
    first, second = dataset.tokens[1:3]
    moved = np.linalg.inv(dataset.reference_of(first)[1]) @ dataset.reference_of(second)[1][:, 3]
    plan = dataset.stored_plan(first)
    assert plan is not None
    planned = [np.interp(0.5, plan.times_s, plan.points_ego[:, axis]) for axis in (0, 1)]
    assert np.linalg.norm(moved[:2] - planned) < 0.6


def test_every_key_frame_tells_its_light(recorded_root: Path) -> None:
    dataset = NuScenesDataset(recorded_root)
    rows = json.loads((recorded_root / "signal_ahead.json").read_text())
    assert list(rows) == list(json.loads((recorded_root / "route_command.json").read_text()))
    for token in dataset.tokens:
        signal = dataset.signal_ahead(token)
        assert signal is not None
        assert (signal == NO_SIGNAL) is (rows[token] is None) and (signal == NO_SIGNAL or signal.distance_m <= 60)


def test_check_finds_everything(recorded_root: Path) -> None:
    result = CliRunner().invoke(check_command, [str(recorded_root)])
    assert result.exit_code == 0 and "8 key frames" in result.output and "every file is there" in result.output


def test_language_files_speak_of_the_samples_and_boxes(recorded_root: Path, nusc: NuScenes) -> None:
    folder = recorded_root / "language"
    samples = {row["token"] for row in nusc.sample}
    narrated = json.loads((folder / "Nu_X_mini.json").read_text())
    assert set(narrated) == samples and all(set(row) == {"narration", "reasoning"} for row in narrated.values())
    captions = json.loads((folder / "final_caption_bbox_token.json").read_text())
    assert captions and set(captions) <= {row["token"] for row in nusc.sample_annotation}
    questions = json.loads((folder / "NuScenes_mini_questions.json").read_text())["questions"]
    assert questions and {row["sample_token"] for row in questions} <= samples
