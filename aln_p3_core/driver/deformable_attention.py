"""Multi-scale deformable sampling in plain torch, and the deformable cross-attention to the BEV.

Sampling is bilinear with zeros outside; a location in 0..1 is pixel `location * size - 0.5` (Deformable
DETR; the golden cases of the released operator are a test).

Two forms compute the same sum. On a CPU without gradients, the four corners of every point become rows of
one table, and a whole query is one weighted bag of rows: `embedding_bag` reads each row once and never
stores the samples. Elsewhere `grid_sample` is used, which has the better backward pass and GPU kernel.

Suffixes: G groups (a camera, or a sample of the batch), Q queries, H heads, L levels, P points, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.driver.camera_geometry import CameraGeometry

Sizes = Sequence[tuple[int, int]]


def deformable_sampling(value_GVHd: Tensor, sizes: Sizes, locations_GQHLP2: Tensor, weights_GQHLP: Tensor) -> Tensor:
    """Weighted sums of bilinear samples.

    Args:
        value_GVHd: values of all levels, one after the other, each row by row.
        sizes: (height, width) of every level.
        locations_GQHLP2: x, y in 0..1 over the level's map. With a leading dimension of S sources, [S, G, Q,
            H, L, P, 2], the results of the sources are added up; the values are then [S * G, ...] (source
            by source), or [G, ...] where all sources read the same map.
        weights_GQHLP: weight of every sample, with the same leading dimension.

    Returns:
        [G, Q, H * d] in the dtype of the values.
    """
    if locations_GQHLP2.dim() == 6:
        locations_GQHLP2, weights_GQHLP = locations_GQHLP2[None], weights_GQHLP[None]
    sources, groups, queries = locations_GQHLP2.shape[:3]
    scale = locations_GQHLP2.new_tensor([[w, h] for h, w in sizes])
    pixels = locations_GQHLP2 * scale[:, None] - 0.5
    if _prefers_grid(value_GVHd, pixels, weights_GQHLP):
        if len(value_GVHd) < sources * groups:
            value_GVHd = value_GVHd.repeat(sources, 1, 1, 1)
        sampled = _sample_with_grid(value_GVHd, sizes, pixels.flatten(0, 1), weights_GQHLP.flatten(0, 1))
        return sampled.unflatten(0, (sources, groups)).sum(0)
    table = SamplingTable.build(value_GVHd, sizes)
    group = torch.arange(sources * groups, device=pixels.device) % len(value_GVHd)
    group_SQ = group.repeat_interleave(queries).view(sources, -1)
    return table.sample(pixels.flatten(1, 2), weights_GQHLP.flatten(1, 2), group_SQ).unflatten(0, (groups, queries))


def sample_pairs(
    value_GVHd: Tensor, sizes: Sizes, pixels_KHLP2: Tensor, weights_KHLP: Tensor, geometry: CameraGeometry
) -> Tensor:
    """Samples for each (camera, cell) pair from its camera's maps: [K, H * d]. Locations are in pixels."""
    if _prefers_grid(value_GVHd, pixels_KHLP2, weights_KHLP):
        padded = geometry.padded_GL
        pixels = pixels_KHLP2.index_select(0, padded.flatten()).unflatten(0, padded.shape)
        weights = weights_KHLP.index_select(0, padded.flatten()).unflatten(0, padded.shape)
        sampled = _sample_with_grid(value_GVHd, sizes, pixels, weights)
        return sampled.flatten(0, 1).index_select(0, geometry.slot_K)
    table = SamplingTable.build(value_GVHd, sizes)
    return table.sample(pixels_KHLP2[None], weights_KHLP[None], geometry.group_K[None])


def _prefers_grid(*tensors: Tensor) -> bool:
    needs_grad = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return needs_grad or tensors[0].is_cuda


def _sample_with_grid(value_GVHd: Tensor, sizes: Sizes, pixels_GQHLP2: Tensor, weights_GQHLP: Tensor) -> Tensor:
    groups, _, heads, width = value_GVHd.shape
    queries = pixels_GQHLP2.shape[1]
    total: Tensor | None = None
    start = 0
    for level, (h, w) in enumerate(sizes):
        maps = value_GVHd[:, start : start + h * w].permute(0, 2, 3, 1).reshape(groups * heads, width, h, w)
        start += h * w
        scale = pixels_GQHLP2.new_tensor([2.0 / w, 2.0 / h])
        grid = (pixels_GQHLP2[:, :, :, level] + 0.5) * scale - 1.0
        grid = grid.transpose(1, 2).flatten(0, 1).to(maps.dtype)
        samples = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weights = weights_GQHLP[:, :, :, level].transpose(1, 2).reshape(groups * heads, 1, queries, -1)
        part = (samples * weights.to(samples.dtype)).sum(-1)
        total = part if total is None else total + part
    assert total is not None
    return total.unflatten(0, (groups, heads)).permute(0, 3, 1, 2).flatten(2)


