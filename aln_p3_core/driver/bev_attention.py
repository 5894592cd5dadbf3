"""The two deformable attentions of the BEV encoder: to the memory (temporal) and to the cameras (spatial).

Both add the residual and leave the norm to the layer (BEVFormer, section 3.2 and 3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.driver.camera_geometry import CameraGeometry
from aln_p3_core.driver.deformable_attention import (
    Sizes,
    deformable_sampling,
    init_attention,
    init_ring_offsets,
    sample_pairs,
)

_QUEUE = 2


class TemporalAttention(nn.Module):
    """Each BEV query samples the warped memory and a second BEV map; the two results are averaged.

    Offsets and weights come from [memory, query + position]. Without memory the query takes its place.
    """

    def __init__(self, width: int, heads: int, points: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.points, self.dropout = heads, points, dropout
        self.offsets = nn.Linear(_QUEUE * width, heads * _QUEUE * points * 2)
        self.weights = nn.Linear(_QUEUE * width, heads * _QUEUE * points)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        init_ring_offsets(self.offsets, heads, _QUEUE, points)
        init_attention(self.weights, self.value, self.output)

    def forward(
        self,
        query_BCD: Tensor,
        position_CD: Tensor,
        reference_BC2: Tensor,
        size: tuple[int, int],
        memory_BCD: Tensor | None,
        second_BCD: Tensor | None,
    ) -> Tensor:
        """C cells of a grid of `size` (rows, columns).

        `memory_BCD` and `second_BCD` are the pair of maps to sample; both None without history, then the
        query itself is both.
        """
        batch, cells, width = query_BCD.shape
        rows, columns = size
        earlier = query_BCD if memory_BCD is None else memory_BCD
        positioned = query_BCD + position_CD

        def predict(layer: nn.Linear) -> Tensor:
            # Two products in place of one over a concatenation that would have to be written first.
            early_part = F.linear(earlier, layer.weight[:, :width], layer.bias)
            return early_part + F.linear(positioned, layer.weight[:, width:])

        offsets = predict(self.offsets).float().view(batch, cells, self.heads, _QUEUE, self.points, 2)
        weights = predict(self.weights).float().view(batch, cells, self.heads, _QUEUE, self.points).softmax(-1)
        maps = [query_BCD] if memory_BCD is None or second_BCD is None else [memory_BCD, second_BCD]
        value = torch.cat([self.value(m) for m in maps]).unflatten(-1, (self.heads, -1))
        locations = reference_BC2[:, :, None, None, None] + offsets / offsets.new_tensor([columns, rows])
        # [queue, B, C, heads, 1 level, points]: the queue becomes the sources of one sum.
        locations = locations.permute(3, 0, 1, 2, 4, 5).unsqueeze(4)
        weights = (weights / _QUEUE).permute(3, 0, 1, 2, 4).unsqueeze(4)
        sampled = deformable_sampling(value, [(rows, columns)], locations, weights)
        return query_BCD + F.dropout(self.output(sampled), self.dropout, self.training)


class SpatialAttention(nn.Module):
    """Each BEV query samples the cameras that see its pillar; results are averaged over those cameras."""

    def __init__(self, width: int, heads: int, levels: int, points: int, heights: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.levels, self.points, self.heights, self.dropout = heads, levels, points, heights, dropout
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        init_ring_offsets(self.offsets, heads, levels, points)
        init_attention(self.weights, self.value, self.output)

    def forward(self, query_BCD: Tensor, features_GVD: Tensor, sizes: Sizes, geometry: CameraGeometry) -> Tensor:
        """`features_GVD`: tokens of every camera (batch * cameras), all levels one after the other."""
        batch, cells, width = query_BCD.shape
        value = self.value(features_GVD).unflatten(-1, (self.heads, -1))
        # Offsets and weights depend on the cell alone: predicted once, then handed to its cameras.
        flat = query_BCD.flatten(0, 1)
        offsets = self.offsets(flat).float().view(-1, self.heads, self.levels, self.points, 2)
        weights = self.weights(flat).float().view(-1, self.heads, self.levels * self.points).softmax(-1)
        weights = weights.view(-1, self.heads, self.levels, self.points)
        scale = offsets.new_tensor([[w, h] for h, w in sizes])
        # Point p looks from pillar height p mod heights.
        repeats = self.points // self.heights
        anchors = (geometry.points_KZ2[:, None] * scale[:, None] - 0.5).repeat(1, 1, repeats, 1)
        pixels = anchors[:, None] + offsets.index_select(0, geometry.cell_K)
        sampled = sample_pairs(value, sizes, pixels, weights.index_select(0, geometry.cell_K), geometry)
        if len(sampled):
            share = geometry.share_CM.to(sampled.dtype)
            slots = F.embedding_bag(geometry.pairs_of_cell_CM, sampled, per_sample_weights=share, mode="sum")
        else:
            slots = torch.zeros_like(flat)
        attended = self.output(slots.view(batch, cells, width))
        return query_BCD + F.dropout(attended, self.dropout, self.training)
