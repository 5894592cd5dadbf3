"""L1 between the plan of the given command and the driven path (method: VAD, section 6.6).

Suffixes: B batch, 3 commands, T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings


def commanded_plan(plan_offsets_B3T2: Tensor, command_B: Tensor) -> Tensor:
    """[B, T, 2] per-step offsets of each sample's command, m."""
    return plan_offsets_B3T2[torch.arange(len(command_B), device=command_B.device), command_B]


def plan_regression_loss(
    plan_offsets_B3T2: Tensor, targets: PaddedTargets, settings: LossSettings
) -> tuple[Tensor, Tensor]:
    """Sum of absolute errors of the per-step offsets, each sample times its weight, and the count to divide it by.

    The mean goes over both coordinates of the valid steps of the commanded mode, so masked steps and the other
    two commands do not dilute it. `released`: over all entries of all three commands, masked or not; a weight of 1
    there is a third of ours.
    """
    error = (commanded_plan(plan_offsets_B3T2, targets.command_B) - targets.plan_offsets_BT2).abs()
    loss = error.sum(-1) * targets.plan_mask_BT * targets.weight_B[:, None]
    if settings.released:
        return loss.sum(), loss.new_tensor(plan_offsets_B3T2.numel())
    return loss.sum(), 2 * targets.plan_mask_BT.sum()
