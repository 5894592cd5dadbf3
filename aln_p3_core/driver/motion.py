"""Forecasts of the agents: modes of every agent look at each other, then at the map lines nearby.

Suffixes: B batch, Q agents, M modes, V map lines, P points a line, K = V + 1 map keys, H heads, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.agent_decoder import AgentDecoderOutputs
from aln_p3_core.driver.attention import InteractionLayer, exact, norm_mlp, relu_mlp, run_head
from aln_p3_core.driver.map_decoder import MapDecoderOutputs
from aln_p3_core.driver.tap import tap


class RelativeMapAttention(InteractionLayer):
    """Every agent reads the map lines at positions relative to itself.

    The keys are line tokens plus a linear embedding of the relative position. Their product with a query is
    a product with the token plus a linear form of the position, so no key is ever stored per agent. A zero
    token at relative position (1, 1) is always there: an agent with no line nearby reads that.
    """

    def forward_relative(
        self,
        query_BQMD: Tensor,
        tokens_BVD: Tensor,
        relative_BQV2: Tensor,
        ignored_BQV: Tensor,
        position: nn.Linear,
    ) -> Tensor:
        """[B, Q, M, D]. `position` embeds relative positions; the query's own is that of (0, 0)."""
        attention = self.attention
        heads, width = attention.heads, query_BQMD.shape[-1]
        (weight_q, weight_k, weight_v), (bias_q, bias_k, bias_v) = (
            attention.qkv.weight.chunk(3),
            attention.qkv.bias.chunk(3),
        )
        tokens_BKD = F.pad(tokens_BVD, (0, 0, 0, 1))
        relative = F.pad(relative_BQV2, (0, 0, 0, 1), value=1.0)
        ignored = F.pad(ignored_BQV, (0, 1), value=False)
        own_position = position.bias.to(query_BQMD.dtype)
        q = F.linear(query_BQMD + own_position, weight_q, bias_q).unflatten(-1, (heads, -1))
        k = F.linear(tokens_BKD, weight_k, bias_k).unflatten(-1, (heads, -1))
        v = F.linear(tokens_BKD, weight_v, bias_v).unflatten(-1, (heads, -1))
        # The embedding's bias adds the same to every key of a query, which softmax does not see.
        direction = (weight_k.float() @ position.weight.float()).unflatten(0, (heads, -1))
        slope = torch.einsum("bqmhd,hdc->bhqmc", q.float(), direction)
        scores = torch.einsum("bqmhd,bkhd->bhqmk", q, k).float()
        scores = scores + torch.einsum("bhqmc,bqkc->bhqmk", slope, relative.float())
        scores = scores * (width // heads) ** -0.5
        scores = scores.masked_fill(ignored[:, None, :, None], float("-inf"))
        shares = F.dropout(scores.softmax(-1), attention.dropout, self.training)
        attended = torch.einsum("bhqmk,bkhd->bqmhd", shares.to(v.dtype), v).flatten(3)
        projected = F.dropout(attention.output(attended), attention.dropout, self.training)
        return self.after_attention(query_BQMD + projected)


@dataclass(slots=True)
class MotionOutputs:
    """`motion_BQM2D`, `forecasts_BQMT2` (per-step offsets, m), `mode_logits_BQM`."""

    motion_BQM2D: Tensor
    forecasts_BQMT2: Tensor
    mode_logits_BQM: Tensor


class Motion(nn.Module):
    """Agent states to multi-modal forecasts.

    compatibility "vad_release": a line's place is its point nearest to the corner (0, 0) of the range, in
    normalised coordinates, and is ignored beyond `distance_threshold` of them. "none": its point nearest to
    the agent, in metres; the threshold is a share of the range's length.
    """

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        self.config = config
        width, modes = config.embed_dims, config.agents.modes
        self.released = config.compatibility == "vad_release"
        self.mode_queries = nn.Parameter(torch.empty(modes, width))
        nn.init.orthogonal_(self.mode_queries)
        self.agent_position = nn.Linear(2, width)
        self.map_position = nn.Linear(2, width)
        sizes = (width, config.heads, config.ffn_dims, config.dropout)
        self.agent_interaction = InteractionLayer(*sizes)
        self.map_interaction = RelativeMapAttention(*sizes)
        self.forecast_head = relu_mlp(2 * width, 2 * width, config.planner.steps * 2)
        self.mode_head = norm_mlp(2 * width, 2 * width, 1)

    def forward(self, agents: AgentDecoderOutputs, lines: MapDecoderOutputs) -> MotionOutputs:
        batch, queries, width = agents.states_BQD.shape
        modes = len(self.mode_queries)
        dtype = agents.states_BQD.dtype
        query = (agents.states_BQD[:, :, None] + self.mode_queries.to(dtype)).flatten(1, 2)
        position = exact(self.agent_position, agents.centers_BQ2)[:, :, None].expand(-1, -1, modes, -1).flatten(1, 2)
        tap("motion.agent_query", query)
        tap("motion.agent_query_position", position)
        among_agents = self.agent_interaction(query, position.to(dtype))
        tap("motion.agent_out", among_agents)
        relative, far = self._relative_anchors(agents.centers_BQ2, lines.anchors_BVP2)
        kept_BV = lines.logits_LBVC[-1].sigmoid().amax(-1) > self.config.map.score_threshold
        ignored = far | ~kept_BV[:, None]
        tap("motion.lines_kept", kept_BV)
        tap("motion.lines_ignored", ignored)
        tap("motion.map_key_position", lambda: exact(self.map_position, F.pad(relative, (0, 0, 0, 1), value=1.0)))
        tap("motion.map_query_position", self.map_position.bias)
        of_map = self.map_interaction.forward_relative(
            among_agents.unflatten(1, (queries, modes)), lines.tokens_BVD, relative, ignored, self.map_position
        )
        tap("motion.map_out", of_map)
        motion = torch.cat([among_agents.view(batch, queries, modes, width), of_map], dim=-1)
        tap("motion.states", motion)
        return MotionOutputs(
            motion,
            run_head(self.forecast_head, motion).unflatten(-1, (-1, 2)),
            run_head(self.mode_head, motion).squeeze(-1),
        )

    def _relative_anchors(self, centers_BQ2: Tensor, points_BVP2: Tensor) -> tuple[Tensor, Tensor]:
        """Each line's place relative to each agent [B, Q, V, 2] (normalised), and whether it is too far."""
        threshold = self.config.map.distance_threshold
        if self.released:
            anchors = nearest_points(points_BVP2, points_BVP2.new_zeros(2))
            relative = anchors[:, None] - centers_BQ2[:, :, None]
            return relative, relative.norm(dim=-1) > threshold
        extent = centers_BQ2.new_tensor(self.config.extent)
        all_relative = points_BVP2[:, None] - centers_BQ2[:, :, None, None]
        distance = (all_relative * extent).norm(dim=-1)
        nearest = distance.argmin(dim=-1, keepdim=True)
        relative = all_relative.gather(3, nearest[..., None].expand(-1, -1, -1, -1, 2)).squeeze(3)
        return relative, distance.gather(3, nearest).squeeze(3) > threshold * self.config.extent[1]


def nearest_points(points_BVP2: Tensor, target_2: Tensor, scale_2: Tensor | None = None) -> Tensor:
    """[B, V, 2]: of every line the point nearest to one target; `scale` turns coordinates into metres first."""
    offset = points_BVP2 - target_2
    nearest = (offset if scale_2 is None else offset * scale_2).norm(dim=-1).argmin(dim=-1)
    return points_BVP2.gather(2, nearest[..., None, None].expand(-1, -1, 1, 2)).squeeze(2)
