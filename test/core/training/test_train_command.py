"""The command: listing, checking, refusing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from run_helpers import SMALL, small_training, write_split_scenes

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.commands.train import command
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.training import frame_store
from aln_p3_core.training.training_data import open_data


def test_settings_are_listed_with_what_they_mean() -> None:
    result = CliRunner().invoke(command, ["nano", "--settings", "--set", "optimizer.learning_rate=0.125"])
    assert result.exit_code == 0
    assert "optimizer.learning_rate = 0.125\n    peak, for the global batch." in result.output
    assert "driver.bev.rows = 50" in result.output and "stages.0.frozen = ()" in result.output


def test_dry_run_tells_what_there_is_to_learn_and_writes_nothing(
    make_root: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_split_scenes(make_root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALN_P3_CACHE", str(tmp_path / "cache"))
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(command, ["nano", "--data", str(root), "--dry-run", "--set", "stages.0.steps=20"])
    assert result.exit_code == 0, result.output
    assert "train 16, val 8" in result.output
    assert "20 of 8 clips: 10.0 passes" in result.output
    assert len(before) > 10 and sorted(tmp_path.rglob("*")) == before


def test_frames_are_prepared_before_a_training_that_finds_them(
    make_root: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = write_split_scenes(make_root), tmp_path / "cache"
    settings = [f"--set={name}={json.dumps(value)}" for name, value in SMALL.items() if not isinstance(value, str)]
    words = ["nano", "--data", str(root), "--cache", str(cache), "--jobs", "1", "--quiet", *settings]
    result = CliRunner().invoke(command, [*words, "--prepare"])
    assert result.exit_code == 0 and "24 frames are prepared" in result.output, result.output
    nowhere = CliRunner().invoke(command, [*words, "--prepare", "--set", 'data.splits=["no"]', "--set",
                                           "data.validation_split=no"])  # fmt: skip
    assert isinstance(nowhere.exception, ConfigError) and "no root has a scene" in str(nowhere.exception)
    monkeypatch.setattr(frame_store, "build_shards", None)
    driver, config = small_training()
    network = DriverNetwork(driver)
    data = open_data([root], network, config, cache=cache, jobs=1, progress=False)
    assert len(data.clips) == 16 and data.validation is not None and len(data.validation) == 8


def test_refusals_end_with_a_message(make_root: Callable[..., Path], tmp_path: Path) -> None:
    root, cli = str(make_root()), make_cli(CORE_COMMANDS)
    out = str(tmp_path / "run")
    for arguments, message in (
        ([], "--data ROOT is missing"),
        (["--data", root], "--out RUN is missing"),
        (["--data", root, "--out", out, "--set", "stages.0.step=5"], "did you mean stages.0.steps"),
        (["--data", root, "--out", out, "--set", "run.best_by=loss"], "no measure to minimise"),
        (
            ["--data", root, "--out", out, "--set", "optimizer.learning_rate=-1"],
            "optimizer.learning_rate must be above 0",
        ),
        (["--data", root, "--out", out, "--set", "run.seed=-1"], "run.seed must be 0 or more"),
        (["--data", root, "--out", f"{root}/maps/blank.png/run"], "blank.png is no folder"),
        (["--data", root, "--out", out, "--cache", f"{root}/maps/blank.png/cache"], "blank.png is no folder"),
    ):
        result = CliRunner().invoke(cli, ["train", "nano", *arguments])
        assert result.exit_code in (1, 2) and "Traceback" not in result.output
        assert message in result.output
    assert not (tmp_path / "run").exists()
