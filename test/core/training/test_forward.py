"""From clips to losses: what is run how, what is trained, what stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from clip_helpers import random_batch
from run_helpers import SMALL

from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.forward import TrainedModule
from aln_p3_core.training.recipes import training_recipe
from aln_p3_core.training.settings import StageSettings

_DRIVER = {name: value for name, value in SMALL.items() if name.startswith("driver.")}
_DRIVER["driver.backbone.pretrained"] = False
_OF_VAD = _DRIVER | {
    "driver.heads": 4,
    "driver.can_bus_hidden": 8,
    "driver.backbone.base_channels": 4,
    "driver.backbone.stem_channels": 4,
    "driver.planner.bev_grid": 0,
    "driver.planner.bev_read": 0,
    "driver.planner.refinements": 0,
    "driver.bev.layers": 2,
    "driver.agents.layers": 2,
    "driver.map.layers": 2,
}
_SMALL: dict[str, dict[str, Any]] = {"nano": _DRIVER, "tiny": _OF_VAD, "base": _OF_VAD}


def small_module(recipe: str = "nano", precision: str = "fp32", **overrides: Any) -> TrainedModule:
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    driver, config = training_recipe(recipe, _SMALL[recipe] | {"run.precision": precision} | changes)
    torch.manual_seed(0)
    return TrainedModule(DriverNetwork(driver), Criterion(driver, config.losses), config.run.precision)


@pytest.mark.parametrize("recipe", ["nano", "tiny", "base"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_trained_parameter_gets_a_gradient(recipe: str, precision: str) -> None:
    """Else DDP would wait for it, and a weight that autocast cast for the earlier frames would never learn."""
    module = small_module(recipe, precision)
    stage = StageSettings()
    module.begin_stage(stage)
    loss, terms = module(random_batch(module.network.config), stage)
    assert torch.isfinite(loss) and loss.dtype == torch.float32
    assert sum(terms.values()).item() == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    without = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_earlier_frames_only_build_the_memory() -> None:
    module = small_module(driver__dropout=0.1)
    seen: dict[str, list[tuple[bool, bool]]] = {"bev_encoder": [], "agent_decoder": []}
    for name, calls in seen.items():
        getattr(module.network, name).register_forward_pre_hook(
            lambda part, inputs, calls=calls: calls.append((part.training, torch.is_grad_enabled()))
        )
    stage = StageSettings()
    module.begin_stage(stage)
    module(random_batch(module.network.config, frames=3), stage)
    assert seen == {"bev_encoder": [(False, False), (False, False), (True, True)], "agent_decoder": [(True, True)]}


def test_frozen_parts_stay_in_evaluation_mode_and_norms_of_the_backbone_keep_their_statistics() -> None:
    module = small_module(driver__dropout=0.1)
    stage = StageSettings(frozen=("bev_encoder", "neck"))
    before = {name: buffer.clone() for name, buffer in module.network.named_buffers() if "running" in name}
    module.begin_stage(stage)
    for _ in range(2):
        loss, _ = module(random_batch(module.network.config), stage)
        loss.backward()
    assert not any(part.training for part in (*module.network.bev_encoder.modules(), *module.network.neck.modules()))
    assert module.network.agent_decoder.training and module.network.planner.training
    assert before and all(torch.equal(dict(module.network.named_buffers())[name], b) for name, b in before.items())
    assert all(p.grad is None for p in module.network.bev_encoder.parameters())
    module.begin_stage(StageSettings())
    assert module.network.bev_encoder.training
    assert all(p.requires_grad for p in module.network.bev_encoder.parameters())
    assert not any(p.requires_grad for p in module.network.backbone.stem.parameters())


def test_a_stage_of_perception_leaves_the_planner_alone() -> None:
    module = small_module()
    stage = StageSettings(plan=False)
    module.begin_stage(stage)
    loss, terms = module(random_batch(module.network.config), stage)
    loss.backward()
    assert not any(name.startswith("plan") for name in terms)
    assert all(p.grad is None for p in module.network.planner.parameters())


def test_laps_are_told_in_order() -> None:
    module = small_module()
    laps: list[str] = []
    module.lap = laps.append
    module.begin_stage(StageSettings())
    module(random_batch(module.network.config), StageSettings())
    assert laps == ["memory", "forward", "criterion"]
