"""The planner: ego queries read agents, map and (ours) BEV and pictures, and yield a path for every command.

Suffixes: B batch, Q agents, V map lines, M modes, D width, R BEV rows, S BEV columns, K tokens, E ego queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.agent_decoder import AgentDecoderOutputs
from aln_p3_core.driver.attention import InteractionLayer, exact, relu_mlp, run_head
from aln_p3_core.driver.map_decoder import MapDecoderOutputs
from aln_p3_core.driver.motion import MotionOutputs, nearest_points
from aln_p3_core.driver.plan_refiner import PlanRefiner, RefinedScene
from aln_p3_core.driver.tap import tap

EGO_STATUS_WIDTH = 8


@dataclass(slots=True)
class PlannerTokens:
    """All that the planner reads of a scene. Made without parameters of the planner: it can be kept while these learn.

    Attributes:
        motion_BQM2D: motion states of the agents.
        agent_places_BQ2, line_places_BV2: where agents and lines are, 0..1 over the range.
        lines_BVD: one token a map line.
        agent_boxes_BQ10, agent_logits_BQC, agent_forecasts_BQMT2, agent_mode_logits_BQM, map_points_BVP2,
            map_logits_BVC: what the last decoder layers and the motion say, as in `DriverOutputs`, without gradient;
            read with `planner.reads_decoded` and `planner.refinements` only.
        bev_BKD: the BEV map, averaged to `planner.bev_grid` squared tokens; None where the recipe does not read it.
        image_BKD: feature map of the camera `planner.image_camera`; None where the recipe does not read it.
    """

    motion_BQM2D: Tensor
    agent_places_BQ2: Tensor
    lines_BVD: Tensor
    line_places_BV2: Tensor
    agent_boxes_BQ10: Tensor
    agent_logits_BQC: Tensor
    agent_forecasts_BQMT2: Tensor
    agent_mode_logits_BQM: Tensor
    map_points_BVP2: Tensor
    map_logits_BVC: Tensor
    bev_BKD: Tensor | None = None
    image_BKD: Tensor | None = None


@dataclass(slots=True)
class _Placed:
    """Tokens with embedded positions, and the embedded position of the ego car itself."""

    here_D: Tensor
    tokens_BKD: Tensor
    positions_BKD: Tensor


class GridReading(nn.Module):
    """Reading of a BEV map or a picture (ours): tokens at learned places of their own."""

    def __init__(self, cells: int, sizes: tuple[int, int, int, float]) -> None:
        super().__init__()
        self.interaction = InteractionLayer(*sizes)
        self.position = nn.Parameter(torch.randn(cells, sizes[0]))

    def forward(self, ego_BED: Tensor, tokens_BKD: Tensor) -> Tensor:
        position = self.position.to(ego_BED.dtype)
        return self.interaction(ego_BED, torch.zeros_like(ego_BED), tokens_BKD.to(ego_BED.dtype), position)


class Round(nn.Module):
    """One look of the ego queries at everything: agents first, then lines, BEV map and picture."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        sizes = (config.embed_dims, config.heads, config.ffn_dims, config.planner.dropout)
        grid, cells = bev_read(config), math.prod(image_grid(config))
        self.agents = InteractionLayer(*sizes)
        self.lines = InteractionLayer(*sizes)
        self.bev = GridReading(grid * grid, sizes) if grid else None
        self.image = GridReading(cells, sizes) if cells else None

    def forward(
        self,
        name: str,
        ego_BED: Tensor,
        agents: _Placed,
        lines: _Placed,
        bev_BKD: Tensor | None,
        image_BKD: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Ego queries after the agents, and after everything."""
        of_agents = _read(f"{name}.agent", self.agents, ego_BED, agents)
        of_map = _read(f"{name}.map", self.lines, of_agents, lines)
        if self.bev is not None:
            of_map = self.bev(of_map, bev_BKD)
        if self.image is not None:
            of_map = self.image(of_map, image_BKD)
        return of_agents, of_map


class Planner(nn.Module):
    """Ego queries to plan offsets [B, commands, steps, 2] (metres a step) and the ego feature [B, 2D].

    compatibility "vad_release": the ego car stands at normalised (0, 0), the corner of the range, and a
    line's place is its point nearest to that corner. "none": the model frame's true origin, and the point
    nearest to it in metres.
    """

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        self.config = config
        width, planner = config.embed_dims, config.planner
        queries = planner.commands if planner.command_queries else 1
        self.ego_query = nn.Parameter(torch.randn(queries, width))
        self.agent_fusion = nn.Sequential(
            nn.Linear(config.agents.modes * 2 * width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        )
        self.agent_position = nn.Linear(2, width)
        self.map_position = nn.Linear(2, width)
        self.rounds = nn.ModuleList(Round(config) for _ in range(planner.rounds))
        self.refiners = nn.ModuleList(PlanRefiner(config) for _ in range(planner.refinements))
        self.plan_head = relu_mlp(2 * width, 2 * width, planner.commands // queries * planner.steps * 2)
        self.status_encoder = (
            nn.Sequential(nn.Linear(EGO_STATUS_WIDTH, width), nn.ReLU(), nn.Linear(width, width))
            if config.ego_status == "planner"
            else None
        )
        agents, lines = config.agents, config.map
        self.agent_decoded = nn.Linear(10 + len(agents.classes), width) if planner.reads_decoded else None
        self.line_decoded = (
            nn.Linear(2 * lines.points_per_line + len(lines.classes), width) if planner.reads_decoded else None
        )

    def tokens(
        self,
        motion: MotionOutputs,
        agents: AgentDecoderOutputs,
        lines: MapDecoderOutputs,
        bev_BRSD: Tensor,
        image_BKD: Tensor | None,
    ) -> PlannerTokens:
        """What the planner reads of a scene; `image_BKD` of `image_tokens`."""
        return PlannerTokens(
            motion.motion_BQM2D,
            agents.centers_BQ2,
            lines.tokens_BVD,
            nearest_points(lines.anchors_BVP2, *self._ego_place(agents.centers_BQ2)),
            # The plan shall not move what was perceived.
            agents.boxes_LBQ10[-1].detach(),
            agents.logits_LBQC[-1].detach(),
            motion.forecasts_BQMT2.detach(),
            motion.mode_logits_BQM.detach(),
            lines.points_LBVP2[-1].detach(),
            lines.logits_LBVC[-1].detach(),
            self._bev_tokens(bev_BRSD) if self.config.planner.bev_grid else None,
            image_BKD,
        )

    def image_tokens(self, features: list[Tensor]) -> Tensor | None:
        """`PlannerTokens.image_BKD` from the maps [B * N, D, h, w] of all cameras, fine to coarse."""
        cameras, camera = self.config.cameras, self.config.planner.image_camera
        if not camera:
            return None
        of_camera = features[-1].unflatten(0, (-1, len(cameras)))[:, cameras.index(camera)]
        return of_camera.flatten(2).transpose(1, 2)

    def forward(
        self, tokens: PlannerTokens, ego_status_B8: Tensor | None, refined_B: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Suffix E: ego queries, one for each command or one for all.

        refined_B: the only command whose plan is refined, for trainings, which read no other; all when None.
        """
        dtype = tokens.motion_BQM2D.dtype
        ego = self.ego_query.expand(len(tokens.motion_BQM2D), -1, -1).float()
        if self.status_encoder is not None:
            if ego_status_B8 is None:
                raise ValueError("this recipe reads ego_status_B8, but the inputs do not hold it")
            ego = ego + exact(self.status_encoder, ego_status_B8)[:, None]
        ego = ego.to(dtype)
        here_2, _ = self._ego_place(tokens.agent_places_BQ2)
        agents_BQD = self.agent_fusion(tokens.motion_BQM2D.flatten(2))
        tap("planner.agent_tokens", agents_BQD)
        lines_BVD = tokens.lines_BVD
        if self.agent_decoded is not None and self.line_decoded is not None:
            agents_BQD = agents_BQD + exact(self.agent_decoded, _agent_facts(tokens)).to(dtype)
            lines_BVD = lines_BVD + exact(self.line_decoded, _line_facts(tokens)).to(dtype)
        agents = self._placed(self.agent_position, here_2, agents_BQD, tokens.agent_places_BQ2)
        lines = self._placed(self.map_position, here_2, lines_BVD, tokens.line_places_BV2)
        bev_BKD = None if tokens.bev_BKD is None else self._bev_read(tokens.bev_BKD)
        of_agents = of_map = ego
        for number, look in enumerate(self.rounds):
            name = f"planner.round{number}" if number else "planner"
            of_agents, of_map = look(name, of_map, agents, lines, bev_BKD, tokens.image_BKD)
        feature_BE2D = torch.cat([of_agents, of_map], dim=-1)
        tap("planner.feature", feature_BE2D)
        planner = self.config.planner
        offsets = run_head(self.plan_head, feature_BE2D).view(-1, planner.commands, planner.steps, 2)
        if self.status_encoder is not None and ego_status_B8 is not None and planner.velocity_prior:
            # Ego frame (x forward, y left) to model frame (x right, y forward). A status that is not known is zero.
            step = torch.stack([-ego_status_B8[:, 1], ego_status_B8[:, 0]], dim=-1) * planner.step_s
            offsets = offsets + step[:, None, None]
        if self.refiners:
            offsets = self._refined(offsets, feature_BE2D, tokens, refined_B)
        return offsets, feature_BE2D.mean(1)

    def _refined(
        self, offsets_BCT2: Tensor, feature_BE2D: Tensor, tokens: PlannerTokens, refined_B: Tensor | None
    ) -> Tensor:
        scene = self._refined_scene(tokens)
        offsets, feature, places = offsets_BCT2, feature_BE2D, None
        if refined_B is not None:
            places = refined_B[:, None, None, None].expand(-1, 1, *offsets.shape[2:])
            offsets = offsets.gather(1, places)
            if feature.shape[1] > 1:
                feature = feature.gather(1, refined_B[:, None, None].expand(-1, 1, feature.shape[2]))
        for refiner in self.refiners:
            offsets = refiner(offsets, feature, scene, refined_B)
        return offsets if places is None else offsets_BCT2.scatter(1, places, offsets)

    def _bev_tokens(self, bev_BRSD: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(bev_BRSD.permute(0, 3, 1, 2), self.config.planner.bev_grid)
        return pooled.flatten(2).transpose(1, 2)

    def _bev_read(self, bev_BKD: Tensor) -> Tensor:
        """Tokens for the ego queries: the kept grid, averaged once more."""
        side, read = self.config.planner.bev_grid, bev_read(self.config)
        if side == read:
            return bev_BKD
        grid = bev_BKD.transpose(1, 2).unflatten(2, (side, side))
        return F.avg_pool2d(grid, side // read).flatten(2).transpose(1, 2)

    def _refined_scene(self, tokens: PlannerTokens) -> RefinedScene:
        assert tokens.bev_BKD is not None  # the configuration sees to it
        return RefinedScene(
            self.config,
            tokens.bev_BKD,
            tokens.agent_boxes_BQ10,
            tokens.agent_logits_BQC,
            tokens.agent_forecasts_BQMT2,
            tokens.agent_mode_logits_BQM,
            tokens.map_points_BVP2,
            tokens.map_logits_BVC,
        )

    def _ego_place(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.config.compatibility == "vad_release":
            return like.new_zeros(2), None
        extent = like.new_tensor(self.config.extent)
        return -like.new_tensor(self.config.point_cloud_range[:2]) / extent, extent

    @staticmethod
    def _placed(embed: nn.Linear, here_2: Tensor, tokens_BKD: Tensor, places_BK2: Tensor) -> _Placed:
        dtype = tokens_BKD.dtype
        return _Placed(exact(embed, here_2).to(dtype), tokens_BKD, exact(embed, places_BK2).to(dtype))


def _read(name: str, interaction: InteractionLayer, ego_BED: Tensor, seen: _Placed) -> Tensor:
    ego_position = seen.here_D.expand_as(ego_BED)
    tap(f"{name}_query", ego_BED)
    tap(f"{name}_query_position", ego_position)
    tap(f"{name}_key", seen.tokens_BKD)
    tap(f"{name}_key_position", seen.positions_BKD)
    out: Tensor = interaction(ego_BED, ego_position, seen.tokens_BKD, seen.positions_BKD)
    tap(f"{name}_out", out)
    return out


def _agent_facts(tokens: PlannerTokens) -> Tensor:
    """[B, Q, 10 + classes]: box codes in tens of metres and of m/s, and probabilities."""
    boxes = tokens.agent_boxes_BQ10.float()
    scale = boxes.new_tensor([0.1, 0.1, 1, 1, 0.1, 1, 1, 1, 0.1, 0.1])
    return torch.cat([boxes * scale, tokens.agent_logits_BQC.float().sigmoid()], dim=-1)


def _line_facts(tokens: PlannerTokens) -> Tensor:
    """[B, V, 2 P + classes]: points in -1..1 over the range, and probabilities."""
    points = tokens.map_points_BVP2.float() * 2 - 1
    return torch.cat([points.flatten(2), tokens.map_logits_BVC.float().sigmoid()], dim=-1)


def bev_read(config: DriverConfig) -> int:
    """Side of the grid of BEV tokens that the ego queries read; 0 where they read none."""
    return config.planner.bev_read or config.planner.bev_grid


def image_grid(config: DriverConfig) -> tuple[int, int]:
    """Rows and columns of the feature map that the planner reads of its camera; (0, 0) where it reads none."""
    if not config.planner.image_camera:
        return 0, 0
    backbone = config.backbone
    taken = len(backbone.out_stages)
    # Levels beyond those of the backbone are made by halving. A ResNet's first stage has stride 4.
    log_stride = backbone.out_stages[min(backbone.levels, taken) - 1] + max(0, backbone.levels - taken)
    log_stride += backbone.kind == "resnet50"
    return -(-config.image.height // 2**log_stride), -(-config.image.width // 2**log_stride)