@dataclass(slots=True)
class SamplingTable:
    """Values laid out for `embedding_bag`: one row a pixel and head.

    Every map has a border of zeros, one pixel at the low side and two at the high side. Coordinates are
    clamped into it, so samples outside need no mask and a point beyond the border adds exactly nothing.
    """

    rows_Nd: Tensor
    sizes: Sizes
    rows_per_group: int
    heads: int

    @classmethod
    def build(cls, value_GVHd: Tensor, sizes: Sizes) -> SamplingTable:
        groups, _, heads, width = value_GVHd.shape
        rows_per_group = sum((h + 3) * (w + 3) for h, w in sizes)
        rows = value_GVHd.new_zeros(groups, rows_per_group, heads, width)
        source = target = 0
        for h, w in sizes:
            padded = rows[:, target : target + (h + 3) * (w + 3)].view(groups, h + 3, w + 3, heads, width)
            padded[:, 1 : h + 1, 1 : w + 1] = value_GVHd[:, source : source + h * w].unflatten(1, (h, w))
            source += h * w
            target += (h + 3) * (w + 3)
        return cls(rows.view(-1, width), sizes, rows_per_group, heads)

    def sample(self, pixels_SQHLP2: Tensor, weights_SQHLP: Tensor, group_SQ: Tensor) -> Tensor:
        """[Q, H * d]: for each query the weighted sum over its S sources, each reading its own group's maps."""
        sources, queries, heads, levels, points = weights_SQHLP.shape
        device = pixels_SQHLP2.device
        width = torch.tensor([w for _, w in self.sizes], device=device)
        low = pixels_SQHLP2.new_tensor(-1.0)
        high = pixels_SQHLP2.new_tensor([[w, h] for h, w in self.sizes])[:, None]
        pixels = torch.clamp(pixels_SQHLP2, low, high)
        corner = pixels.floor()
        fx, fy = (pixels - corner).unbind(-1)
        x0, y0 = corner.unbind(-1)

        starts = [0]
        for h, w in self.sizes[:-1]:
            starts.append(starts[-1] + (h + 3) * (w + 3))
        # Row of the pixel (x0, y0) in its group's part of the table; +1 steps over the low border.
        stride = (width + 3)[:, None]
        origin = torch.tensor(starts, device=device)[:, None] + stride + 1
        pixel = y0.long() * stride + x0.long() + origin
        pixel += (group_SQ * self.rows_per_group)[:, :, None, None, None]
        head = torch.arange(heads, device=device)[:, None, None]
        first = pixel * self.heads + head

        index = torch.empty(queries, heads, sources, 4, levels, points, dtype=torch.long, device=device)
        weight = torch.empty(index.shape, dtype=self.rows_Nd.dtype, device=device)
        wx1 = fx * weights_SQHLP
        wx0 = weights_SQHLP - wx1
        bottom_left, bottom_right = wx0 * fy, wx1 * fy
        corners = (wx0 - bottom_left, wx1 - bottom_right, bottom_left, bottom_right)
        down = stride * self.heads
        steps = (torch.zeros_like(down), torch.full_like(down, self.heads), down, down + self.heads)
        for i, (corner_weight, step) in enumerate(zip(corners, steps, strict=True)):
            weight[:, :, :, i] = corner_weight.permute(1, 2, 0, 3, 4)
            index[:, :, :, i] = (first + step).permute(1, 2, 0, 3, 4)
        per_bag = sources * 4 * levels * points
        bags = F.embedding_bag(
            index.view(-1, per_bag), self.rows_Nd, per_sample_weights=weight.view(-1, per_bag), mode="sum"
        )
        return bags.view(queries, -1)


def init_ring_offsets(layer: nn.Linear, heads: int, groups: int, points: int) -> None:
    """Starts the sampling offsets on rings: each head looks its own way, each point one pixel farther."""
    nn.init.zeros_(layer.weight)
    angles = torch.arange(heads, dtype=torch.float32) * (2 * math.pi / heads)
    ring = torch.stack([angles.cos(), angles.sin()], dim=-1)
    ring = ring / ring.abs().max(dim=-1, keepdim=True).values
    distance = torch.arange(1, points + 1, dtype=torch.float32)
    offsets = ring[:, None, None, :] * distance[None, None, :, None]
    with torch.no_grad():
        layer.bias.copy_(offsets.expand(heads, groups, points, 2).reshape(-1))


class BevCrossAttention(nn.Module):
    """Deformable attention of decoder queries to the BEV map, residual included."""

    def __init__(self, width: int, heads: int, points: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.points, self.dropout = heads, points, dropout
        self.offsets = nn.Linear(width, heads * points * 2)
        self.weights = nn.Linear(width, heads * points)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        init_ring_offsets(self.offsets, heads, 1, points)
        init_attention(self.weights, self.value, self.output)

    def forward(self, query_BQD: Tensor, position_BQD: Tensor, reference_BQ2: Tensor, bev_BRSD: Tensor) -> Tensor:
        """`reference_BQ2` is x, y in 0..1 over the BEV (float32). Returns [B, Q, D]."""
        rows, columns = bev_BRSD.shape[1:3]
        positioned = query_BQD + position_BQD
        offsets = self.offsets(positioned).float().unflatten(-1, (self.heads, 1, self.points, 2))
        weights = self.weights(positioned).float().unflatten(-1, (self.heads, 1, self.points)).softmax(-1)
        locations = reference_BQ2[:, :, None, None, None] + offsets / offsets.new_tensor([columns, rows])
        value = self.value(bev_BRSD.flatten(1, 2)).unflatten(-1, (self.heads, -1))
        sampled = deformable_sampling(value, [(rows, columns)], locations, weights)
        return query_BQD + F.dropout(self.output(sampled), self.dropout, self.training)


def init_attention(weights: nn.Linear, value: nn.Linear, output: nn.Linear) -> None:
    """Equal weights at the start, Xavier projections (Deformable DETR, appendix A.4)."""
    nn.init.zeros_(weights.weight)
    nn.init.zeros_(weights.bias)
    for layer in (value, output):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
