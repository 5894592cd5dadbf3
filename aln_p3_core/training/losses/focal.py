"""Sigmoid focal loss (Lin et al., arXiv 1708.02002), and the class targets that it reads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sigmoid_focal(logits: Tensor, wanted: Tensor, alpha: float, gamma: float) -> Tensor:
    """Element-wise focal loss.

    Args:
        logits: any shape.
        wanted: same shape, 0 or 1.
        alpha: weight of the ones; zeros get 1 - alpha.
        gamma: how fast well answered entries fade.
    """
    probability = logits.sigmoid()
    missed = wanted * (1 - probability) + (1 - wanted) * probability
    weight = wanted * alpha + (1 - wanted) * (1 - alpha)
    return weight * missed**gamma * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def one_hot(class_ids: Tensor, positive: Tensor, classes: int) -> Tensor:
    """float32 [..., classes]: 1 at the class of `positive` entries, all zero (background) elsewhere."""
    wanted = torch.zeros(*class_ids.shape, classes, device=class_ids.device)
    return wanted.scatter_(-1, class_ids[..., None], positive[..., None].float())
