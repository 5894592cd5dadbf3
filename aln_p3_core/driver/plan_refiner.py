"""Corrects a plan by what stands where it leads: the BEV map, agents and lines about every planned point (ours).

The planner's queries see the scene as a whole. Here every planned point looks around itself, in its own frame: the
same road, the same car in the way, looks the same wherever the plan meets it, so little data teaches much.

Suffixes: B batch, C commands, T steps, K things (agents or lines), D width, F facts, G geometry, E ego queries,
S samples of a point.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.attention import InteractionLayer

#: Places about a planned point where the BEV map is read, m to its right and ahead of it.
_SAMPLES_M = tuple((float(x), float(y)) for y in (0, 4) for x in (-4, -2, 0, 2, 4))
#: Width of what is read of the BEV map at one place, and of what is said about one thing.
_SAMPLE_WIDTH, _PAIR_WIDTH = 32, 64
#: Metres over which "near" fades.
_NEAR_M = (1.5, 5.0)
#: Of the soft minimum over a line's segments, 1/m.
_SHARPNESS = 4.0
#: Below this step length, m, a planned point keeps looking straight ahead.
_STILL_M = 0.3


class PairReading(nn.Module):
    """Attention of planned points over things, by what a thing is and where it is as seen from the point."""

    def __init__(self, width: int, facts: int, geometry: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, _PAIR_WIDTH)
        self.facts = nn.Linear(facts, _PAIR_WIDTH)
        self.geometry = nn.Linear(geometry, _PAIR_WIDTH)
        self.score = nn.Linear(_PAIR_WIDTH, heads)
        self.output = nn.Linear(_PAIR_WIDTH, width)

    def forward(self, points_BCTD: Tensor, facts_BKF: Tensor, geometry_BCTKG: Tensor) -> Tensor:
        """[B, C, T, D]."""
        told = self.facts(facts_BKF)[:, None, None] + self.query(points_BCTD)[..., None, :]
        pairs = F.relu(told + self.geometry(geometry_BCTKG))
        shares = self.score(pairs).softmax(-2)
        read = (shares[..., None] * pairs.unflatten(-1, (self.heads, -1))).sum(-3)
        return self.output(read.flatten(-2))


class PlanRefiner(nn.Module):
    """One correction of a plan. At the start it changes next to nothing.

    Geometry is in metres of the model frame (x right, y forward) and carries no gradient: a plan is corrected, not the
    places where it looks.
    """

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width, planner = config.embed_dims, config.planner
        self.config = config
        self.ego = nn.Linear(2 * width, width)
        self.step = nn.Parameter(torch.randn(planner.steps, width) * 0.1)
        self.command = nn.Parameter(torch.randn(planner.commands, width) * 0.1)
        self.point = nn.Linear(4, width)
        self.bev = nn.Conv2d(width, _SAMPLE_WIDTH, 3, padding=1)
        self.samples = nn.Linear(_SAMPLE_WIDTH * len(_SAMPLES_M), width)
        self.agents = PairReading(width, 4 + len(config.agents.classes), 8 + len(_NEAR_M), config.heads)
        self.lines = PairReading(width, len(config.map.classes), 6 + len(_NEAR_M), config.heads)
        self.norm = nn.LayerNorm(width)
        self.along = InteractionLayer(width, config.heads, config.ffn_dims, planner.dropout)
        self.correction = nn.Linear(width, 2)
        nn.init.normal_(self.correction.weight, std=0.01)
        nn.init.zeros_(self.correction.bias)

    def forward(
        self, offsets_BCT2: Tensor, feature_BED2: Tensor, scene: RefinedScene, commands_B: Tensor | None = None
    ) -> Tensor:
        """Better per-step offsets [B, C, T, 2], m.

        Args:
            offsets_BCT2: the plan so far.
            feature_BED2: ego features [B, E, 2D]; E is 1 or the number of commands.
            scene: of the same samples.
            commands_B: whose plans these are, with C = 1; None for the plans of all commands.
        """
        command = self.command if commands_B is None else self.command[commands_B][:, None]
        with torch.autocast(offsets_BCT2.device.type, enabled=False):
            ego = self.ego(feature_BED2.float()) + command
            return offsets_BCT2 + self._correction(offsets_BCT2.detach().float(), ego, scene)

    def _correction(self, steps_BCT2: Tensor, ego_BCD: Tensor, scene: RefinedScene) -> Tensor:
        points = steps_BCT2.cumsum(2)
        forward = F.normalize(steps_BCT2 + steps_BCT2.new_tensor([0.0, _STILL_M]), dim=-1)
        x = ego_BCD[:, :, None] + self.step
        x = x + self.point(torch.cat([points * 0.1, steps_BCT2 * 0.3], dim=-1))
        x = x + self._of_bev(points, forward, scene)
        x = self.norm(x + self._of_agents(x, points, forward, scene) + self._of_lines(x, points, forward, scene))
        flat = x.flatten(0, 1)
        flat = self.along(flat, self.step.expand_as(flat))
        correction: Tensor = self.correction(flat).unflatten(0, steps_BCT2.shape[:2])
        return correction

    def _of_bev(self, points: Tensor, forward: Tensor, scene: RefinedScene) -> Tensor:
        places = points.new_tensor(_SAMPLES_M)
        right = torch.stack([forward[..., 1], -forward[..., 0]], dim=-1)
        where = points[..., None, :] + places[:, :1] * right[..., None, :] + places[:, 1:] * forward[..., None, :]
        low = points.new_tensor(self.config.point_cloud_range[:2])
        grid = (where - low) / points.new_tensor(self.config.extent) * 2 - 1
        batch, commands, steps, samples, _ = grid.shape
        read = F.grid_sample(self.bev(scene.bev_BDRS), grid.flatten(1, 2), mode="bilinear", align_corners=False)
        read = read.permute(0, 2, 3, 1).reshape(batch, commands, steps, samples * _SAMPLE_WIDTH)
        return self.samples(read)

    def _of_agents(self, x: Tensor, points: Tensor, forward: Tensor, scene: RefinedScene) -> Tensor:
        places = scene.agent_places_BTK2[:, None]
        away = _seen_from(places - points[..., None, :], forward)
        heading = _seen_from(scene.agent_forward_BK2[:, None, None], forward)
        velocity = _seen_from(scene.agent_velocity_BK2[:, None, None], forward)
        pairs = torch.cat([_close(away), heading, velocity * 0.1, _near(away)], dim=-1)
        return self.agents(x, scene.agent_facts_BKF, torch.cat([pairs, away * 0.05], dim=-1))

    def _of_lines(self, x: Tensor, points: Tensor, forward: Tensor, scene: RefinedScene) -> Tensor:
        away, direction = _nearest_on_lines(points, scene.line_points_BKP2)
        away, direction = _seen_from(away, forward), _seen_from(direction, forward)
        pairs = torch.cat([_close(away), direction, _near(away), away * 0.05], dim=-1)
        return self.lines(x, scene.line_facts_BKF, pairs)


class RefinedScene:
    """Agents and lines of a scene, and its BEV map, laid out for `PlanRefiner`.

    Attributes:
        bev_BDRS: tokens of the BEV map, as a map.
        agent_places_BTK2: where an agent is forecast to be at each step (mean of its modes), m.
        agent_forward_BK2, agent_velocity_BK2: unit vector and m/s. agent_facts_BKF: sizes and probabilities.
        line_points_BKP2: m. line_facts_BKF: probabilities.
    """

    def __init__(
        self,
        config: DriverConfig,
        bev_BKD: Tensor,
        boxes_BQ10: Tensor,
        logits_BQC: Tensor,
        forecasts_BQMT2: Tensor,
        mode_logits_BQM: Tensor,
        points_BVP2: Tensor,
        line_logits_BVC: Tensor,
    ) -> None:
        """Arguments as fields of `planner.PlannerTokens`."""
        side = config.planner.bev_grid
        self.bev_BDRS = bev_BKD.float().transpose(1, 2).unflatten(2, (side, side))
        probabilities = logits_BQC.float().sigmoid()
        boxes = boxes_BQ10.float()
        # The mean over the modes rather than the likeliest one, which can change at a touch.
        shares = mode_logits_BQM.float().softmax(-1)[..., None, None]
        paths = boxes[:, :, None, :2] + (forecasts_BQMT2.float() * shares).sum(2).cumsum(2)
        self.agent_places_BTK2 = paths.transpose(1, 2)
        # The yaw that is told is -heading - pi/2, so its sine is -cos(heading), its cosine -sin(heading).
        self.agent_forward_BK2 = F.normalize(-boxes[..., 6:8], dim=-1)
        self.agent_velocity_BK2 = boxes[..., 8:10]
        self.agent_facts_BKF = torch.cat([boxes[..., 2:4], boxes[..., 4:6] * 0.3, probabilities], dim=-1)
        low = boxes.new_tensor(config.point_cloud_range[:2])
        self.line_points_BKP2 = points_BVP2.float() * boxes.new_tensor(config.extent) + low
        self.line_facts_BKF = line_logits_BVC.float().sigmoid()


def _seen_from(vectors_BCTK2: Tensor, forward_BCT2: Tensor) -> Tensor:
    """Vectors as (to the right, ahead) of who looks along `forward`."""
    ahead = (vectors_BCTK2 * forward_BCT2[..., None, :]).sum(-1)
    right = torch.stack([forward_BCT2[..., 1], -forward_BCT2[..., 0]], dim=-1)
    return torch.stack([(vectors_BCTK2 * right[..., None, :]).sum(-1), ahead], dim=-1)


def _close(away: Tensor) -> Tensor:
    """Finer the nearer: 4 m are 0.5 and infinity is 1."""
    return away / (away.abs() + 4.0)


def _near(away: Tensor) -> Tensor:
    return torch.exp(-away.norm(dim=-1, keepdim=True) / away.new_tensor(_NEAR_M))


def _nearest_on_lines(points_BCT2: Tensor, lines_BKP2: Tensor) -> tuple[Tensor, Tensor]:
    """From each point to the nearest place of each line, m, and the line's direction there: [B, C, T, K, 2]."""
    start, along = lines_BKP2[:, :, :-1], lines_BKP2.diff(dim=2)
    start, along = start[:, None, None], along[:, None, None]
    to_start = start - points_BCT2[:, :, :, None, None]
    length2 = (along * along).sum(-1).clamp_min(1e-6)
    share = (-(to_start * along).sum(-1) / length2).clamp(0, 1)
    away = to_start + share[..., None] * along
    # A soft minimum over the segments: the nearest one can change at a touch.
    nearness = (-_SHARPNESS * (away * away).sum(-1).add(1e-6).sqrt()).softmax(-1)[..., None]
    direction = along / (length2.sqrt()[..., None] + 1.0)
    return (away * nearness).sum(-2), (direction * nearness).sum(-2)
