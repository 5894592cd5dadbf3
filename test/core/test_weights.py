"""The driver that ships: its name, its file, and that it drives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from command_helpers import run
from safetensors import safe_open

from aln_p3_core import weights
from aln_p3_core.commands.options import checkpoint_file, make_driver
from aln_p3_core.commands.train import command as train
from aln_p3_core.driver import Driver
from aln_p3_core.driver.checkpoint import checkpoint_hash, load_checkpoint
from aln_p3_core.errors import CheckpointError
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_core.weights import SHIPPED, resolve_checkpoint, shipped_checkpoint

#: What the driver that nobody chose is: no recipe, no checkpoint, no override.
NOTHING_SAID = {"recipe": None, "checkpoint": None, "overrides": (), "compile_mode": "off", "seed": 0}


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver.from_checkpoint("nano", device="cpu", precision="fp32")


def test_a_name_is_a_file_and_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nano").touch()
    assert resolve_checkpoint("nano") == shipped_checkpoint() == Path(weights.__file__).parent / "nano.safetensors"
    for path in ("./nano", "nano.safetensors", "run/driver.safetensors"):
        assert resolve_checkpoint(path) == Path(path)
    assert resolve_checkpoint(Path("nano")) == Path("nano")


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"'tiny' ships.*nano"):
        shipped_checkpoint("tiny")
    (tmp_path / "other.safetensors").touch()
    monkeypatch.setattr(weights.resources, "files", lambda package: tmp_path)
    with pytest.raises(CheckpointError, match=r"(?s)not installed.*other\.safetensors.*Install the package again"):
        resolve_checkpoint("nano")
    assert resolve_checkpoint("gone.safetensors") == Path("gone.safetensors")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_file_is_small_half_precision_and_has_its_card(name: str) -> None:
    path = shipped_checkpoint(name)
    assert path.stat().st_size <= 30_000_000
    assert path.with_suffix(".md").read_text().startswith(f"# {name}")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        stored = {entry: file.get_tensor(entry) for entry in file.keys()}  # noqa: SIM118 (not a dict)
    assert checkpoint_hash(stored) == metadata["sha256"]
    assert name in metadata["description"] and "untrained" not in metadata["description"]
    halves = sum(tensor.numel() for tensor in stored.values() if tensor.dtype == torch.float16)
    assert halves > 0.9 * sum(tensor.numel() for tensor in stored.values())
    config, state, _ = load_checkpoint(name, expected_recipe=name)
    assert config.name == name and not [entry for entry, tensor in state.items() if tensor.dtype == torch.float16]


def test_it_drives(driver: Driver) -> None:
    with safe_open(shipped_checkpoint(), "pt") as file:
        assert driver.checkpoint_hash == file.metadata()["sha256"]
    scenes = [driver.plan(frame) for frame in track_frames(2, rate_hz=2.0, size=(400, 225))]
    points = [scene.plan.points_model for scene in scenes]
    assert all(np.isfinite(each).all() and each.shape == (6, 2) for each in points)
    assert math.hypot(*points[1][-1]) < 60.0, "3 s at 72 km/h"


@pytest.mark.slow
def test_commands_run_it_when_nothing_is_said(driver: Driver, track_root: Path, tmp_path: Path) -> None:
    chosen = make_driver(**NOTHING_SAID, device="cpu", precision="fp32")
    assert chosen.checkpoint_hash == driver.checkpoint_hash
    of_recipe = make_driver(**{**NOTHING_SAID, "recipe": "nano"}, device="cpu", precision="fp32")
    assert "untrained heads" in of_recipe.description
    result = run("plan", track_root, "--checkpoint", "nano", "--device", "cpu", "--precision", "fp32")
    assert result.exit_code == 0, result.output
    assert driver.description in result.output and "untrained" not in result.output


@pytest.mark.slow
def test_bench_takes_the_name() -> None:
    result = run("bench", "--checkpoint", "nano", "--image-size", "400x225", "--frames", "2", "--warm-up", "1")
    assert result.exit_code == 0, result.output
    assert "weights: nano" in result.output and "untrained" not in result.output


def test_training_takes_the_name() -> None:
    (init,) = (parameter for parameter in train.params if parameter.name == "init")
    assert init.callback is checkpoint_file
    context = train.make_context("train", ["nano_planner", "--init", "nano", "--settings"])
    assert context.params["init"] == shipped_checkpoint()
    refused = run("train", "nano", "--init", "nobody", "--settings")
    assert refused.exit_code == 2 and "no shipped driver of that name" in refused.output
