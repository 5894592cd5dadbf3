"""One scene on a straight street: sweeps, and what is kept when the drive ends in a collision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from world_helpers import EAST_INNER, actor, stage

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.planners.planner import Planner
from aln_p3_core.world.planners.registry import make_planner
from aln_p3_core.world.recorder.assembly import assemble_root
from aln_p3_core.world.recorder.record import PLAN_S, record_take
from aln_p3_core.world.recorder.scene_writer import SceneInfo
from aln_p3_core.world.recorder.settings import RecordSettings, prepare_root
from aln_p3_core.world.recorder.take import Take
from aln_p3_core.world.render.available import rendering_problem
from aln_p3_core.world.weather import Weather

pytestmark = pytest.mark.skipif(rendering_problem() is not None, reason=str(rendering_problem()))


def recorded_crash(root: Path, teacher: Planner | None) -> tuple[NuScenesDataset, float]:
    """A planner that sees nobody drives into a parked car; the data set, and the time of the contact."""
    settings = prepare_root(root, RecordSettings(language=False, perturb=False, duration_s=10.0))
    place = stage(actor(ActorKind.CAR, 70.0, EAST_INNER, name="parked"), speed=10.0)
    take = Take(SceneInfo(9000, "mini", "crash"), place, Weather())
    record_take(root, settings, take, make_planner("route_blind"), teacher=teacher)
    assert assemble_root(root) == ["scene-9000"]
    drive = json.loads((root / "scenes.json").read_text())["scene-9000"]["facts"]["drive"]
    assert drive["ended"] == "collision" and drive["infractions"][-1]["actor_id"] == "parked"
    return NuScenesDataset(root), drive["infractions"][-1]["time_s"]


def times_of(dataset: NuScenesDataset) -> list[float]:
    """Seconds of the scene's key frames."""
    stamps = [dataset.reference_of(token)[0] * 1e-9 for token in dataset.tokens]
    return [round(stamp - stamps[0], 3) for stamp in stamps]


def test_a_teacher_that_crashes_is_no_example(tmp_path: Path) -> None:
    dataset, crash_s = recorded_crash(tmp_path, None)
    times = times_of(dataset)
    assert crash_s > 4.0
    assert times == [0.5 * k for k in range(len(times))] and times[-1] <= crash_s - PLAN_S < times[-1] + 0.5
    dataset.check_files()
    listed = {row["filename"] for row in dataset.nusc.sample_data}
    there = {str(path.relative_to(tmp_path)) for path in (tmp_path / "samples").rglob("*") if path.is_file()}
    assert listed == there and len(listed) == 7 * len(times)
    assert len(dataset.nusc.ego_pose) == len(listed)


def test_states_before_a_crash_are_labelled(tmp_path: Path) -> None:
    dataset, crash_s = recorded_crash(tmp_path, make_planner("expert"))
    assert crash_s - 0.5 <= times_of(dataset)[-1] < crash_s
    plans = [dataset.stored_plan(token) for token in dataset.tokens]
    assert plans[0] is not None and plans[-3] is not None
    # With the parked car a car's length ahead, the expert would have been far slower than the blind planner.
    assert plans[-3].points_ego[-1, 0] < plans[0].points_ego[-1, 0] - 5.0


def test_sweeps_lie_between_key_frames(tmp_path: Path) -> None:
    settings = prepare_root(tmp_path, RecordSettings(language=False, perturb=False, duration_s=1.0, sweeps=True))
    place = stage(actor(ActorKind.CAR, 40.0, EAST_INNER, name="parked"), speed=5.0)
    record_take(
        tmp_path, settings, Take(SceneInfo(9000, "mini", "sweeps"), place, Weather()), make_planner("route_blind")
    )
    assemble_root(tmp_path)
    nusc = NuScenesDataset(tmp_path).nusc
    for channel in ("CAM_FRONT", "LIDAR_TOP"):
        rows = [row for row in nusc.sample_data if row["channel"] == channel]
        assert [row["is_key_frame"] for row in rows] == [True, *[False] * 4, True, *[False] * 4]
        assert all((tmp_path / row["filename"]).is_file() for row in rows)
        token, stamps = rows[0]["token"], []
        while token:
            row = nusc.get("sample_data", token)
            stamps.append(row["timestamp"])
            token = row["next"]
        # The first exposure of a camera cannot be before time 0.
        assert np.diff(stamps[1:]).tolist() == [100_000] * 8 and stamps[1] > stamps[0]
