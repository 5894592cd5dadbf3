"""Measures of a validation: right for known predictions, and the same for any number of processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from loss_helpers import perfect_outputs
from run_helpers import small_training, write_split_scenes

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training import validation
from aln_p3_core.training.batch import TrainingBatch
from aln_p3_core.training.training_data import TrainingData, open_data
from aln_p3_core.training.validation import validate

CPU = torch.device("cpu")


@pytest.fixture
def case(make_root: Callable[..., Path], tmp_path: Path) -> tuple[DriverNetwork, TrainingData]:
    """An untrained network and a validation split of 18 frames: five batches."""
    root = write_split_scenes(make_root, train=1, val=2, samples=9)
    driver, config = small_training(data__validation_samples=0)
    torch.manual_seed(0)
    network = DriverNetwork(driver)
    return network.eval(), open_data([root], network, config, cache=tmp_path / "cache", jobs=1, progress=False)


def test_any_number_of_processes_gives_the_same_numbers(case: tuple[DriverNetwork, TrainingData]) -> None:
    network, data = case
    assert data.validation is not None and len(data.chosen) == 18

    def loss(outputs: DriverOutputs, targets: Any) -> dict[str, float]:
        return {"loss": outputs.plan_offsets_B3T2.double().sum().item()}

    one = validate(network, data.validation, data.chosen, loss=loss, device=CPU)
    assert {"plan_l2", "plan_l2_withheld", "plan_l2_3s", "car_ap_2m", "line_ap_1.5m", "score", "loss"} <= set(one)
    for processes in (2, 3):
        kept: list[Any] = []

        def keep(rows: list[Any], kept: list[Any] = kept) -> list[Any]:
            kept.extend(rows)
            return kept

        for rank in reversed(range(processes)):
            many = validate(
                network, data.validation, data.chosen, loss=loss, device=CPU, process=(rank, processes), gather=keep
            )
        assert json.dumps(many) == json.dumps(one), processes


def test_known_predictions(case: tuple[DriverNetwork, TrainingData], monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = case
    assert data.validation is not None
    beside = torch.zeros(6, 2)
    beside[0, 0], beside[3, 1] = 0.5, 1.2  # 0.5 m to the side from the start, then 1.2 m ahead from 2 s on

    def predicted(network: DriverNetwork, batch: TrainingBatch, precision: str) -> DriverOutputs:
        outputs = perfect_outputs(batch.targets, roomy(network.config))
        outputs = DriverOutputs(**{field.name: getattr(outputs, field.name).detach() for field in fields(outputs)})
        told = bool(batch.clip[-1].ego_status_B8.any())
        outputs.plan_offsets_B3T2 += beside if told else 2 * beside
        return outputs

    monkeypatch.setattr(validation, "predict", predicted)
    measures = validate(network, data.validation, data.chosen, device=CPU)
    assert measures["plan_l2_1s"] == pytest.approx(0.5, abs=1e-5)
    assert measures["plan_l2_2s"] == measures["plan_l2_3s"] == pytest.approx(1.3, abs=1e-5)
    assert measures["plan_l2"] == pytest.approx((0.5 + 1.3 + 1.3) / 3, abs=1e-5)
    assert measures["plan_l2_withheld"] == pytest.approx(2 * measures["plan_l2"], abs=1e-5)
    assert measures["score"] == pytest.approx(1.5 * measures["plan_l2"], abs=1e-5)
    assert measures["car_ap_2m"] == 1.0


def roomy(config: DriverConfig) -> DriverConfig:
    """As many queries as there may be targets."""
    return replace(config, agents=replace(config.agents, queries=30), map=replace(config.map, instances=40))
