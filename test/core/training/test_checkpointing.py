"""Checkpoints of a training: whole or not there, and the newest whole one is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from aln_p3_core.errors import CheckpointError
from aln_p3_core.training import checkpointing
from aln_p3_core.training.checkpointing import FREE_SETTINGS, TrainingState, differences, load_state, save_state
from aln_p3_core.training.recipes import training_recipe
from aln_p3_core.training.settings_tree import flatten


def state(step: int) -> TrainingState:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    values = {"w": torch.full((3,), float(step))}
    return TrainingState(step, {"a": [1, {"b": 2}]}, values, values, optimizer.state_dict(), {}, {"epoch": 1}, {}, 2.5)


def test_round_trip_and_pruning(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_state(tmp_path, state(step), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_00000002", "step_00000003"]
    loaded = load_state(tmp_path, {"a": [1, {"b": 2}]})
    assert loaded is not None
    assert (loaded.step, loaded.sampler, loaded.seconds) == (3, {"epoch": 1}, 2.5)
    assert loaded.weights["w"].tolist() == [3.0] * 3
    assert load_state(tmp_path / "none", {}) is None


@pytest.mark.parametrize("name", ["weights.safetensors", "average.safetensors", "optimizer.pt", "state.json"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, name: str) -> None:
    save_state(tmp_path, state(1), keep=5)
    newest = save_state(tmp_path, state(2), keep=5)
    content = (newest / name).read_bytes()
    (newest / name).write_bytes(content[: len(content) // 2])
    loaded = load_state(tmp_path, {"a": [1, {"b": 2}]})
    assert loaded is not None and loaded.step == 1
    (tmp_path / "step_00000001" / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        load_state(tmp_path, {"a": [1, {"b": 2}]})


def test_other_settings_are_named(tmp_path: Path) -> None:
    save_state(tmp_path, state(1), keep=1)
    with pytest.raises(CheckpointError, match=r"a\.1\.b was 2, now 3"):
        load_state(tmp_path, {"a": [1, {"b": 3}]})
    assert differences({"x": 1}, {"y": 1}) == ["x was 1, now None", "y was None, now 1"]


def test_what_changes_nothing_learnt_may_be_changed(tmp_path: Path) -> None:
    known = {f"training.{name}" for name, _, _ in flatten(training_recipe("nano")[1])}
    assert known >= FREE_SETTINGS
    begun = {"training": {"data": {"workers": 2, "store": "pixels"}, "run": {"threads": 1}}}
    save_state(tmp_path, replace(state(1), settings=begun), keep=1)
    # A setting that has come since, such as the file of the backbone's weights, was not there when it began.
    run = {"threads": 2, "backbone_weights": "resnet50.pth"}
    assert load_state(tmp_path, {"training": {"data": {"workers": 0, "store": "pixels"}, "run": run}})
    with pytest.raises(CheckpointError) as caught:
        load_state(tmp_path, {"training": {"data": {"workers": 0, "store": "features"}, "run": {"threads": 2}}})
    assert "data.store was 'pixels', now 'features'" in str(caught.value) and "workers" not in str(caught.value)


def test_what_a_kill_left_and_what_was_passed_over_goes(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_state(tmp_path, state(step), keep=5)
    (tmp_path / "step_00000003" / "state.json").write_text("")
    (tmp_path / ".step_00000004-killed").mkdir()
    (tmp_path / ".step_00000004-killed" / "weights.safetensors").write_text("half")
    loaded = load_state(tmp_path, {"a": [1, {"b": 2}]})
    assert loaded is not None and loaded.step == 2
    # The next one has a lower number than the damaged one, and is kept.
    save_state(tmp_path, state(2), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000002"]


@pytest.mark.parametrize("writer", ["torch.save", "save_file"])
def test_a_full_disk_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    save_state(tmp_path, state(1), keep=1)

    def full(*args: object, **kwargs: object) -> None:
        if writer == "torch.save":
            raise OSError(28, "No space left on device")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    owner = checkpointing.torch if writer == "torch.save" else checkpointing
    monkeypatch.setattr(owner, writer.removeprefix("torch."), full)
    with pytest.raises(CheckpointError, match="no space left"):
        save_state(tmp_path, state(2), keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001"]
