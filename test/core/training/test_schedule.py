"""Optimiser groups and the learning rate."""

import itertools
import math

import pytest
from run_helpers import small_training

from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.forward import TrainedModule
from aln_p3_core.training.schedule import make_optimizer, make_scheduler, rate_share
from aln_p3_core.training.settings import OptimizerSettings, StageSettings


def test_warm_up_then_cosine() -> None:
    settings = OptimizerSettings(warm_up_steps=10, final_rate=0.01)
    shares = [rate_share(step, settings, 100) for step in range(101)]
    assert shares[0] == pytest.approx(1 / 3)
    assert max(shares) == shares[10] > 0.97
    assert shares[55] == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 0.55)), abs=1e-6)
    assert shares[100] == pytest.approx(0.01)
    assert all(a < b for a, b in itertools.pairwise(shares[:11]))
    assert all(a > b for a, b in itertools.pairwise(shares[10:]))


def test_every_trained_parameter_is_in_one_group_with_its_rate_and_decay() -> None:
    driver, config = small_training()
    module = TrainedModule(DriverNetwork(driver), Criterion(driver, config.losses), "fp32")
    stage = StageSettings(steps=10, rate=0.5)
    module.begin_stage(stage)
    optimizer = make_optimizer(module, config.optimizer, stage.rate)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(groups)
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in groups
            continue
        group = groups[id(parameter)]
        of_backbone = name.startswith("network.backbone")
        assert group["lr"] == pytest.approx(5e-4 * 0.5 * (0.2 if of_backbone else 1.0)), name
        assert (group["weight_decay"] > 0) == (parameter.ndim > 1 and name.endswith("weight")), name
    scheduler = make_scheduler(optimizer, config.optimizer, stage)
    assert scheduler.get_last_lr()[0] == pytest.approx(optimizer.param_groups[0]["lr"])
    parts = ("backbone", "neck", "bev_encoder", "agent_decoder", "map_decoder", "motion")
    everything = StageSettings(plan=False, frozen=parts)
    module.begin_stage(everything)
    for parameter in module.criterion.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ConfigError, match="freezes everything"):
        make_optimizer(module, config.optimizer, 1.0)


def test_the_driver_may_learn_more_slowly_than_the_rest() -> None:
    driver, config = small_training()
    module = TrainedModule(DriverNetwork(driver), Criterion(driver, config.losses), "fp32")
    module.begin_stage(StageSettings())
    optimizer = make_optimizer(module, config.optimizer, 1.0, driver_rate=0.1)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    wanted = {"network.backbone": 0.1 * 0.2, "network.planner": 0.1, "criterion": 1.0}
    for part, share in wanted.items():
        own = {rates[id(p)] for name, p in module.named_parameters() if name.startswith(part) and p.requires_grad}
        assert list(own) == [pytest.approx(5e-4 * share)], part
