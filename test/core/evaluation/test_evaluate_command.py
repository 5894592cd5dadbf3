"""`aln-p3 evaluate`, as a user calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.evaluation import recorded_logs
from aln_p3_core.evaluation.report_blocks import Section


def run(*arguments: object) -> Result:
    return CliRunner().invoke(make_cli(CORE_COMMANDS), ["evaluate", *(str(argument) for argument in arguments)])


@pytest.mark.slow
def test_the_report_of_a_driver(two_scenes: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    result = run(
        small_checkpoint, "--data", two_scenes, "--suite", "motion,planning,detection,map", "--per-scene",
        "--report", report, "--precision", "fp32", "--rate", "2", "--rate", "10",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    page, text = (report / "report.html").read_text(), (report / "report.md").read_text()
    found = json.loads((report / "report.json").read_text())
    card = found["card"]
    assert card["small"]["recipe"] == "nano" and card["small"]["training: steps"] == "7"
    assert len(card["small"]["hash"]) == 64 and card["small"]["precision"].startswith("fp32")
    assert (card["scenes"], card["samples"], card["split"]) == (2, 4, "val")
    for name in ("commit", "hardware", "date", "command", "data"):
        assert name in card
    status = "ego status planner"
    for row in (
        f"small: command given, {status}",
        f"small: command none, {status}",
        f"small: command flipped, {status}",
        "small: command given, ego status none",
        f"small: command given, {status}, 10 Hz",
        *("human", "expert", "stand_still", "constant_velocity", "constant_curvature"),
    ):
        assert f"| {row} |" in text and f"<td>{row}</td>" in page
    assert text.index("### Protocol vad and uniad") < text.index("### Protocol p3") < text.index("## Detection")
    assert "| scene-0001 | 2 |" in text and "By scene: L2, m, protocol uniad" in text
    assert "## Vector map\n\nThe data set has no map expansion: nothing was measured." in text
    results = found["results"]
    assert list(results) == ["planning", "detection", "map", "motion"]
    protocols = results["planning"]["protocols"]
    assert list(protocols) == ["planning_vad_v1", "planning_uniad_v1", "planning_p3_v1"]
    assert protocols["planning_uniad_v1"]["expert"]["l2_at_1s"]["mean"] == 0.0, "counts what is not known as perfect"
    for name in ("vad", "p3"):
        figure = protocols[f"planning_{name}_v1"]["expert"]["l2_mean_1s"]
        assert figure == {"mean": None, "low": None, "high": None, "samples": 0}, "no frames to judge by: not measured"
    rows = protocols["planning_uniad_v1"]
    at_2hz, at_10hz = (rows[f"small: command given, {status}{rate}"]["l2_at_1s"]["mean"] for rate in ("", ", 10 Hz"))
    assert at_10hz == pytest.approx(at_2hz, abs=1e-3), "the memory takes the same states at both rates"
    assert results["detection"]["small"]["within 30 m"]["classes"]["car"]["truth"] > 0
    assert set(results["motion"]["small"]) == {"vip3d", "p3"}
    assert page.count("data:image/png") >= 1 and page.count("data:image/jpeg") >= 2, "plots, and cases as pictures"
    assert results["planning"]["obedience"]["small"]["given"] is None, "no map: nothing was measured"
    kept = sorted(path.name for path in (report / "predictions").iterdir() if path.is_dir())
    assert kept == ["small", "small_10_Hz", "small_ego_status_withheld"]


def test_a_planner_alone_needs_no_network(two_scenes: Path, tmp_path: Path) -> None:
    arguments = ("--data", two_scenes, "--suite", "planning,detection", "--report", tmp_path)
    result = run("constant_velocity", *arguments, "--split", "mini")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text()
    assert "<tr class=strong><td>constant_velocity</td>" in page and "nothing to measure here" in page
    assert "<tr class=strong><td>human</td>" not in page
    result = run("ego_status_mlp", *arguments)
    assert result.exit_code != 0 and "has no row of ego_status_mlp" in result.output


def test_mistakes_are_explained(two_scenes: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other, {"format": "somebody's"})
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(small_checkpoint.read_bytes()[:5000])
    data = ("--data", two_scenes, "--report", tmp_path / "report")
    for arguments, message in (
        ((small_checkpoint, *data, "--suite", "planing"), "no suite 'planing'; choose from all, planning"),
        ((small_checkpoint, *data, "--routes", "long"), "no set of routes 'long'; choose one of"),
        ((small_checkpoint, *data, "--drive-rate", "3"), "a planning rate of 3 Hz does not fit"),
        ((small_checkpoint, *data, "--explainer", "nobody"), "no file 'nobody' and no shipped explainer"),
        ((small_checkpoint, *data, "--suite", "map", "--split", "test"), "no scene of split 'test'; it has val, mini"),
        ((small_checkpoint, "--suite", "detection", "--report", tmp_path), "need a data set"),
        ((other, *data), "is no driver checkpoint of this project"),
        ((torn, *data), "damaged or only half written"),
        (("constant_speed", *data), "no planner 'constant_speed'; choices: human, expert"),
        ((small_checkpoint, small_checkpoint, *data), "named twice"),
        ((small_checkpoint, *data, "--suite", "planning", "--jobs", "0"), "x>=1"),
        ((small_checkpoint, *data, "--suite", "planning", "--threads", "0"), "x>=1"),
        ((small_checkpoint, *data[:2], "--report", torn / "report"), "is no folder"),
        ((small_checkpoint, *data, "--device", "cpu"), "--device is of the other suites: leave closed_loop out"),
        ((small_checkpoint, "--data", tmp_path / "nothing", "--report", tmp_path), "is no folder"),
    ):  # fmt: skip
        result = run(*arguments)
        assert result.exit_code != 0 and message in result.output, (message, result.output)
        assert "Traceback" not in result.output
    assert not (tmp_path / "report").exists(), "nothing is written before all is checked"


def test_the_precision_is_that_of_the_closed_loop_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def closed_loop_suite(subjects, settings, report, command):
        given.append(settings.precision)
        return Section("Closed loop"), {}

    monkeypatch.setattr("aln_p3_core.evaluation.closed_loop_suite.closed_loop_suite", closed_loop_suite)
    result = run("stand_still", "--suite", "closed_loop", "--precision", "fp32", "--report", tmp_path)
    assert result.exit_code == 0, result.output
    assert given == ["fp32"]


def test_recorded_drives_have_a_part_of_their_own(
    two_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rendered into the report's folder; what a recording makes of a log is here two scenes, one of them the log's."""
    log = tmp_path / "drive.npz"
    log.touch()
    asked: list[object] = []

    def record(root: Path, logs: Sequence[Path], jobs: int, *, progress: bool) -> tuple[str, ...]:
        asked.extend([root, tuple(logs), jobs])
        shutil.copytree(two_scenes, root)
        return ("scene-0002",)

    monkeypatch.setattr(recorded_logs, "record_logs", record)
    report = tmp_path / "report"
    result = run("constant_velocity", "--suite", "planning", "--log", log, "--jobs", "1", "--report", report)
    assert result.exit_code == 0, result.output
    assert asked == [report / "logs" / "root", (log,), 1]
    text, found = (report / "report.md").read_text(), json.loads((report / "report.json").read_text())["results"]
    assert list(found) == ["recorded_logs"] and "## Recorded logs" in text
    assert "| scene-0002 | 2 |" in text and "scene-0001" not in text
    assert found["recorded_logs"]["protocols"]["planning_uniad_v1"]["constant_velocity"]["l2_at_1s"]["samples"] > 0
