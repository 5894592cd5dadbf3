"""The holistic token mixer: a driver's tokens become a few soft tokens of a language model (ALN-P3's E).

BEV map, objects, ego feature and plan are brought to one width, mixed by attention, brought to the language model's
width and spread over the scenes. Suffixes: B scenes, A agents, D driver width, W mixer width, I instance width, U
distinct pairs of scene and focus, X texts, K context tokens, E language model width; others as in `scene_context`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.scene_context import BOX_WIDTH, SceneContext
from aln_p3_core.explainer.settings import BEV_LIMIT, TokenMixerSettings

# Typical magnitudes of a box's numbers: metres, metres, one, metres a second.
_BOX_SCALE = (15.0, 30.0, 2.0, 5.0, 2.0, 2.0, 1.0, 1.0, 5.0, 5.0)
_TEMPERATURE = 1e4
# Share of a batch in the running statistics of `SceneSpread`.
_MOMENTUM = 0.05
_EPSILON = 1e-5


@dataclass(slots=True)
class MixedTokens:
    """What the mixer makes.

    Attributes:
        context_XKE: the language model's context of each text: BEV, instances, map lines (where asked for), ego, plan.
        instances_BAI: token of each object, Q'_instance (P1A); rows without an agent mean nothing.
        motion_BA2D: the driver's motion features, mean over the modes (P2A).
        ego_BI, plan_BI: ego and plan tokens (P3A).
    """

    context_XKE: Tensor
    instances_BAI: Tensor
    motion_BA2D: Tensor
    ego_BI: Tensor
    plan_BI: Tensor


class HolisticTokenMixer(nn.Module):
    """Mixes every pair of scene and focus once, however many texts are about it.

    Differs from the released code: BEV kernels follow the map's size; GroupNorm instead of BatchNorm, so that one
    scene gives the same tokens alone and in a batch; decoded boxes beside the objects' features; the commanded plan
    instead of the mean over commands.
    """

    def __init__(
        self,
        settings: TokenMixerSettings,
        *,
        driver_width: int,
        steps: int,
        bev_shape: tuple[int, int],
        language_width: int,
        token_scale: float = 1.0,
    ) -> None:
        """
        Args:
            settings: of the recipe.
            driver_width: D.
            steps: T of the plan.
            bev_shape: rows and columns of the BEV map.
            language_width: E.
            token_scale: deviation that the context's numbers start with: that of the model's own embeddings.
        """
        super().__init__()
        self.settings = settings
        width, inner = settings.width, settings.instance_width
        self.bev = BevTokens(settings, driver_width, bev_shape)
        objects = 3 * driver_width + (BOX_WIDTH + inner if settings.reads_boxes else 0)
        self.instance = _fuser(objects, inner)
        self.ego = _fuser(2 * driver_width, inner)
        hidden = settings.plan_hidden
        self.plan = nn.Sequential(nn.Linear(steps * inner, hidden), nn.ReLU(), nn.Linear(hidden, inner))
        self.instance_in = _widened(inner, width)
        self.ego_in = _widened(inner, width)
        self.plan_in = _widened(inner, width)
        self.instances = QueryReader(settings, settings.instance_tokens)
        self.map_in = _widened(driver_width, width) if settings.map_tokens else None
        self.map = QueryReader(settings, settings.map_tokens) if settings.map_tokens else None
        self.out = nn.Linear(width, language_width)
        self.spread = SceneSpread(settings.tokens, language_width, token_scale)
        self.box_scale: Tensor
        self.register_buffer("box_scale", torch.tensor(_BOX_SCALE), persistent=False)

    def forward(self, context: SceneContext, scene_X: Tensor, focus_X: Tensor) -> MixedTokens:
        """
        Args:
            context: of B scenes.
            scene_X: long, row of the scene of each text.
            focus_X: long, row of the agent that each text is about: it alone is seen of all objects; -1: all are.
        """
        settings = self.settings
        instances_BAI = self.instance(self.instance_inputs(context))
        ego_BI = self.ego(context.ego_B2D)
        plan_BI = self.plan(sine_embedding(context.plan_BT2, settings.instance_width).flatten(1))

        agents = context.agent_valid_BA.shape[1]
        pairs_U, pair_X = torch.unique(scene_X * (agents + 1) + focus_X + 1, return_inverse=True)
        scene_U, focus_U = pairs_U // (agents + 1), pairs_U % (agents + 1) - 1
        rows = torch.arange(agents, device=focus_U.device)
        seen_UA = context.agent_valid_BA[scene_U] & ((focus_U[:, None] < 0) | (rows == focus_U[:, None]))
        objects_UKW = self.instances(self.instance_in(instances_BAI)[scene_U], seen_UA)

        groups = [self.bev(context.bev_BRSD)[scene_U], objects_UKW]
        if self.map is not None and self.map_in is not None:
            if context.map_BVD is None:
                raise ConfigError("mixer.map_tokens needs the map tokens of the scenes: make the context with them")
            lines_BVW = self.map_in(context.map_BVD)
            groups.append(self.map(lines_BVW, lines_BVW.new_ones(lines_BVW.shape[:2], dtype=torch.bool))[scene_U])
        groups += [self.ego_in(ego_BI)[scene_U, None], self.plan_in(plan_BI)[scene_U, None]]
        context_XKE = self.spread(self.out(torch.cat(groups, dim=1)))[pair_X]
        return MixedTokens(context_XKE, instances_BAI, context.motion_BAM2D.mean(dim=2), ego_BI, plan_BI)

    def instance_inputs(self, context: SceneContext) -> Tensor:
        """[B, A, n] what `instance` makes Q'_instance from: motion feature, decoder state and, if asked for, box."""
        parts = [context.motion_BAM2D.mean(dim=2), context.agents_BAD]
        if self.settings.reads_boxes:
            boxes = context.agent_boxes_BA10
            parts += [boxes / self.box_scale, sine_embedding(boxes[..., :2], self.settings.instance_width)]
        return torch.cat(parts, dim=-1)


