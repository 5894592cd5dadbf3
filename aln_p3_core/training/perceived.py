"""What a driver's frozen perception says about a frame, kept: all that the planner and the losses of the plan read and,
where an explainer shall learn from it, the tokens that only an explainer reads.

With it a planner trains a hundred times faster than through the pictures, and an explainer pays for its words alone.

Suffixes as in aln_p3_core/driver/io.py; K tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.planner import PlannerTokens, image_grid

_TOKENS = tuple(field.name for field in fields(PlannerTokens))
_BEV, _AGENTS = "bev_BRSD", "agent_states_BQD"


def perceived_dtype(config: DriverConfig, *, explained: bool = False) -> np.dtype[np.void]:
    """Record of a frame: the fields of `PlannerTokens` and, if it is to be `explained`, the BEV map and the decoder's
    last states. Places and boxes are float32, all else float16."""
    width, agents, lines, steps = config.embed_dims, config.agents, config.map, config.planner.steps
    exact, short = "<f4", "<f2"
    entries: list[tuple[str, str, tuple[int, ...]]] = [
        ("motion_BQM2D", short, (agents.queries, agents.modes, 2 * width)),
        ("agent_places_BQ2", exact, (agents.queries, 2)),
        ("lines_BVD", short, (lines.instances, width)),
        ("line_places_BV2", exact, (lines.instances, 2)),
        ("agent_boxes_BQ10", exact, (agents.queries, 10)),
        ("agent_logits_BQC", short, (agents.queries, len(agents.classes))),
        ("map_points_BVP2", exact, (lines.instances, lines.points_per_line, 2)),
        ("map_logits_BVC", short, (lines.instances, len(lines.classes))),
        ("agent_forecasts_BQMT2", short, (agents.queries, agents.modes, steps, 2)),
        ("agent_mode_logits_BQM", short, (agents.queries, agents.modes)),
    ]
    if config.planner.bev_grid:
        entries.append(("bev_BKD", short, (config.planner.bev_grid**2, width)))
    if config.planner.image_camera:
        entries.append(("image_BKD", short, (int(np.prod(image_grid(config))), width)))
    if explained:
        entries.append((_AGENTS, short, (agents.queries, width)))
        entries.append((_BEV, short, (config.bev.rows, config.bev.columns, width)))
    return np.dtype(entries)


@torch.inference_mode()
def perceive(
    network: DriverNetwork, features: list[Tensor], inputs: DriverInputs, into: NDArray[np.void]
) -> tuple[Tensor, NDArray[np.void]]:
    """The BEV map [B, R, S, D] of one frame of every drive, and `into` [B] filled with what is kept of it.

    Args:
        network: in evaluation mode.
        features: maps [B * N, D, h, w] of `inputs`' pictures.
        inputs: of the frames.
        into: records of `perceived_dtype`.
    """
    bev = network.encode_bev(features, inputs)
    perception = network.decode(bev)
    agents, lines, motion = perception.agents, perception.lines, perception.motion
    tokens = network.planner.tokens(motion, agents, lines, bev, features)
    for name in _TOKENS:
        value: Tensor | None = getattr(tokens, name)
        if value is not None:
            into[name] = value.float().cpu().numpy()
    if _BEV in (into.dtype.names or ()):
        into[_BEV] = bev.float().cpu().numpy()
        into[_AGENTS] = agents.states_BQD.float().cpu().numpy()
    return bev, into


def stacked(records: list[NDArray[np.void]]) -> dict[str, Tensor]:
    """A batch of records, field by field."""
    names = records[0].dtype.names or ()
    return {name: torch.from_numpy(np.stack([record[name] for record in records])) for name in names}


def planned(
    network: DriverNetwork, kept: Mapping[str, Tensor], ego_status_B8: Tensor | None, command_B: Tensor | None = None
) -> DriverOutputs:
    """Outputs of the network with its planner run on what was kept; decoder outputs have one layer, and what was not
    kept is an empty tensor. With `command_B` only the plan of that command is complete."""
    values: dict[str, Any] = {name: value.float() for name, value in kept.items()}
    tokens = PlannerTokens(**{name: values[name] for name in _TOKENS if name in values})
    plan, ego = network.planner(tokens, ego_status_B8, command_B)
    empty = plan.new_zeros(0)
    return DriverOutputs(
        bev_BRSD=values.get(_BEV, empty),
        agent_logits_LBQC=tokens.agent_logits_BQC[None],
        agent_boxes_LBQ10=tokens.agent_boxes_BQ10[None],
        map_logits_LBVC=tokens.map_logits_BVC[None],
        map_points_LBVP2=tokens.map_points_BVP2[None],
        agent_forecasts_BQMT2=tokens.agent_forecasts_BQMT2,
        agent_mode_logits_BQM=tokens.agent_mode_logits_BQM,
        agent_states_BQD=values.get(_AGENTS, empty),
        motion_BQM2D=tokens.motion_BQM2D,
        map_tokens_BVD=tokens.lines_BVD,
        ego_features_B2D=ego,
        plan_offsets_B3T2=plan,
    )
