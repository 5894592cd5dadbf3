"""What the explainer reads of driving scenes, as one batch of tensors.

Suffixes: B scenes, A agents (padded), M modes, D driver width, V map lines, T plan steps, R BEV rows (y), S BEV
columns (x), Q decoder queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.errors import DataError
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.scene import DrivingScene

#: Numbers of a box: centre x, y, z, length, width, height (m), sine and cosine of the heading, velocity x, y (m/s).
BOX_WIDTH = 10


@dataclass(slots=True)
class SceneContext:
    """Tokens of scenes, in the model frame where they are geometry. Rows of agents that do not exist are zero.

    Attributes:
        bev_BRSD: BEV map; row 0 is the rearmost.
        agents_BAD: last decoder states.
        motion_BAM2D: motion features.
        agent_boxes_BA10: decoded boxes, see `BOX_WIDTH`.
        agent_valid_BA: bool, which rows are agents.
        ego_B2D: planner feature.
        plan_BT2: positions of the commanded plan, m.
        map_BVD: map tokens; None where they are not read (`mixer.map_tokens` 0).
    """

    bev_BRSD: Tensor
    agents_BAD: Tensor
    motion_BAM2D: Tensor
    agent_boxes_BA10: Tensor
    agent_valid_BA: Tensor
    ego_B2D: Tensor
    plan_BT2: Tensor
    map_BVD: Tensor | None = None

    def __len__(self) -> int:
        return len(self.agent_valid_BA)

    @property
    def device(self) -> torch.device:
        return self.ego_B2D.device

    def to(self, device: torch.device | str) -> SceneContext:
        """A copy on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def select(self, rows: Tensor) -> SceneContext:
        """The scenes of the given rows [X] (long), in that order and as often as named; gradients pass."""
        return self._each(lambda tensor: tensor[rows])

    def detach(self) -> SceneContext:
        """A copy that hands no gradient to the driver."""
        return self._each(lambda tensor: tensor.detach())

    def _each(self, change: Callable[[Tensor], Tensor]) -> SceneContext:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {name: None if value is None else change(value) for name, value in given.items()}
        return SceneContext(**changed)


def context_from_scene(scene: DrivingScene, config: ExplainerConfig) -> SceneContext:
    """The context of one scene (B = 1), on the CPU in float32; its agents are `agent_rows(scene, config)`.

    Raises:
        DataError: for a scene without tokens.
    """
    if scene.tokens is None:
        raise DataError(f"scene {scene.token!r} has no tokens; drive with tokens (Driver.plan(..., with_tokens=True))")
    rows = agent_rows(scene, config)
    agents, tokens = scene.agents, scene.tokens
    queries = agents.query_ids[rows]
    headings = agents.headings_model[rows, None]
    boxes = [
        agents.centers_model[rows],
        agents.sizes_lwh[rows],
        np.sin(headings),
        np.cos(headings),
        agents.velocities_model[rows],
    ]

    def batch(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None]

    return SceneContext(
        bev_BRSD=batch(tokens.bev),
        agents_BAD=batch(tokens.agents[queries]),
        motion_BAM2D=batch(tokens.motion[queries]),
        agent_boxes_BA10=batch(np.concatenate(boxes, axis=1)),
        agent_valid_BA=torch.ones(1, len(rows), dtype=torch.bool),
        ego_B2D=batch(tokens.ego),
        plan_BT2=batch(scene.plan.points_model),
        map_BVD=batch(tokens.map) if config.mixer.map_tokens else None,
    )


def join_contexts(contexts: Sequence[SceneContext]) -> SceneContext:
    """Several contexts as one batch, in order; those with fewer agents get rows that do not exist."""
    most = max(context.agent_valid_BA.shape[1] for context in contexts)

    def together(name: str) -> Tensor | None:
        parts: list[Tensor] = [getattr(context, name) for context in contexts]
        if parts[0] is None:
            return None
        if name.rsplit("_", 1)[1].startswith("BA"):
            parts = [F.pad(part, [0, 0] * (part.ndim - 2) + [0, most - part.shape[1]]) for part in parts]
        return torch.cat(parts)

    joined: dict[str, Any] = {field.name: together(field.name) for field in fields(SceneContext)}
    return SceneContext(**joined)


def agent_rows(scene: DrivingScene, config: ExplainerConfig) -> np.ndarray:
    """[A] rows of `scene.agents` that the explainer sees, best score first: its focus k is row rows[k] of them."""
    return np.flatnonzero(scene.agents.scores >= config.agent_score)[: config.max_agents]


def context_from_outputs(
    outputs: DriverOutputs,
    query_ids_BA: Tensor,
    valid_BA: Tensor,
    command_B: Tensor,
    *,
    with_map: bool = False,
) -> SceneContext:
    """The context of a batch of network outputs; gradients reach the driver.

    Args:
        outputs: of the driver's network.
        query_ids_BA: long, decoder query of each agent; any query where there is no agent.
        valid_BA: bool, which rows are agents.
        command_B: long, index of the command whose plan is told.
        with_map: whether map lines are read (`mixer.map_tokens`).
    """
    scenes = torch.arange(len(query_ids_BA), device=query_ids_BA.device)

    def of_agents(tensor_BQ: Tensor) -> Tensor:
        chosen = tensor_BQ[scenes[:, None], query_ids_BA].float()
        return chosen * valid_BA.reshape(*valid_BA.shape, *[1] * (chosen.ndim - 2))

    plans_B3T2 = outputs.plan_offsets_B3T2.float().cumsum(dim=-2)
    return SceneContext(
        bev_BRSD=outputs.bev_BRSD.float(),
        agents_BAD=of_agents(outputs.agent_states_BQD),
        motion_BAM2D=of_agents(outputs.motion_BQM2D),
        agent_boxes_BA10=of_agents(_metric_boxes(outputs.agent_boxes_LBQ10[-1])),
        agent_valid_BA=valid_BA,
        ego_B2D=outputs.ego_features_B2D.float(),
        plan_BT2=plans_B3T2[scenes, command_B],
        map_BVD=outputs.map_tokens_BVD.float() if with_map else None,
    )


def _metric_boxes(boxes_BQ10: Tensor) -> Tensor:
    """Decoder boxes as `BOX_WIDTH` says: sizes in metres, and the heading instead of the released yaw."""
    x, y, log_w, log_l, z, log_h, sin, cos, vx, vy = boxes_BQ10.float().unbind(-1)
    # An untrained query's size would overflow where nobody is.
    length, width, height = (value.clamp(-5.0, 5.0).exp() for value in (log_l, log_w, log_h))
    heading = -torch.atan2(sin, cos) - math.pi / 2
    return torch.stack([x, y, z, length, width, height, heading.sin(), heading.cos(), vx, vy], dim=-1)