class SceneSpread(nn.Module):
    """Tokens [U, K, E] with the mean 0 and the deviation 1 over scenes, times a learned gain, plus a learned base.

    What is the same for all scenes lies in `base` alone. A mixer that may put it anywhere soon gives every scene the
    same tokens, since a constant prefix is the first thing that helps a language model: behind a LayerNorm the tokens'
    spread over scenes fell to a hundredth within 300 steps, and the words no longer depended on the scene (ours;
    Hint-AD ends in a linear layer). Statistics are those of the batch in training, and running ones otherwise.

    Attributes:
        together: whether the batch is that of all processes (they must then all come here in every step).
    """

    def __init__(self, tokens: int, width: int, scale: float) -> None:
        """`scale`: deviation that the tokens start with."""
        super().__init__()
        self.together = False
        self.gain = nn.Parameter(torch.full((tokens, width), scale))
        self.base = nn.Parameter(torch.zeros(tokens, width))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(tokens, width))
        self.register_buffer("variance", torch.ones(tokens, width))

    def forward(self, tokens_UKE: Tensor) -> Tensor:
        flat = tokens_UKE.flatten(1).float()
        mean, variance = self.mean.view(-1), self.variance.view(-1)
        if self.training and self.together:
            spread = _spread_of_all(flat, mean, variance)
        else:
            of_batch = self.training and len(flat) > 1  # one scene has no spread
            spread = F.batch_norm(flat, mean, variance, training=of_batch, momentum=_MOMENTUM, eps=_EPSILON)
        return spread.view_as(tokens_UKE) * self.gain + self.base


def _spread_of_all(flat_UF: Tensor, running_mean_F: Tensor, running_variance_F: Tensor) -> Tensor:
    """`F.batch_norm` in training, with the statistics of all processes' rows; gradients cross processes too."""
    rows = flat_UF.new_full((1,), float(len(flat_UF)))
    sums = cast(Tensor, _SumOverProcesses.apply(torch.cat([flat_UF.sum(dim=0), rows])))
    count = sums[-1].detach()
    mean_F = sums[:-1] / count
    variance_F = cast(Tensor, _SumOverProcesses.apply((flat_UF - mean_F).square().sum(dim=0))) / count
    with torch.no_grad():
        running_mean_F.lerp_(mean_F, _MOMENTUM)
        running_variance_F.lerp_(variance_F * count / (count - 1).clamp_min(1), _MOMENTUM)
    return (flat_UF - mean_F) * (variance_F + _EPSILON).rsqrt()


