"""Averaged weights."""

import pytest
import torch
from torch import nn

from aln_p3_core.training.ema import AveragedTensors, averaged


def test_follows_fast_at_first_and_then_with_the_decay() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = averaged(network, 0.5)
    kept = average.module.weight.item()
    for step in range(30):
        with torch.no_grad():
            network.weight.fill_(float(step))
        average.update_parameters(network)
        if step == 0:
            kept = 0.0  # the first update copies
        else:
            decay = min(0.5, (1 + step) / (10 + step))
            kept = decay * kept + (1 - decay) * step
        assert average.module.weight.item() == pytest.approx(kept, rel=1e-5), step
    assert not average.module.weight.requires_grad and not average.module.training


def test_without_decay_it_is_the_network() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = averaged(network, 0.0)
    with torch.no_grad():
        network[0].weight.normal_()
        network[1].running_mean.fill_(3.0)
    for _ in range(2):
        average.update_parameters(network)
    for name, value in network.state_dict().items():
        assert torch.equal(average.module.state_dict()[name], value), name


def test_single_tensors_are_averaged_like_a_network() -> None:
    network = nn.Linear(2, 2)
    one, two = averaged(network, 0.9), AveragedTensors(dict(network.named_parameters()), 0.9)
    for step in range(6):
        if step == 3:
            kept, two = two, AveragedTensors(dict(network.named_parameters()), 0.9)
            two.load_state_dict(kept.state_dict())
        with torch.no_grad():
            network.weight.normal_()
        one.update_parameters(network)
        two.update(dict(network.named_parameters()))
    assert torch.allclose(one.module.state_dict()["weight"], two.tensors["weight"])
