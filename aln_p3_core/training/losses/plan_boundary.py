"""The plan keeps away from the road's boundary (VAD, arXiv 2303.12077, section 3.4).

Suffixes: B batch, T steps, V map lines, P points a line.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.losses.plan_geometry import crossings, segment_distances, vertex_distances
from aln_p3_core.training.settings import LossSettings


def plan_boundary_loss(path_BT2: Tensor, lines_BVP2: Tensor, is_boundary_BV: Tensor, settings: LossSettings) -> Tensor:
    """[B, T] how far each planned point lies within `boundary_distance_m` of a boundary, m.

    Zero from the first step on that crosses a boundary: beyond it the gradient would push further out.
    `released`: the distance goes to the nearest vertex, and only the line that has it is tested for a crossing.

    Args:
        path_BT2: planned points, m.
        lines_BVP2: predicted lines, m.
        is_boundary_BV: bool, which of them are boundaries.
        settings: thresholds.
    """
    measure = vertex_distances if settings.released else segment_distances
    distance_BTV = measure(path_BT2, lines_BVP2).amin(-1)
    distance_BTV = distance_BTV.masked_fill(~is_boundary_BV[:, None], torch.inf)
    crossed_BTV = crossings(path_BT2, lines_BVP2) & is_boundary_BV[:, None]
    nearest = distance_BTV.min(dim=-1)
    if settings.released:
        crossed_BT = crossed_BTV.gather(-1, nearest.indices[..., None]).squeeze(-1)
    else:
        crossed_BT = crossed_BTV.any(-1)
    loss = (settings.boundary_distance_m - nearest.values).clamp_min(0)
    return loss.masked_fill(crossed_BT.cumsum(1) > 0, 0.0)
