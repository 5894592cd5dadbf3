"""How far the plan leads beside the driven path, whatever the speed (ours).

Most of what separates plans from drives is when to brake; the L1 of the offsets hardly notices a corner that is cut
by half a metre. This term sees nothing else.

Suffixes: B batch, T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.losses.plan_geometry import path_starts, segment_distances
from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings

# A shorter step, metres, has no direction. A plan that is faster than the drive follows its last direction so far.
_SHORTEST_STEP_M = 0.05
_BEYOND_M = 30.0


def plan_across_loss(path_BT2: Tensor, targets: PaddedTargets, settings: LossSettings) -> Tensor:
    """[B, T] distances of planned points to the driven path, m; 0 where the drive is shorter than `still_m`.

    Args:
        path_BT2: planned points, m.
        targets: the driven path; steps that are not known are left out of it.
        settings: `still_m`.
    """
    offsets = targets.plan_offsets_BT2 * targets.plan_mask_BT[..., None]
    driven = offsets.cumsum(1)
    steps = driven - path_starts(driven)
    length = torch.linalg.vector_norm(steps, dim=-1)
    long = length > _SHORTEST_STEP_M
    # The last of the long steps says where the way goes on.
    last = torch.where(long, torch.arange(long.shape[1], device=long.device), -1).amax(1).clamp_min(0)
    rows = torch.arange(len(last), device=last.device)
    direction = steps[rows, last] / length[rows, last].clamp_min(_SHORTEST_STEP_M)[:, None]
    beyond = driven[:, -1] + _BEYOND_M * direction
    line = torch.cat([torch.zeros_like(driven[:, :1]), driven, beyond[:, None]], dim=1)
    distance = segment_distances(path_BT2, line[:, None]).amin(-1).squeeze(-1)
    return distance * (length.sum(1) >= settings.still_m)[:, None]
