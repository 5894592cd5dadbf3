"""The map decoder: every line is a chain of point queries; and the encoder of finished lines.

Suffixes: B batch, V lines, P points a line, D width, L layers (MapTR; VectorNet for the polyline encoder).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.agent_decoder import DecoderLayer
from aln_p3_core.driver.attention import exact, inverse_sigmoid, norm_mlp, relu_mlp, run_head, set_prior_probability
from aln_p3_core.driver.tap import tap


class PolylineEncoder(nn.Module):
    """One token a line from its point states: layers of (Linear, norm, ReLU), each joined by the line's maximum.

    The last maximum is taken over [x, max x], so both halves of the token are alike (as released).
    """

    def __init__(self, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        widths = [width] + [2 * hidden] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(w, hidden), nn.LayerNorm(hidden), nn.ReLU()) for w in widths
        )

    def forward(self, points_BVPD: Tensor) -> Tensor:
        """[B, V, 2 * hidden]."""
        x = points_BVPD
        for layer in self.layers:
            x = layer(x)
            x = torch.cat([x, x.amax(dim=2, keepdim=True).expand_as(x)], dim=-1)
        return x.amax(dim=2)


@dataclass(slots=True)
class MapDecoderOutputs:
    """`tokens_BVD`: one token a line; `anchors_BVP2`: the last layer's points, detached; others as DriverOutputs."""

    logits_LBVC: Tensor
    points_LBVP2: Tensor
    tokens_BVD: Tensor
    anchors_BVP2: Tensor


class MapDecoder(nn.Module):
    """Map queries to classes and points. A line's class comes from the mean over its points."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width, settings = config.embed_dims, config.map
        # A point's query is its line's plus its place's. First half: position; second half: content.
        self.line_queries = nn.Parameter(torch.randn(settings.instances, 2 * width))
        self.point_queries = nn.Parameter(torch.randn(settings.points_per_line, 2 * width))
        self.reference = nn.Linear(width, 2)
        self.layers = nn.ModuleList(DecoderLayer(config, settings.points) for _ in range(settings.layers))
        self.class_heads = nn.ModuleList(
            set_prior_probability(norm_mlp(width, width, len(settings.classes))) for _ in range(settings.layers)
        )
        self.point_heads = nn.ModuleList(relu_mlp(width, width, 2) for _ in range(settings.layers))
        self.polyline_encoder = PolylineEncoder(width, settings.lane_hidden, settings.lane_layers)
        nn.init.xavier_uniform_(self.reference.weight)
        nn.init.zeros_(self.reference.bias)

    def forward(self, bev_BRSD: Tensor) -> MapDecoderOutputs:
        batch = len(bev_BRSD)
        shape = (len(self.line_queries), len(self.point_queries))
        queries = (self.line_queries[:, None] + self.point_queries[None]).flatten(0, 1)
        position_QD, content_QD = queries.chunk(2, dim=-1)
        position = position_QD.expand(batch, -1, -1).to(bev_BRSD.dtype)
        query = content_QD.expand(batch, -1, -1).to(bev_BRSD.dtype)
        reference = exact(self.reference, position_QD).sigmoid().expand(batch, -1, -1)
        tap("map_decoder.initial_reference", reference)
        logits, points, states = [], [], []
        heads = zip(self.layers, self.class_heads, self.point_heads, strict=True)
        for i, (layer, class_head, point_head) in enumerate(heads):
            query = layer(f"map_decoder.layer{i}", query, position, reference, bev_BRSD)
            refined = (run_head(point_head, query) + inverse_sigmoid(reference)).sigmoid()
            reference = refined.detach()
            logits.append(run_head(class_head, query.unflatten(1, shape).float().mean(dim=2)))
            points.append(refined.unflatten(1, shape))
            states.append(query)
        tap("map_decoder.references", lambda: torch.stack(points).flatten(2, 3))
        tap("map_decoder.states", lambda: torch.stack(states))
        tokens = self.polyline_encoder(query.unflatten(1, shape))
        tap("map_decoder.tokens", tokens)
        return MapDecoderOutputs(torch.stack(logits), torch.stack(points), tokens, points[-1].detach())
