"""Who learns from a term: the parameters of a module, what enters it, or both."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


def routed(module: nn.Module, *inputs: Tensor, to_inputs: bool, to_module: bool) -> Any:
    """`module(*inputs)` whose gradients go back to the inputs, to the module's parameters, to both or to neither.

    P1A aligns what the explainer's mixer makes of the driver's tokens: with `to_inputs=p1a.to_driver` and
    `to_module=p1a.to_explainer` either of them can be kept out, at the price of running the mixer's small instance
    layers once more.
    """
    given = inputs if to_inputs else tuple(value.detach() for value in inputs)
    if to_module:
        return module(*given)
    return functional_call(module, {name: value.detach() for name, value in module.named_parameters()}, given)


def passed(value: Tensor, to_source: bool) -> Tensor:
    """The value, with or without the way back to where it comes from."""
    return value if to_source else value.detach()
