"""The light's color, told from the planner's features."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from loss_helpers import CONFIG, make_outputs, make_targets

from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.forward import TrainedModule
from aln_p3_core.training.losses.signal_ahead import SignalAheadHead, signal_ahead_loss
from aln_p3_core.training.settings import LossSettings, StageSettings


def targets(*signals: int) -> list:
    return [replace(make_targets(seed=i), signal=torch.tensor(signal)) for i, signal in enumerate(signals)]


def test_only_known_lights_count() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss, count = signal_ahead_loss(logits, torch.tensor([2, -1, 0, -1]))
    expected = -(logits.log_softmax(-1)[0, 2] + logits.log_softmax(-1)[2, 0])
    torch.testing.assert_close(loss, expected)
    assert int(count) == 2
    loss.backward()
    assert logits.grad is not None and logits.grad[[0, 2]].abs().min() > 0 and not logits.grad[[1, 3]].any()


def test_the_head_learns_the_color() -> None:
    torch.manual_seed(0)
    head = SignalAheadHead(CONFIG)
    features = torch.randn(40, 2 * CONFIG.embed_dims)
    signal = torch.arange(40) % 4
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        signal_ahead_loss(head(features), signal)[0].backward()
        optimizer.step()
    assert (head(features).argmax(-1) == signal).all()


def test_it_is_a_term_of_the_plan_and_teaches_the_planner() -> None:
    torch.manual_seed(0)
    criterion = Criterion(CONFIG, LossSettings(signal_ahead=0.5))
    outputs, wanted = make_outputs(3), targets(1, -1, 3)
    result = criterion(outputs, wanted)
    assert criterion.signal_head is not None
    loss, count = signal_ahead_loss(criterion.signal_head(outputs.ego_features_B2D), torch.tensor([1, -1, 3]))
    assert float(result.terms["signal_ahead"]) == pytest.approx(0.5 * float(loss.detach() / count))
    result.total.backward()
    gradient = outputs.ego_features_B2D.grad
    assert gradient is not None and gradient[[0, 2]].abs().sum() > 0 and not gradient[1].any()
    assert all(parameter.grad is not None for parameter in criterion.signal_head.parameters())
    assert "signal_ahead" not in criterion(make_outputs(3), wanted, plan=False).terms


def test_a_batch_without_any_known_light_costs_nothing_and_still_has_gradients() -> None:
    criterion = Criterion(CONFIG, LossSettings(signal_ahead=0.5))
    result = criterion(make_outputs(2), targets(-1, -1))
    assert float(result.terms["signal_ahead"]) == 0
    result.total.backward()  # with several processes every parameter needs a gradient, be it zero
    assert criterion.signal_head is not None
    assert all(p.grad is not None and not p.grad.any() for p in criterion.signal_head.parameters())


def test_without_it_nothing_changes() -> None:
    criterion = Criterion(CONFIG, LossSettings())
    assert criterion.signal_head is None and not list(criterion.parameters())
    known, unknown = (criterion(make_outputs(2), targets(*signals)) for signals in ((1, 2), (-1, -1)))
    assert "signal_ahead" not in known.terms
    torch.testing.assert_close(known.total, unknown.total, rtol=0, atol=0)


def test_the_head_rests_in_stages_that_do_not_plan() -> None:
    network = DriverNetwork(CONFIG, load_pretrained=False)
    module = TrainedModule(network, Criterion(CONFIG, LossSettings(signal_ahead=0.5, bev_raster=1.0)), "fp32")

    def trained(stage: StageSettings) -> set[str]:
        module.begin_stage(stage)
        return {name.split(".")[1] for name, p in module.criterion.named_parameters("criterion") if p.requires_grad}

    assert trained(StageSettings()) == {"raster_head", "signal_head"}
    assert trained(StageSettings(plan=False)) == {"raster_head"}
    assert trained(StageSettings(perception_weight=0.0)) == {"signal_head"}
    assert not any("signal" in name for name in network.state_dict())
