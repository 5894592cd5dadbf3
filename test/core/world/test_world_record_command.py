"""`aln-p3 world record`, as a user calls it: what it asks the recorder for, and what it says of the outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_helpers import run
from test_world_log_traffic import write_log

from aln_p3_core.calibration import save_calibration
from aln_p3_core.world.recorder import recording
from aln_p3_core.world.recorder.recording import Recorded
from aln_p3_core.world.recorder.settings import RecordSettings
from aln_p3_core.world.recorder.take import SceneTask
from aln_p3_core.world.rig import world_rig


class Recorder:
    """In place of the real one: keeps what it was asked for, and answers with `outcome`."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.outcome = Recorded(("scene-0001",), ("scene-0001",), {}, 40, 20.0)

    def __call__(self, root: Path, settings: RecordSettings, tasks: Any, **options: Any) -> Recorded:
        self.asked = {"root": root, "settings": settings, "tasks": tasks() if callable(tasks) else tasks, **options}
        return self.outcome


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(recording, "record_root", made)
    return made


def test_the_defaults_are_the_recorders_own(recorder: Recorder, tmp_path: Path) -> None:
    result = run("world", "record", "--out", tmp_path / "world")
    assert result.exit_code == 0, result.output
    assert recorder.asked["root"] == tmp_path / "world" and recorder.asked["settings"] == RecordSettings()
    assert recorder.asked["tasks"] == [SceneTask("train", index) for index in range(4)]
    assert recorder.asked["rig"] is None and 1 <= recorder.asked["jobs"] <= 8
    assert "1 scene, 40 key frames in 20.0 s (2.0 key frames a second); 1 scene in all" in result.output


def test_every_option_arrives(recorder: Recorder, tmp_path: Path) -> None:
    options = "--scenes 2 --split val --seed 3 --size 800x450 --jobs 5 --condition rain --sweeps --no-language"
    options += " --wording train --halts --antialias --seconds 8 --quality 70"
    result = run("world", "record", "--out", tmp_path / "world", *options.split())
    assert result.exit_code == 0, result.output
    assert recorder.asked["settings"] == RecordSettings(
        driver="expert", seed=3, size=(800, 450), duration_s=8.0, condition="rain", halts=True, sweeps=True,
        language=False, wording="train", quality=70, antialias=True,
    )  # fmt: skip
    assert recorder.asked["tasks"] == [SceneTask("val", 0), SceneTask("val", 1)] and recorder.asked["jobs"] == 5
    assert run("world", "record", "--out", tmp_path / "world", "--no-perturb").exit_code == 0
    assert recorder.asked["settings"] == RecordSettings(perturb=False)


def test_recorded_drives_are_driven_by_their_human(recorder: Recorder, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.npz")
    result = run("world", "record", "--out", tmp_path / "world", "--log", log, "--split", "mini")
    assert result.exit_code == 0, result.output
    assert recorder.asked["settings"] == RecordSettings(driver="human", perturb=False)
    assert recorder.asked["tasks"] == [SceneTask("mini", 0, log=log)]


def test_a_log_that_is_none_is_told_before_the_root_is_made(tmp_path: Path) -> None:
    good = write_log(tmp_path / "good.npz")
    bad = write_log(tmp_path / "bad.npz", t=np.array([f"{k} s" for k in range(101)]))
    (tmp_path / "twin.npz").write_bytes(good.read_bytes())
    for other, words in (("bad", "t must hold numbers"), ("twin", "both hold the drive 'scene-test'")):
        result = run("world", "record", "--out", tmp_path / "world", "--log", good, "--log", tmp_path / f"{other}.npz")
        assert result.exit_code == 1 and words in result.output
        assert not (tmp_path / "world").exists()
    assert bad.is_file()


def test_cameras_of_ones_own_are_scaled(recorder: Recorder, tmp_path: Path) -> None:
    save_calibration(tmp_path / "rig.yaml", world_rig(1600, 900))
    rig = ("--calibration", tmp_path / "rig.yaml")
    for options, width in (((), 1600), (("--size", "800x450"), 800)):
        result = run("world", "record", "--out", tmp_path / "world", *rig, *options)
        assert result.exit_code == 0, result.output
        assert recorder.asked["rig"]["CAM_BACK"].width == width
        assert recorder.asked["settings"].size == RecordSettings().size, "the rig's own counts"


def test_what_came_of_it_is_said(recorder: Recorder, tmp_path: Path) -> None:
    recorder.outcome = Recorded(("a", "b"), ())
    assert "nothing was missing; 2 scenes in all" in run("world", "record", "--out", tmp_path).output
    recorder.outcome = Recorded(("a",), ("a",), {"b": "no way out\n"}, 40, 20.0)
    failed = run("world", "record", "--out", tmp_path)
    assert failed.exit_code == 1 and "b:\nno way out" in failed.output
    assert "1 scene failed, see above; the same command tries again" in failed.output


def test_what_is_no_setting_is_refused(recorder: Recorder, tmp_path: Path) -> None:
    for options in (
        ("--size", "large"),
        ("--scenes", "0"),
        ("--condition", "snow"),
        ("--quality", "0"),
        ("--seconds", "nan"),
    ):
        result = run("world", "record", "--out", tmp_path / "world", *options)
        assert result.exit_code != 0 and "Traceback" not in result.output, options
    assert recorder.asked == {} and not (tmp_path / "world").exists()
