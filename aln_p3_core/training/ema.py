"""Averaged weights: what is validated and shipped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential average of a network's weights. `update_parameters(network)` after every step.

    The average follows fast at first: at step n, with a decay of at most (1 + n) / (10 + n). With `decay` 0 it is the
    network itself at any time.
    """

    def update(kept: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        n = float(count)
        torch._foreach_lerp_(list(kept), list(new), 1.0 - min(decay, (1.0 + n) / (10.0 + n)))

    # AveragedModel copies the network; what is frozen stays so in the copy.
    model = AveragedModel(network, multi_avg_fn=update)
    return model.requires_grad_(False).eval()
