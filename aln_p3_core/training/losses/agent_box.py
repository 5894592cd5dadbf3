"""Classes and boxes of agents, for every decoder layer (method: VAD, section 6.6).

Suffixes: L decoder layers, B batch, Q agent queries, C classes. Every term of this folder returns a sum, and the
count that the criterion divides it by; per layer here.
"""

from __future__ import annotations

from torch import Tensor

from aln_p3_core.training.losses.focal import one_hot, sigmoid_focal
from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings

_VELOCITY = 8


def agent_class_loss(
    logits_LBQC: Tensor, agent_LBQ: Tensor, targets: PaddedTargets, settings: LossSettings
) -> tuple[Tensor, Tensor]:
    """Focal loss over all queries and classes [L], and the number of matched queries [L]."""
    positive = agent_LBQ >= 0
    wanted = one_hot(targets.gather(targets.agent_classes_BA, agent_LBQ), positive, logits_LBQC.shape[-1])
    loss = sigmoid_focal(logits_LBQC, wanted, settings.focal_alpha, settings.focal_gamma)
    return loss.sum(dim=(1, 2, 3)), positive.sum(dim=(1, 2))


def agent_box_loss(
    boxes_LBQ10: Tensor, agent_LBQ: Tensor, targets: PaddedTargets, settings: LossSettings
) -> tuple[Tensor, Tensor]:
    """L1 over the box codes of matched queries [L], and their number [L].

    Velocities weigh `velocity_weight`, and nothing where the target's velocity is not known.
    """
    positive = (agent_LBQ >= 0).float()
    error = (boxes_LBQ10 - targets.gather(targets.boxes_BA10, agent_LBQ)).abs()
    known = targets.gather(targets.velocity_valid_BA, agent_LBQ).float()
    box = error[..., :_VELOCITY].sum(-1)
    velocity = error[..., _VELOCITY:].sum(-1) * known * settings.velocity_weight
    return ((box + velocity) * positive).sum(dim=(1, 2)), positive.sum(dim=(1, 2))
