"""Whom a loss teaches: what enters a module, the module, both or neither."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from aln_p3_core.alignment.gradient_routes import routed


@pytest.mark.parametrize("to_inputs", [True, False])
@pytest.mark.parametrize("to_module", [True, False])
def test_gradients_go_where_they_are_sent(to_inputs: bool, to_module: bool) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    given = torch.randn(5, 3, requires_grad=True)
    found = routed(module, given, to_inputs=to_inputs, to_module=to_module)
    torch.testing.assert_close(found, module(given))
    assert found.requires_grad == (to_inputs or to_module)
    if found.requires_grad:
        found.square().sum().backward()
    assert (given.grad is not None) == to_inputs
    assert all((parameter.grad is not None) == to_module for parameter in module.parameters())
