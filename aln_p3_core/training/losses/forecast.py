"""Forecasts of agents: the best mode's path, and which mode is the best (method: VAD, section 6.6).

Suffixes: B batch, Q agent queries, M modes, T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.losses.focal import one_hot, sigmoid_focal
from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings


def best_modes(offsets_BQMT2: Tensor, wanted_BQT2: Tensor, mask_BQT: Tensor, released: bool = False) -> Tensor:
    """[B, Q] the mode whose path, offsets summed up, ends nearest to the target's.

    Paths are compared at the last step that the target has. `released`: always at the very last one; where it is
    masked all modes tie and the first is taken.
    """
    error = offsets_BQMT2.detach().cumsum(-2) - wanted_BQT2.cumsum(-2)[:, :, None]
    distance_BQMT = torch.linalg.vector_norm(error, dim=-1)
    steps = mask_BQT.shape[-1]
    if released:
        return (distance_BQMT[..., -1] * mask_BQT[..., -1:]).argmin(-1)
    last_BQ = (mask_BQT * torch.arange(steps, device=mask_BQT.device)).amax(-1)
    index = last_BQ[:, :, None, None].expand(-1, -1, distance_BQMT.shape[2], 1)
    return distance_BQMT.gather(-1, index).squeeze(-1).argmin(-1)


def forecast_losses(
    offsets_BQMT2: Tensor,
    mode_logits_BQM: Tensor,
    agent_BQ: Tensor,
    targets: PaddedTargets,
    settings: LossSettings,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """L1 of the best mode's per-step offsets, and focal loss of the modes; last layer only.

    The path's sum is divided by matched agents, counted by the share of their steps that is known, so that masked
    steps do not dilute it. Agents without any known step teach neither path nor mode. `released`: both sums are
    divided by all matched agents, and agents without a known step teach the first mode.

    Args:
        offsets_BQMT2, mode_logits_BQM: predictions.
        agent_BQ: matched agent of each query, or -1.

    Returns:
        (sum, count) of the paths, (sum, count) of the modes.
    """
    matched = agent_BQ >= 0
    wanted = targets.gather(targets.offsets_BAT2, agent_BQ)
    mask = targets.gather(targets.future_mask_BAT, agent_BQ) & matched[..., None]
    mode = best_modes(offsets_BQMT2, wanted, mask, settings.released)
    index = mode[:, :, None, None, None].expand(-1, -1, 1, *offsets_BQMT2.shape[-2:])
    best = offsets_BQMT2.gather(2, index).squeeze(2)
    path = ((best - wanted).abs().sum(-1) * mask).sum()

    known = mask.any(-1)
    positive = matched if settings.released else known
    # Queries that answer for an agent of unknown future are no background either.
    judged = torch.ones_like(matched) if settings.released else known | ~matched
    focal = sigmoid_focal(
        mode_logits_BQM,
        one_hot(mode, positive, mode_logits_BQM.shape[-1]),
        settings.focal_alpha,
        settings.focal_gamma,
    )
    count = matched.sum() if settings.released else mask.sum() / mask.shape[-1]
    return (path, count), ((focal.sum(-1) * judged).sum(), positive.sum())
