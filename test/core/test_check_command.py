"""`aln-p3 check`, as a user calls it."""

from __future__ import annotations

import shutil

import numpy as np
from click.testing import CliRunner

from aln_p3_core.calibration import load_calibration
from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.synthetic import track


def run(*arguments: object):
    return CliRunner().invoke(make_cli(CORE_COMMANDS), ["check", *map(str, arguments)])


def test_a_whole_data_set_and_its_cameras(track_root, tmp_path):
    path = tmp_path / "rig.yaml"
    result = run(track_root, "--calibration", path)
    assert result.exit_code == 0, result.output
    assert "1 scenes, 4 key frames" in result.output and "every file is there" in result.output
    assert "no map of track (1 of 1 scenes" in result.output and "no CAN bus of 1 of 1 scenes" in result.output
    rig = load_calibration(path)
    for name, calibration in track.rig(400, 225).items():
        np.testing.assert_allclose(rig[name].T_ego_cam, calibration.T_ego_cam, atol=1e-9)


def test_a_rig_file_that_cannot_be_written_is_told_at_once(track_root, tmp_path, monkeypatch):
    monkeypatch.setattr("aln_p3_core.datasets.nuscenes.NuScenesDataset", None)
    (tmp_path / "file").write_text("in the way")
    for path, message in (("rig.txt", "ends in .json, .yaml or .yml"), ("file/rig.yaml", "is no folder")):
        result = run(track_root, "--calibration", tmp_path / path)
        assert result.exit_code in (1, 2) and message in result.output


def test_a_missing_file_is_named(track_root, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(track_root, root)
    lost = next((root / "samples" / "CAM_BACK").iterdir())
    lost.unlink()
    result = run(root)
    assert result.exit_code == 1
    assert lost.name in result.output
