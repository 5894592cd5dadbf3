"""Checkpoints of a training: whole or not there, and the newest whole one is found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aln_p3_core.errors import CheckpointError
from aln_p3_core.training import checkpointing
from aln_p3_core.training.checkpointing import TrainingState, differences, load_state, save_state


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


def test_a_full_disk_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, state(1), keep=1)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointing.torch, "save", full)
    with pytest.raises(CheckpointError, match="no space left"):
        save_state(tmp_path, state(2), keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001"]
