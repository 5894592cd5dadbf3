"""The plan follows the direction of the lane (VAD, arXiv 2303.12077, section 3.4).

Suffixes: B batch, T steps, V map lines, P points a line.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.losses.plan_geometry import path_starts, segment_distances, vertex_distances
from aln_p3_core.training.settings import LossSettings

# A shorter step, metres, has no direction.
_SHORTEST_STEP_M = 0.05


def plan_direction_loss(path_BT2: Tensor, lines_BVP2: Tensor, is_divider_BV: Tensor, settings: LossSettings) -> Tensor:
    """[B, T] angle between the path and the nearest divider, folded to 0..pi/2, rad.

    Zero where no divider is within `direction_range_m`, and for a plan that ends less than `still_m` from the
    origin. The path's direction at a point is that of the step which leads there; a divider's is that of the nearest
    segment. `released`: the step which leaves the point (the last one serves twice), the edge after the nearest
    vertex, and the distance from the first planned point to the last.

    Args:
        path_BT2: planned points, m.
        lines_BVP2: predicted lines, m.
        is_divider_BV: bool, which of them are dividers.
        settings: thresholds.
    """
    if settings.released:
        step = path_BT2.diff(dim=1)
        step = torch.cat([step, step[:, -1:]], dim=1)
        moved = path_BT2[:, -1] - path_BT2[:, 0]
        distance = vertex_distances(path_BT2, lines_BVP2)
    else:
        step = path_BT2 - path_starts(path_BT2)
        moved = path_BT2[:, -1]
        distance = segment_distances(path_BT2, lines_BVP2)
    distance_BTE = distance.detach().masked_fill(~is_divider_BV[:, None, :, None], torch.inf).flatten(2)
    nearest = distance_BTE.min(dim=-1)
    edge = _edge_at(lines_BVP2, nearest.indices, distance.shape[-1])
    near = nearest.values <= settings.direction_range_m
    moving = torch.linalg.vector_norm(moved.detach(), dim=-1) >= settings.still_m
    long = torch.linalg.vector_norm(step.detach(), dim=-1) > (0.0 if settings.released else _SHORTEST_STEP_M)
    counted = near & moving[:, None] & long
    # Any direction will do where none counts: what is masked must not yield gradients that are not numbers.
    step = torch.where(counted[..., None], step, 1.0)
    edge = torch.where(counted[..., None], edge, 1.0)
    across = step[..., 0] * edge[..., 1] - step[..., 1] * edge[..., 0]
    along = (step * edge).sum(-1)
    return torch.atan2(across.abs(), along.abs()) * counted


def _edge_at(lines_BVP2: Tensor, index_BT: Tensor, entries: int) -> Tensor:
    """[B, T, 2] edge of a line's entry; `entries` a line: its segments, or its vertices (the last one's edge is the
    one that ends there)."""
    edges = lines_BVP2.diff(dim=-2)
    line, place = index_BT.div(entries, rounding_mode="floor"), index_BT % entries
    sample = torch.arange(len(lines_BVP2), device=lines_BVP2.device)[:, None]
    return edges[sample, line, place.clamp_max(edges.shape[2] - 1)]
