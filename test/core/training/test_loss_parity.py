"""Losses against golden values of the released code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from aln_p3_core.errors import DataError
from aln_p3_core.training.loss_parity import UNITS_FILE, check_losses


def test_every_term_assignment_cost_and_gradient_agrees(vad_oracle: Path) -> None:
    results = list(check_losses(vad_oracle))
    assert not [result for result in results if not result.ok]
    for case in (f"loss_case{i}" for i in range(4)):
        stored = load_file(vad_oracle / f"{case}.safetensors")
        judged = {name for name in stored if not name.startswith(("preds.", "gt."))}
        assert {result.name for result in results if result.file == case} == judged and len(judged) > 25


def test_the_three_constraints_agree_one_by_one_and_as_a_batch(shared_dir: Path) -> None:
    folder = shared_dir / "oracle" / "vad_units"
    stored = load_file(folder / UNITS_FILE)
    results = list(check_losses(folder))
    assert not [result for result in results if not result.ok]
    assert {result.name for result in results} == {name for name in stored if not name.startswith("in.")}


def test_a_difference_is_found(vad_oracle: Path, tmp_path: Path) -> None:
    for name in ("config.json", "inputs.safetensors"):
        shutil.copyfile(vad_oracle / name, tmp_path / name)
    tensors = load_file(vad_oracle / "loss_case2.safetensors")
    tensors["loss.loss_plan_bound"] *= 1.001
    tensors["grad.ego_fut_preds"][0, 0, 0] += 1e-3
    tensors["assign.agent"][0, 3] += 1
    save_file(tensors, tmp_path / "loss_case0.safetensors")
    failed = {result.name for result in check_losses(tmp_path) if not result.ok}
    assert failed == {"loss.loss_plan_bound", "grad.ego_fut_preds", "assign.agent"}


def test_a_folder_without_losses_has_nothing_to_compare_and_a_broken_file_is_named(tmp_path: Path) -> None:
    assert not list(check_losses(tmp_path))
    (tmp_path / UNITS_FILE).write_bytes(b"broken")
    with pytest.raises(DataError, match=UNITS_FILE):
        list(check_losses(tmp_path))
    save_file({"in.ego": torch.zeros(1, 6, 2)}, tmp_path / UNITS_FILE)
    with pytest.raises(DataError, match="does not hold 'lanes'"):
        list(check_losses(tmp_path))
