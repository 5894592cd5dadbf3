"""Distances and crossings between the planned path and map lines, all pairs at once.

Suffixes: B batch, T steps, V lines, P points a line, S = P - 1 segments a line.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Segments shorter than this, metres, are points.
_SHORTEST_M = 1e-4


def lines_in_metres(points_BVP2: Tensor, point_cloud_range: Sequence[float]) -> Tensor:
    """Points in 0..1 over the range to metres, [B, V, P, 2]."""
    low, high = points_BVP2.new_tensor(point_cloud_range[:2]), points_BVP2.new_tensor(point_cloud_range[3:5])
    return points_BVP2 * (high - low) + low


def vertex_distances(points_BT2: Tensor, lines_BVP2: Tensor) -> Tensor:
    """[B, T, V, P] distances from points to the lines' vertices."""
    return torch.linalg.vector_norm(points_BT2[:, :, None, None] - lines_BVP2[:, None], dim=-1)


def segment_distances(points_BT2: Tensor, lines_BVP2: Tensor) -> Tensor:
    """[B, T, V, S] distances from points to the nearest point of each segment of the lines."""
    start = lines_BVP2[:, None, :, :-1]
    edge = lines_BVP2.diff(dim=-2)[:, None]
    offset = points_BT2[:, :, None, None] - start
    along = (offset * edge).sum(-1) / edge.square().sum(-1).clamp_min(_SHORTEST_M**2)
    return torch.linalg.vector_norm(offset - along.clamp(0, 1)[..., None] * edge, dim=-1)


def path_starts(path_BT2: Tensor) -> Tensor:
    """[B, T, 2] where each step of a path begins: the origin, then the points before."""
    return torch.cat([torch.zeros_like(path_BT2[:, :1]), path_BT2[:, :-1]], dim=1)


def crossings(path_BT2: Tensor, lines_BVP2: Tensor) -> Tensor:
    """[B, T, V] bool: the step that leads to each point of the path crosses or touches the line."""
    start = path_starts(path_BT2)
    step = (path_BT2 - start)[:, :, None, None]
    edge = lines_BVP2.diff(dim=-2)[:, None]
    offset = lines_BVP2[:, None, :, :-1] - start[:, :, None, None]
    determinant = _cross(step, edge)
    parallel = determinant == 0
    safe = torch.where(parallel, 1.0, determinant)
    along_step, along_edge = _cross(offset, edge) / safe, _cross(offset, step) / safe
    inside = (along_step >= 0) & (along_step <= 1) & (along_edge >= 0) & (along_edge <= 1)
    return (inside & ~parallel).any(-1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
