"""`aln-p3 plan` and `aln-p3 bench`, as a user calls them."""

from __future__ import annotations

import json

import cv2
import pytest
from command_helpers import run

SMALL = ["--set", "bev.rows=20", "--set", "bev.columns=10", "--set", "agents.queries=30", "--precision", "fp32"]


def test_plan_writes_plan_picture_and_reproducible_hashes(track_root, tmp_path):
    reports = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.json"
        result = run("plan", track_root, *SMALL, "--history", "1", "--command", "left", "--json", path)
        assert result.exit_code == 0, result.output
        reports.append(json.loads(path.read_text()))
    report = reports[0]
    assert report["output_hashes"] == reports[1]["output_hashes"]
    assert report["command"] == {"value": "left", "provenance": "given"}
    assert len(report["plan"]["points_ego"]) == 6
    assert report["plan"]["points_ego"] == report["plan"]["alternatives_ego"]["left"]
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape[1] > 1600 and picture.std() > 20


def test_ground_truth_command_says_where_it_comes_from(track_root, tmp_path):
    path = tmp_path / "plan.json"
    assert run("plan", track_root, *SMALL, "--command", "ground-truth", "--json", path).exit_code == 0
    assert json.loads(path.read_text())["command"]["provenance"] == "ground_truth"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "huge"], "no recipe is named 'huge'"),
        (["--set", "bev.row=3"], "did you mean bev.rows"),
        (["--set", "bev.rows"], "KEY=VALUE"),
        (["--device", "cuda:7"], "cuda:7"),
        (["--sample", "nonsense"], "nonsense"),
        (["--json", "plan.png"], "cannot be plan and picture"),
        (["--json", f"{__file__}/plan.json"], "is no folder"),
        (["--min-score", "nan"], "is no number"),
    ],
)
def test_mistakes_are_explained(track_root, arguments, message):
    result = run("plan", track_root, *arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


def test_bench_reports_every_stage(tmp_path):
    path = tmp_path / "bench.json"
    result = run("bench", *SMALL, "--image-size", "400x225", "--frames", "3", "--warm-up", "1", "--json", path)
    assert result.exit_code == 0, result.output
    figures = json.loads(path.read_text())
    assert set(figures["total_ms"]) == {"p50", "p90", "p99"}
    assert list(figures["stages_ms"])[:2] == ["decode", "resize"]
    stages = sum(row["p50"] for row in figures["stages_ms"].values())
    assert 0 < stages < 2 * figures["total_ms"]["p90"]
    assert figures["precision"] == "fp32" and figures["batch"] == 1 and figures["threads"] >= 1