class _SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class BevTokens(nn.Module):
    """A BEV map [B, R, S, D] as `bev_side` squared tokens [B, K, W]: strided convolutions, then self-attention.

    Each convolution (kernel 4, stride 2) halves what is longer than four times the side that is wanted; the last one's
    kernel and stride are chosen so that exactly `bev_side` cells are left and every cell is read. Maps beyond
    `BEV_LIMIT` cells a side are averaged down to it first, as the message with the tokens does.
    """

    def __init__(self, settings: TokenMixerSettings, driver_width: int, bev_shape: tuple[int, int]) -> None:
        super().__init__()
        side = settings.bev_side
        if min(bev_shape) < side:
            raise ConfigError(f"a BEV map of {bev_shape[0]} x {bev_shape[1]} cells has no {side} x {side} tokens")
        sizes = [min(size, BEV_LIMIT) for size in bev_shape]
        layers: list[nn.Module] = []
        channels = driver_width
        while max(sizes) >= 4 * side:
            halved = [size >= 4 * side for size in sizes]
            layers += _convolution(channels, settings.bev_channels, halved)
            channels = settings.bev_channels
            sizes = [size // 2 if h else size for size, h in zip(sizes, halved, strict=True)]
        strides = sizes[0] // side, sizes[1] // side
        kernels = sizes[0] - (side - 1) * strides[0], sizes[1] - (side - 1) * strides[1]
        last = nn.Conv2d(channels, settings.width, kernels, strides, bias=False)
        self.convolutions = nn.Sequential(*layers, last, nn.GroupNorm(1, settings.width), nn.ReLU())
        self.position = nn.Parameter(0.02 * torch.randn(side * side, settings.width))
        self.blocks = nn.ModuleList(_block(settings) for _ in range(settings.bev_blocks))

    def forward(self, bev_BRSD: Tensor) -> Tensor:
        maps_BDRS = bev_BRSD.permute(0, 3, 1, 2)
        rows, columns = maps_BDRS.shape[2:]
        if max(rows, columns) > BEV_LIMIT:
            maps_BDRS = F.adaptive_avg_pool2d(maps_BDRS, (min(rows, BEV_LIMIT), min(columns, BEV_LIMIT)))
        tokens_BKW = self.convolutions(maps_BDRS).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens_BKW = block(tokens_BKW)
        return tokens_BKW


class QueryReader(nn.Module):
    """Learned queries that read tokens [U, A, W] of which some are seen [U, A] (bool), through self-attention."""

    def __init__(self, settings: TokenMixerSettings, tokens: int) -> None:
        super().__init__()
        self.pooling = settings.instance_pooling
        self.queries = nn.Parameter(0.02 * torch.randn(tokens, settings.width))
        self.blocks = nn.ModuleList(_block(settings) for _ in range(settings.instance_blocks))

    def forward(self, tokens_UAW: Tensor, seen_UA: Tensor) -> Tensor:
        if self.pooling == "sum":
            tokens_UAW = (tokens_UAW * seen_UA[..., None]).sum(dim=1, keepdim=True)
            seen_UA = seen_UA.new_ones(len(seen_UA), 1)
        count = len(self.queries)
        states = torch.cat([self.queries.expand(len(tokens_UAW), -1, -1), tokens_UAW], dim=1)
        hidden = torch.cat([seen_UA.new_zeros(len(seen_UA), count), ~seen_UA], dim=1)
        for block in self.blocks:
            states = block(states, src_key_padding_mask=hidden)
        return states[:, :count]


def sine_embedding(positions: Tensor, width: int) -> Tensor:
    """[..., 2] positions (m) as [..., width] sines and cosines, y's half first (Hint-AD's temperature and scale)."""
    half = width // 2
    steps = torch.arange(half // 2, device=positions.device, dtype=positions.dtype)
    angles = 2 * math.pi * positions[..., [1, 0], None] / _TEMPERATURE ** (2 * steps / half)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def _fuser(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width_in, 2 * width), nn.LayerNorm(2 * width), nn.ReLU(), nn.Linear(2 * width, width)
    )


def _widened(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width), nn.LayerNorm(width))


def _convolution(channels: int, out: int, halved: list[bool]) -> list[nn.Module]:
    """Halves the axes that are to be (kernel 4, stride 2) and keeps the size of the others (kernel 3)."""
    kernel, stride = (4 if halved[0] else 3, 4 if halved[1] else 3), (2 if halved[0] else 1, 2 if halved[1] else 1)
    convolution = nn.Conv2d(channels, out, kernel, stride, padding=1, bias=False)
    return [convolution, nn.GroupNorm(1, out), nn.ReLU()]


def _block(settings: TokenMixerSettings) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        settings.width,
        settings.heads,
        settings.mlp_ratio * settings.width,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
