"""The plan keeps away from where other vehicles are forecast to be (VAD, arXiv 2303.12077, section 3.4).

Suffixes: B batch, A agents (queries), T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.settings import LossSettings


def plan_collision_loss(path_BT2: Tensor, agents_BAT2: Tensor, kept_BA: Tensor, settings: LossSettings) -> Tensor:
    """[B, T, 2] how much too near the nearest agent is at each step, to the side and ahead, m.

    Side and ahead are the model frame's x and y. Agents farther than `collision_range_m` at a step do not count
    there. `released`: the agents nearest in x and in y are chosen apart, and may be two.

    Args:
        path_BT2: planned points, m.
        agents_BAT2: forecast centres, best mode, m.
        kept_BA: bool, which agents constrain the plan.
        settings: thresholds.
    """
    offset_BAT2 = path_BT2[:, None] - agents_BAT2
    distance_BAT = torch.linalg.vector_norm(offset_BAT2.detach(), dim=-1)
    far_BAT = (distance_BAT > settings.collision_range_m) | ~kept_BA[..., None]
    apart_BAT2 = offset_BAT2.abs().masked_fill(far_BAT[..., None], torch.inf)
    if settings.released:
        nearest_BT2 = apart_BAT2.min(dim=1).values
    else:
        index = distance_BAT.masked_fill(far_BAT, torch.inf).argmin(dim=1)
        nearest_BT2 = apart_BAT2.gather(1, index[:, None, :, None].expand(-1, 1, -1, 2)).squeeze(1)
    limits = path_BT2.new_tensor([settings.collision_side_m, settings.collision_ahead_m])
    return (limits - nearest_BT2).clamp_min(0)
