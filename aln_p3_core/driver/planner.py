"""The planner: one ego query reads the agents, the map and (ours) the BEV, and yields a path for every command.

Suffixes: B batch, Q agents, V map lines, M modes, D width, R BEV rows, S BEV columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.agent_decoder import AgentDecoderOutputs
from aln_p3_core.driver.attention import InteractionLayer, exact, relu_mlp, run_head
from aln_p3_core.driver.map_decoder import MapDecoderOutputs
from aln_p3_core.driver.motion import nearest_points
from aln_p3_core.driver.tap import tap

EGO_STATUS_WIDTH = 8


class Planner(nn.Module):
    """Ego query to plan offsets [B, commands, steps, 2] (metres a step) and the ego feature [B, 2D].

    compatibility "vad_release": the ego car stands at normalised (0, 0), the corner of the range, and a
    line's place is its point nearest to that corner. "none": the model frame's true origin, and the point
    nearest to it in metres.
    """

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        self.config = config
        width = config.embed_dims
        self.ego_query = nn.Parameter(torch.randn(1, width))
        self.agent_fusion = nn.Sequential(
            nn.Linear(config.agents.modes * 2 * width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        )
        self.agent_position = nn.Linear(2, width)
        self.map_position = nn.Linear(2, width)
        sizes = (width, config.heads, config.ffn_dims, config.dropout)
        self.agent_interaction = InteractionLayer(*sizes)
        self.map_interaction = InteractionLayer(*sizes)
        grid = config.planner.bev_grid
        self.bev_interaction = InteractionLayer(*sizes) if grid else None
        self.bev_position = nn.Parameter(torch.randn(grid * grid, width)) if grid else None
        self.plan_head = relu_mlp(2 * width, 2 * width, config.planner.commands * config.planner.steps * 2)
        self.status_encoder = (
            nn.Sequential(nn.Linear(EGO_STATUS_WIDTH, width), nn.ReLU(), nn.Linear(width, width))
            if config.ego_status == "planner"
            else None
        )

    def forward(
        self,
        motion_BQM2D: Tensor,
        agents: AgentDecoderOutputs,
        lines: MapDecoderOutputs,
        bev_BRSD: Tensor,
        ego_status_B8: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        batch = len(motion_BQM2D)
        dtype = motion_BQM2D.dtype
        ego = self.ego_query.expand(batch, 1, -1).float()
        if self.status_encoder is not None:
            if ego_status_B8 is None:
                raise ValueError("this recipe reads ego_status_B8, but the inputs do not hold it")
            ego = ego + exact(self.status_encoder, ego_status_B8)[:, None]
        ego = ego.to(dtype)
        here_2, scale_2 = self._ego_place(agents.centers_BQ2)
        agent_tokens = self.agent_fusion(motion_BQM2D.flatten(2))
        tap("planner.agent_tokens", agent_tokens)
        ego = self._read(
            "planner.agent", self.agent_interaction, self.agent_position, ego, here_2, agent_tokens, agents.centers_BQ2
        )
        of_agents = ego
        anchors = nearest_points(lines.anchors_BVP2, here_2, scale_2)
        of_map = self._read(
            "planner.map", self.map_interaction, self.map_position, ego, here_2, lines.tokens_BVD, anchors
        )
        if self.bev_interaction is not None and self.bev_position is not None:
            of_map = self._read_bev(self.bev_interaction, self.bev_position, of_map, bev_BRSD)
        feature = torch.cat([of_agents, of_map], dim=-1)
        tap("planner.feature", feature)
        offsets = run_head(self.plan_head, feature[:, 0])
        planner = self.config.planner
        offsets = offsets.view(batch, planner.commands, planner.steps, 2)
        if self.status_encoder is not None and ego_status_B8 is not None and planner.velocity_prior:
            # Ego frame (x forward, y left) to model frame (x right, y forward). A status that is not known is zero.
            step = torch.stack([-ego_status_B8[:, 1], ego_status_B8[:, 0]], dim=-1) * planner.step_s
            offsets = offsets + step[:, None, None]
        return offsets, feature[:, 0]

    def _read_bev(
        self, interaction: InteractionLayer, position_KD: Tensor, ego_B1D: Tensor, bev_BRSD: Tensor
    ) -> Tensor:
        pooled = F.adaptive_avg_pool2d(bev_BRSD.permute(0, 3, 1, 2), self.config.planner.bev_grid)
        tokens = pooled.flatten(2).transpose(1, 2).to(ego_B1D.dtype)
        return interaction(ego_B1D, torch.zeros_like(ego_B1D), tokens, position_KD.to(ego_B1D.dtype))

    def _ego_place(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.config.compatibility == "vad_release":
            return like.new_zeros(2), None
        extent = like.new_tensor(self.config.extent)
        return -like.new_tensor(self.config.point_cloud_range[:2]) / extent, extent

    @staticmethod
    def _read(
        name: str,
        interaction: InteractionLayer,
        embed: nn.Linear,
        ego_B1D: Tensor,
        here_2: Tensor,
        tokens_BKD: Tensor,
        places_BK2: Tensor,
    ) -> Tensor:
        ego_position = exact(embed, here_2).expand_as(ego_B1D).to(ego_B1D.dtype)
        token_position = exact(embed, places_BK2).to(tokens_BKD.dtype)
        tap(f"{name}_query", ego_B1D)
        tap(f"{name}_query_position", ego_position)
        tap(f"{name}_key", tokens_BKD)
        tap(f"{name}_key_position", token_position)
        out = interaction(ego_B1D, ego_position, tokens_BKD, token_position)
        tap(f"{name}_out", out)
        return out
