"""`aln-p3 track`, as a user calls it."""

from __future__ import annotations

from pathlib import Path

import cv2
from command_helpers import run

from aln_p3_core.datasets.nuscenes import NuScenesDataset


def test_a_track_of_the_size_and_length_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "track"
    result = run("track", out, "--seconds", "0.6", "--size", "160x90")
    assert result.exit_code == 0, result.output
    dataset = NuScenesDataset(out)
    dataset.check_files()
    assert len(dataset) == 2 and f"{out}: 2 key frames, " in result.output
    assert cv2.imread(str(next((out / "samples" / "CAM_FRONT").iterdir()))).shape == (90, 160, 3)
    again = run("track", out)
    assert again.exit_code != 0 and "not empty" in again.output and "Traceback" not in again.output


def test_a_size_that_is_none_is_refused(tmp_path: Path) -> None:
    result = run("track", tmp_path / "track", "--size", "large")
    assert result.exit_code != 0 and "Traceback" not in result.output and not (tmp_path / "track").exists()
