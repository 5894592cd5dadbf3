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
    init_attention,
    init_ring_offsets,
    predict_samples,
    sample_pairs,
    sample_two_maps,
)
from aln_p3_core.driver.portable import is_portable

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
        rows, columns = size
        earlier = query_BCD if memory_BCD is None else memory_BCD
        x, y, weights = predict_samples(
            [earlier, query_BCD + position_CD], self.offsets, self.weights, self.heads, self.points
        )
        x = x + (reference_BC2[..., 0, None, None] * columns - 0.5)
        y = y + (reference_BC2[..., 1, None, None] * rows - 0.5)
        maps = [query_BCD] if memory_BCD is None or second_BCD is None else [memory_BCD, second_BCD]
        value = torch.cat([self.value(m) for m in maps]).unflatten(-1, (self.heads, -1))
        planes = (t.unflatten(-1, (_QUEUE, self.points)) for t in (x, y, weights / _QUEUE))
        sampled = sample_two_maps(value, size, *planes)
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
        per_head = self.levels * self.points
        predicted = predict_samples([flat], self.offsets, self.weights, self.heads, per_head)
        x, y, weights = (
            t.index_select(0, geometry.cell_K).unflatten(-1, (self.levels, self.points)) for t in predicted
        )
        # Point p looks from pillar height p mod heights.
        scale = x.new_tensor([[w, h] for h, w in sizes])
        repeats = self.points // self.heights
        anchors = (geometry.points_KZ2[:, None] * scale[:, None] - 0.5).repeat(1, 1, repeats, 1)
        x, y = x + anchors[:, None, ..., 0], y + anchors[:, None, ..., 1]
        sampled = sample_pairs(value, sizes, x, y, weights, geometry)
        if len(sampled):
            share = geometry.share_CM.to(sampled.dtype)
            if is_portable():
                slots = (sampled[geometry.pairs_of_cell_CM] * share[..., None]).sum(1)
            else:
                slots = F.embedding_bag(geometry.pairs_of_cell_CM, sampled, per_sample_weights=share, mode="sum")
        else:
            slots = torch.zeros_like(flat)
        attended = self.output(slots.view(batch, cells, width))
        return query_BCD + F.dropout(attended, self.dropout, self.training)
