"""The traffic light that counts for the ego, told from the planner's features (ours; auxiliary).

A light is a few pixels of the pictures, and the plan alone rarely says that it mattered. The head exists in training
only: it belongs to the criterion, and no driver checkpoint holds it.

Suffixes: B batch, D width, K classes (`training.signal_classes.SIGNAL_CLASSES`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.training.signal_classes import SIGNAL_CLASSES, UNKNOWN


class SignalAheadHead(nn.Module):
    """From `DriverOutputs.ego_features_B2D` through one hidden layer to logits of the light's color."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width = config.embed_dims
        self.layers = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, len(SIGNAL_CLASSES)))

    def forward(self, ego_features_B2D: Tensor) -> Tensor:
        """Logits [B, K]."""
        logits: Tensor = self.layers(ego_features_B2D)
        return logits


def signal_ahead_loss(logits_BK: Tensor, signal_B: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy summed over the samples whose light is known, and their number."""
    loss = F.cross_entropy(logits_BK, signal_B, ignore_index=UNKNOWN, reduction="sum")
    return loss, torch.count_nonzero(signal_B != UNKNOWN)
