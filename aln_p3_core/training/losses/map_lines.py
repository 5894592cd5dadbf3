"""Classes and points of map lines, for every decoder layer (method: VAD, section 6.6; MapTR).

Suffixes: L decoder layers, B batch, V map queries, P points a line, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.losses.focal import one_hot, sigmoid_focal
from aln_p3_core.training.matching import Assignment
from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings


def matched_points(assignment: Assignment, targets: PaddedTargets) -> Tensor:
    """[L, B, V, P, 2] points of each query's line in the order that fits best, 0..1; arbitrary without a line."""
    sample = torch.arange(len(targets), device=targets.orders_BGOP2.device)[:, None]
    return targets.orders_BGOP2[sample, assignment.line_LBV.clamp_min(0), assignment.order_LBV]


def map_class_loss(
    logits_LBVC: Tensor, assignment: Assignment, targets: PaddedTargets, settings: LossSettings
) -> tuple[Tensor, Tensor]:
    """Focal loss over all queries and classes [L], and the number of matched queries [L]."""
    positive = assignment.line_LBV >= 0
    wanted = one_hot(targets.gather(targets.line_classes_BG, assignment.line_LBV), positive, logits_LBVC.shape[-1])
    loss = sigmoid_focal(logits_LBVC, wanted, settings.focal_alpha, settings.focal_gamma)
    return loss.sum(dim=(1, 2, 3)), positive.sum(dim=(1, 2))


def map_points_loss(points_LBVP2: Tensor, assignment: Assignment, wanted_LBVP2: Tensor) -> tuple[Tensor, Tensor]:
    """L1 over the normalised points of matched queries [L], and the number of these [L].

    `wanted_LBVP2` comes from `matched_points`.
    """
    positive = assignment.line_LBV >= 0
    error = (points_LBVP2 - wanted_LBVP2).abs().sum(dim=(-2, -1))
    return (error * positive).sum(dim=(1, 2)), positive.sum(dim=(1, 2))
