"""The demonstration, from a data set to bag, pictures and table, with all nodes as processes of their own."""

from __future__ import annotations

import subprocess
import sys

import cv2
import pytest

from aln_p3_core.errors import DataError
from aln_p3_ros.bags.reader import bag_summary
from aln_p3_ros.bringup.demo import find_data
from aln_p3_ros.bringup.demo_summary import summarise_run


def test_given_data_must_exist(tmp_path):
    with pytest.raises(DataError, match="DATA="):
        find_data(tmp_path / "nowhere", tmp_path, print)


def test_without_any_data_a_track_is_painted(tmp_path, monkeypatch):
    monkeypatch.setenv("ALN_P3_SHARED", str(tmp_path / "nothing"))
    said: list[str] = []
    root = find_data(None, tmp_path / "out", said.append)
    assert (root / "v1.0-track" / "scene.json").is_file()
    assert "painting" in said[0]


@pytest.mark.slow
def test_demo_leaves_bag_pictures_and_table(track_root, tmp_path, ros_domain):
    out = tmp_path / "demo"
    command = [sys.executable, "-m", "aln_p3_ros", "demo", "--data", str(track_root), "--out", str(out)]
    result = subprocess.run([*command, "--seconds", "6"], capture_output=True, text=True, timeout=400, check=False)
    log = (out / "nodes.log").read_text() if (out / "nodes.log").exists() else ""
    assert result.returncode == 0, result.stdout + result.stderr + log
    assert "untrained heads" in result.stdout
    for name in ("mosaic", "bev"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 10
    topics = {topic for topic, _, _ in bag_summary(out / "bag").counts}
    assert {"/planning/trajectory", "/diagnostics", "/tf_static", "/view/mosaic", "/clock"} <= topics
    summary = summarise_run(out / "bag")
    assert summary.trajectories >= 1
    assert summary.stamps_kept == summary.trajectories
    assert len(summary.images) == 6
    assert {"decode", "backbone", "total"} <= set(summary.stages_ms)
