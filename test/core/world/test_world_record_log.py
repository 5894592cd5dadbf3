"""Recorded logs as data sets (the human is the target), and states of other planners labelled by the expert."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from run_complete import shared_data

from aln_p3_core.commands.world_drive import command as drive_command
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.world.recorder.record_log import log_tasks
from aln_p3_core.world.recorder.recording import record_root
from aln_p3_core.world.recorder.relabel import _named
from aln_p3_core.world.recorder.settings import RecordSettings, prepare_root
from aln_p3_core.world.recorder.take import SceneTask
from aln_p3_core.world.render.available import rendering_problem
from aln_p3_core.world.traffic.recorded_log import RecordedLog

needs_cameras = pytest.mark.skipif(rendering_problem() is not None, reason=str(rendering_problem()))


@needs_cameras
def test_a_log_is_recorded_with_what_the_human_did(shared_dir: Path, tmp_path: Path) -> None:
    file = shared_data(shared_dir / "data" / "mini_logs" / "scene-0553.npz")
    log = RecordedLog.load(file)
    settings = RecordSettings(driver="human", perturb=False, duration_s=2.0)
    recorded = record_root(tmp_path, settings, lambda: log_tasks(tmp_path, "val", [file]))
    assert not recorded.failed and recorded.scenes == ("scene-7000",)
    dataset = NuScenesDataset(tmp_path)
    assert len(dataset) == 4 and dataset.location_of("scene-7000") == log.name
    for index, token in enumerate(dataset.tokens):
        plan = dataset.stored_plan(token)
        assert plan is not None and plan.source == "human" and plan.decision is not None
        now, later = log.ego_at(0.5 * index), log.ego_at(0.5 * index + 3.0)
        assert plan.times_s[-1] == 3.0
        reached = now.T_world_ego[:2, :2] @ plan.points_ego[-1] + [now.x, now.y]
        assert np.linalg.norm(reached - [later.x, later.y]) < 1e-3
        assert np.allclose(dataset.reference_of(token)[1], now.T_world_ego, atol=1e-9)
        assert dataset.targets(token).ego_future_mask.all()
    # The log's people and cars at time 0 are labelled where they were.
    boxes = [row for row in dataset.nusc.sample_annotation if row["sample_token"] == dataset.tokens[0]]
    places = log.positions[1:][log.valid[1:, 0], 0]
    nearest = [np.linalg.norm(places[:, :2] - row["translation"][:2], axis=1).min() for row in boxes]
    assert len(boxes) > 5 and max(nearest) < 0.5


def test_logs_keep_their_numbers(shared_dir: Path, tmp_path: Path) -> None:
    files = sorted(shared_data(shared_dir / "data" / "mini_logs").glob("*.npz"))[:3]
    prepare_root(tmp_path, RecordSettings(driver="human", perturb=False))
    assert [task.index for task in log_tasks(tmp_path, "val", files)] == [0, 1, 2]
    second = RecordedLog.load(files[1]).name
    part = {key: {} for key in ("tables", "expert_plan", "route_command", "language")}
    part |= {"scene": "scene-7001", "split": "val", "info": {"facts": {"log": second}}}
    (tmp_path / ".parts" / "scene-7001.json").write_text(json.dumps(part))
    assert [task.index for task in log_tasks(tmp_path, "val", [files[2], files[1], files[0]])] == [0, 1, 2]


@needs_cameras
def test_states_of_another_planner_are_labelled_by_the_expert(tmp_path: Path) -> None:
    episode = ["--scenario", "free_driving", "--city", "poplar-green", "--seed", "3", "--split", "mini"]
    options = ["--planner", "stand_still", "--time-limit", "3", "--relabel", "expert", "--out", str(tmp_path)]
    result = CliRunner().invoke(drive_command, [*episode, *options])
    assert result.exit_code == 0 and "1 scene, 6 key frames" in result.output, result.output
    assert json.loads((tmp_path / "recording.json").read_text())["driver"] == "stand_still"
    dataset = NuScenesDataset(tmp_path)
    poses = np.stack([dataset.reference_of(token)[1][:2, 3] for token in dataset.tokens])
    driven = np.linalg.norm(poses[-1] - poses[-2])
    plan = dataset.stored_plan(dataset.tokens[-1])
    assert plan is not None and plan.source == "expert"
    assert driven < 0.1 < 2.0 < plan.points_ego[-1, 0]  # it stands; the expert would have gone on
    assert all(dataset.signal_ahead(token) is not None for token in dataset.tokens)


def test_scene_numbers_are_apart_by_split() -> None:
    names = [SceneTask(split, 3).scene_name for split in ("train", "val", "heldout", "mini")]
    assert names == ["scene-2003", "scene-7003", "scene-8003", "scene-9003"]


def test_settings_say_who_drives_and_in_which_precision() -> None:
    assert replace(RecordSettings(), driver="human").to_json()["driver"] == "human"
    assert _named("untrained:nano", "auto") == "untrained:nano" and _named("untrained:nano", "bf16") != "untrained:nano"


def test_relabelling_needs_a_place_and_one_planner(tmp_path: Path) -> None:
    for options in (["--planner", "expert"], ["--planner", "expert", "--planner", "stand_still", "--out", "x"]):
        result = CliRunner().invoke(drive_command, [*options, "--relabel", "expert"])
        assert result.exit_code == 2 and "records one planner" in result.output
    result = CliRunner().invoke(drive_command, ["--planner", "expert"])
    assert result.exit_code == 2 and "--report DIR" in result.output
