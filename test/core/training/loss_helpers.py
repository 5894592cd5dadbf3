"""Made-up targets and network outputs for tests of the losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from stored_scenes import small_recipe
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.frame_targets import equivalent_orders

#: A recipe with few queries.
CONFIG: DriverConfig = small_recipe(agents__queries=12, map__instances=9, map__points_per_line=6)


def make_targets(agents: int = 5, lines: int = 4, seed: int = 0, config: DriverConfig = CONFIG) -> FrameTargets:
    """One frame of random agents, open and closed lines, and an ego future."""
    random = np.random.default_rng([seed, agents, lines])
    points, steps = config.map.points_per_line, config.planner.steps
    corners = random.uniform(0.1, 0.9, (lines, 1, 2)) + random.normal(0, 0.04, (lines, points, 2)).cumsum(1)
    corners = corners.clip(0, 1).astype(np.float32)
    closed = np.arange(lines) % 2 == 1
    corners[closed, -1] = corners[closed, 0]
    orders, order_mask = equivalent_orders(corners, closed)
    yaw = random.uniform(-np.pi, np.pi, agents)
    columns = [
        random.uniform(-14, 14, agents),
        random.uniform(-29, 29, agents),
        random.normal(0.6, 0.2, agents),
        random.normal(1.4, 0.3, agents),
        random.normal(0, 0.5, agents),
        random.normal(0.5, 0.2, agents),
        np.sin(yaw),
        np.cos(yaw),
        random.normal(0, 3, agents),
        random.normal(0, 3, agents),
    ]
    mask = np.arange(steps) < random.integers(0, steps + 1, agents)[:, None]
    offsets = random.normal(0, 1, (agents, steps, 2)) * mask[..., None]
    return FrameTargets(
        token=f"made-up-{seed}",
        agent_boxes_A10=torch.tensor(np.stack(columns, axis=-1), dtype=torch.float32),
        agent_velocity_valid_A=torch.tensor(random.uniform(size=agents) < 0.8),
        agent_classes_A=torch.tensor(random.integers(0, len(config.agents.classes), agents)),
        agent_offsets_AT2=torch.tensor(offsets, dtype=torch.float32),
        agent_future_mask_AT=torch.tensor(mask),
        map_classes_G=torch.tensor(random.integers(0, len(config.map.classes), lines)),
        map_orders_GOP2=torch.from_numpy(orders),
        map_order_mask_GO=torch.from_numpy(order_mask),
        plan_offsets_T2=torch.tensor(random.normal([0, 2], 0.5, (steps, 2)), dtype=torch.float32),
        plan_mask_T=torch.ones(steps, dtype=torch.bool),
        command=torch.tensor(int(random.integers(0, 3))),
        weight=torch.tensor(1.0),
    )


def make_outputs(batch: int = 1, seed: int = 0, config: DriverConfig = CONFIG) -> DriverOutputs:
    """Random outputs that ask for gradients; every tenth logit is sure."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    layers, queries, modes = config.agents.layers, config.agents.queries, config.agents.modes
    lines, points, steps = config.map.instances, config.map.points_per_line, config.planner.steps
    width, classes = config.embed_dims, len(config.agents.classes)
    spread = torch.tensor([8, 15, 0.3, 0.3, 1, 0.3, 1, 1, 3, 3])
    outputs = DriverOutputs(
        bev_BRSD=normal(batch, config.bev.rows, config.bev.columns, width),
        agent_logits_LBQC=2 * normal(layers, batch, queries, classes) - 2,
        agent_boxes_LBQ10=normal(layers, batch, queries, 10) * spread,
        agent_forecasts_BQMT2=normal(batch, queries, modes, steps, 2),
        agent_mode_logits_BQM=normal(batch, queries, modes),
        agent_states_BQD=normal(batch, queries, width),
        motion_BQM2D=normal(batch, queries, modes, 2 * width),
        map_logits_LBVC=2 * normal(layers, batch, lines, len(config.map.classes)),
        map_points_LBVP2=torch.rand(layers, batch, lines, points, 2, generator=generator),
        map_tokens_BVD=normal(batch, lines, width),
        ego_features_B2D=normal(batch, 2 * width),
        plan_offsets_B3T2=normal(batch, 3, steps, 2) + torch.tensor([0.0, 1.5]),
        agent_heatmap_BCRS=normal(batch, classes, config.bev.rows, config.bev.columns) - 3,
    )
    return leaves(outputs)


def perfect_outputs(targets: Sequence[FrameTargets], config: DriverConfig = CONFIG) -> DriverOutputs:
    """Outputs that say what the targets say: query i answers for target i, in all layers; each line in its last
    order, each forecast in mode i % modes."""
    outputs = make_outputs(len(targets), config=config)
    with torch.no_grad():
        for logits in (outputs.agent_logits_LBQC, outputs.agent_mode_logits_BQM, outputs.map_logits_LBVC):
            logits.fill_(-30.0)
        assert outputs.agent_heatmap_BCRS is not None
        for sample, target in enumerate(targets):
            for i in range(len(target.agent_classes_A)):
                outputs.agent_logits_LBQC[:, sample, i, target.agent_classes_A[i]] = 30.0
                outputs.agent_boxes_LBQ10[:, sample, i] = target.agent_boxes_A10[i]
                mode = i % outputs.agent_mode_logits_BQM.shape[-1]
                outputs.agent_mode_logits_BQM[sample, i, mode] = 30.0
                outputs.agent_forecasts_BQMT2[sample, i, mode] = target.agent_offsets_AT2[i]
            for i in range(len(target.map_classes_G)):
                outputs.map_logits_LBVC[:, sample, i, target.map_classes_G[i]] = 30.0
                last = int(target.map_order_mask_GO[i].sum()) - 1
                outputs.map_points_LBVP2[:, sample, i] = target.map_orders_GOP2[i, last]
            outputs.plan_offsets_B3T2[sample, target.command] = target.plan_offsets_T2
    return outputs


def permuted(target: FrameTargets, seed: int) -> FrameTargets:
    """The same frame with its agents and lines in another order."""
    generator = torch.Generator().manual_seed(seed)
    agents = torch.randperm(len(target.agent_classes_A), generator=generator)
    lines = torch.randperm(len(target.map_classes_G), generator=generator)
    changed: dict[str, Any] = {}
    for field in fields(target):
        if field.name.startswith("agent_"):
            changed[field.name] = getattr(target, field.name)[agents]
        elif field.name.startswith("map_"):
            changed[field.name] = getattr(target, field.name)[lines]
    return replace(target, **changed)


def samples_of(outputs: DriverOutputs, chosen: slice) -> DriverOutputs:
    """Some samples of the batch as leaves of their own."""
    parts: dict[str, Tensor] = {}
    for field in fields(outputs):
        value = getattr(outputs, field.name).detach()
        parts[field.name] = value[:, chosen] if "_LB" in field.name else value[chosen]
    return leaves(DriverOutputs(**parts))


def leaves(outputs: DriverOutputs) -> DriverOutputs:
    """A copy whose tensors collect gradients."""
    return replace(
        outputs, **{f.name: getattr(outputs, f.name).detach().clone().requires_grad_() for f in fields(outputs)}
    )
