"""The agent decoder: queries find road users in the BEV and refine their boxes layer by layer.

Suffixes: B batch, Q queries, D width, L layers. Also home of `DecoderLayer`, which the map decoder shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.attention import (
    FeedForward,
    MultiHeadAttention,
    exact,
    inverse_sigmoid,
    norm_mlp,
    relu_mlp,
    run_head,
    set_prior_probability,
)
from aln_p3_core.driver.deformable_attention import BevCrossAttention
from aln_p3_core.driver.proposals import HeatmapProposals
from aln_p3_core.driver.tap import tap

#: cx, cy, log w, log l, cz, log h, sin, cos, vx, vy.
BOX_CODE = 10


class DecoderLayer(nn.Module):
    """Self-attention, norm, deformable attention to the BEV, norm, feed-forward, norm."""

    def __init__(self, config: DriverConfig, points: int) -> None:
        super().__init__()
        width, heads, dropout = config.embed_dims, config.heads, config.dropout
        self.self_attention = MultiHeadAttention(width, heads, dropout)
        self.self_attention_norm = nn.LayerNorm(width)
        self.cross_attention = BevCrossAttention(width, heads, points, dropout)
        self.cross_attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, config.ffn_dims, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(
        self, name: str, query_BQD: Tensor, position_BQD: Tensor, reference_BQ2: Tensor, bev_BRSD: Tensor
    ) -> Tensor:
        x = self.self_attention(query_BQD, position_BQD)
        tap(f"{name}.self_attention", x)
        x = self.cross_attention(self.self_attention_norm(x), position_BQD, reference_BQ2, bev_BRSD)
        tap(f"{name}.cross_attention", x)
        x = self.feed_forward_norm(self.feed_forward(self.cross_attention_norm(x)))
        tap(f"{name}.out", x)
        return x


@dataclass(slots=True)
class AgentDecoderOutputs:
    """`centers_BQ2`: x, y of the last layer in 0..1 over the range, detached; the others as in DriverOutputs."""

    logits_LBQC: Tensor
    boxes_LBQ10: Tensor
    states_BQD: Tensor
    centers_BQ2: Tensor
    heatmap_BCRS: Tensor | None = None


class AgentDecoder(nn.Module):
    """Object queries to classes and boxes."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width, agents = config.embed_dims, config.agents
        self.range = config.point_cloud_range
        self.proposals = HeatmapProposals(config) if agents.query_source == "heatmap" else None
        if self.proposals is None:
            # First half of a query: position; second half: content.
            self.queries = nn.Parameter(torch.randn(agents.queries, 2 * width))
            self.reference = nn.Linear(width, 3)
            nn.init.xavier_uniform_(self.reference.weight)
            nn.init.zeros_(self.reference.bias)
        self.layers = nn.ModuleList(DecoderLayer(config, agents.points) for _ in range(agents.layers))
        self.class_heads = nn.ModuleList(
            set_prior_probability(norm_mlp(width, width, len(agents.classes))) for _ in range(agents.layers)
        )
        self.box_heads = nn.ModuleList(relu_mlp(width, width, BOX_CODE) for _ in range(agents.layers))

    def forward(self, bev_BRSD: Tensor) -> AgentDecoderOutputs:
        heatmap = None
        if self.proposals is not None:
            proposals = self.proposals(bev_BRSD)
            heatmap = proposals.heatmap_BCRS if self.training else None
            query, position, reference = proposals.content_BQD, proposals.position_BQD, proposals.reference_BQ3
        else:
            query, position, reference = self._learned_queries(bev_BRSD)
        tap("agent_decoder.initial_reference", reference)
        low = reference.new_tensor(self.range[:3])
        size = reference.new_tensor(self.range[3:]) - low
        logits, boxes, states, references = [], [], [], []
        heads = zip(self.layers, self.class_heads, self.box_heads, strict=True)
        for i, (layer, class_head, box_head) in enumerate(heads):
            query = layer(f"agent_decoder.layer{i}", query, position, reference[..., :2], bev_BRSD)
            code = run_head(box_head, query)
            refined = (code[..., [0, 1, 4]] + inverse_sigmoid(reference)).sigmoid()
            center = refined * size + low
            logits.append(run_head(class_head, query))
            boxes.append(torch.cat([center[..., :2], code[..., 2:4], center[..., 2:], code[..., 5:]], dim=-1))
            # Each layer learns its own step only: no gradient through the reference (Deformable DETR, A.3).
            reference = refined.detach()
            references.append(reference)
            states.append(query)
        tap("agent_decoder.references", lambda: torch.stack(references))
        tap("agent_decoder.states", lambda: torch.stack(states))
        return AgentDecoderOutputs(torch.stack(logits), torch.stack(boxes), query, reference[..., :2], heatmap)

    def _learned_queries(self, bev_BRSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Content [B, Q, D], position [B, Q, D] and reference [B, Q, 3] in 0..1, the same for every frame."""
        batch = len(bev_BRSD)
        position_QD, content_QD = self.queries.chunk(2, dim=-1)
        position = position_QD.expand(batch, -1, -1).to(bev_BRSD.dtype)
        query = content_QD.expand(batch, -1, -1).to(bev_BRSD.dtype)
        reference = exact(self.reference, position_QD).sigmoid().expand(batch, -1, -1)
        return query, position, reference
