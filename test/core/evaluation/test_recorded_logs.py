"""Recorded drives as a data set: which scenes are theirs, and what is said where one cannot be recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.recorded_logs import LOG_SPLIT, record_logs
from aln_p3_core.world.recorder import record_log, recording
from aln_p3_core.world.recorder.recording import Recorded
from aln_p3_core.world.recorder.take import SceneTask


def test_scenes_of_the_logs_alone_and_failures_by_name(
    two_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    shutil.copytree(two_scenes, root)
    task = SceneTask(LOG_SPLIT, 0, log=tmp_path / "drive.npz")
    (table,) = root.glob("*/scene.json")
    table.write_text(table.read_text().replace("scene-0002", task.scene_name))
    splits = table.parent / "splits.json"
    splits.write_text(json.dumps({"val": ["scene-0001"], LOG_SPLIT: [task.scene_name]}))
    outcome = Recorded((task.scene_name,), ())
    asked: list[Any] = []

    def record(at: Path, settings: Any, tasks: Any, **options: Any) -> Recorded:
        asked.append((at, settings.driver, settings.perturb, settings.language, tasks(), options))
        return outcome

    monkeypatch.setattr(record_log, "log_tasks", lambda at, split, logs: [task])
    monkeypatch.setattr(recording, "record_root", record)
    assert record_logs(root, [tmp_path / "drive.npz"], 2, progress=False) == (task.scene_name,)
    assert asked == [(root, "human", False, False, [task], {"jobs": 2, "progress": False})]
    outcome = Recorded((), (), {"scene-7000": "Traceback\nDataError: no map"})
    with pytest.raises(DataError, match="1 logs could not be recorded: scene-7000: DataError: no map"):
        record_logs(root, [tmp_path / "drive.npz"])
