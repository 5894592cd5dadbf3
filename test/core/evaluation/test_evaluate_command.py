"""`aln-p3 evaluate`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from aln_p3_core.cli import CORE_COMMANDS, make_cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(make_cli(CORE_COMMANDS), ["evaluate", *(str(argument) for argument in arguments)])


@pytest.mark.slow
def test_the_report_of_a_driver(two_scenes: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    result = run(
        small_checkpoint, "--data", two_scenes, "--suite", "planning", "--per-scene", "--report", report,
        "--precision", "fp32", "--rate", "2", "--rate", "10",
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
    ):
        assert row in text and row in page
    assert "scene-0001" in text and "By scene" in text
    assert page.count("data:image/png") >= 1 and page.count("data:image/jpeg") >= 2, "plots, and cases as pictures"
    assert "obedience" in found["results"]["planning"]
    assert found["results"]["planning"]["obedience"]["small"]["given"] is None, "no map: nothing was measured"
    kept = sorted(path.name for path in (report / "predictions").iterdir())
    assert kept == ["small", "small_10_Hz", "small_ego_status_withheld"]


def test_mistakes_are_explained(two_scenes: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other, {"format": "somebody's"})
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(small_checkpoint.read_bytes()[:5000])
    data = ("--data", two_scenes, "--report", tmp_path / "report")
    for arguments, message in (
        ((small_checkpoint, *data, "--suite", "planing"), "no suite 'planing'; choose from all, planning"),
        ((small_checkpoint, *data, "--split", "test"), "no scene of split 'test'; it has val, mini"),
        ((small_checkpoint, "--suite", "detection", "--report", tmp_path), "need a data set"),
        ((other, *data), "is no driver checkpoint of this project"),
        ((torn, *data), "damaged or only half written"),
        (("constant_speed", *data), "no planner 'constant_speed'; choices: human, expert"),
        ((small_checkpoint, small_checkpoint, *data), "named twice"),
        ((small_checkpoint, *data, "--suite", "planning", "--jobs", "0"), "jobs must be 1 or more"),
        ((small_checkpoint, "--data", tmp_path / "nothing", "--report", tmp_path), "is no folder"),
    ):  # fmt: skip
        result = run(*arguments)
        assert result.exit_code != 0 and message in result.output, (message, result.output)
        assert "Traceback" not in result.output
    assert not (tmp_path / "report").exists(), "nothing is written before all is checked"
