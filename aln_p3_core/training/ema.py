"""Averaged weights: what is validated and shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential average of a network's weights. `update_parameters(network)` after every step.

    The average follows fast at first: at step n, with a decay of at most (1 + n) / (10 + n). With `decay` 0 it is the
    network itself at any time.
    """

    def update(kept: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        torch._foreach_lerp_(list(kept), list(new), _share(decay, float(count)))

    # AveragedModel copies the network; what is frozen stays so in the copy.
    model = AveragedModel(network, multi_avg_fn=update)
    return model.requires_grad_(False).eval()


class AveragedTensors:
    """The same average of single tensors by name: of what is trained in a module too large to be copied."""

    def __init__(self, tensors: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in tensors.items()}
        self.count = 0

    def update(self, tensors: Mapping[str, Tensor]) -> None:
        """After every step."""
        new = [tensors[name].detach() for name in self.tensors]
        if self.count:
            torch._foreach_lerp_(list(self.tensors.values()), new, _share(self.decay, float(self.count)))
        else:
            torch._foreach_copy_(list(self.tensors.values()), new)
        self.count += 1

    def state_dict(self) -> dict[str, Tensor]:
        """The averages, and how many steps are in them."""
        return {**self.tensors, "count": torch.tensor(self.count)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes a state of the same tensors."""
        for name, value in self.tensors.items():
            value.copy_(state[name])
        self.count = int(state["count"])


def _share(decay: float, count: float) -> float:
    """Of the new weights in the average."""
    return 1.0 - min(decay, (1.0 + count) / (10.0 + count))
