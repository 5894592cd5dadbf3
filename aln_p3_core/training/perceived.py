"""What a driver's frozen part says about a frame, kept for the parts that learn from it.

    planner     all that the planner and the losses of the plan read: it trains a hundred times faster than through
                the pictures
    explainer   the tokens that only an explainer reads, too: it pays for its words alone
    decoders    the BEV map and what the planner reads of a picture: all behind the BEV encoder learns

Suffixes as in aln_p3_core/driver/io.py; K tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.network import ENCODER, DriverNetwork
from aln_p3_core.driver.planner import PlannerTokens, image_grid

Reader = Literal["planner", "explainer", "decoders"]
_PERCEPTION = (*ENCODER, "agent_decoder", "map_decoder", "motion")
#: Parts of the network that make what a reader reads.
MAKERS: dict[Reader, tuple[str, ...]] = {"planner": _PERCEPTION, "explainer": _PERCEPTION, "decoders": ENCODER}

_Entries = list[tuple[str, str, tuple[int, ...]]]
_TOKENS = tuple(field.name for field in fields(PlannerTokens))
_BEV, _AGENTS, _IMAGE, _MOTION = "bev_BRSD", "agent_states_BQD", "image_BKD", "motion_BQM2D"
_EXACT, _SHORT = "<f4", "<f2"


def perceived_dtype(config: DriverConfig, reader: Reader = "planner") -> np.dtype[np.void]:
    """Record of a frame. Places and boxes are float32, all else float16.

    planner: the fields of `PlannerTokens`. explainer: these, the BEV map and the decoder's last states. decoders: the
    BEV map and `PlannerTokens.image_BKD`.
    """
    width = config.embed_dims
    entries: _Entries = [] if reader == "decoders" else _decoded_entries(config)
    if config.planner.image_camera:
        entries.append((_IMAGE, _SHORT, (int(np.prod(image_grid(config))), width)))
    if reader == "explainer":
        entries.append((_AGENTS, _SHORT, (config.agents.queries, width)))
    if reader != "planner":
        entries.append((_BEV, _SHORT, (config.bev.rows, config.bev.columns, width)))
    return np.dtype(entries)


def _decoded_entries(config: DriverConfig) -> _Entries:
    width, agents, lines, steps = config.embed_dims, config.agents, config.map, config.planner.steps
    entries: _Entries = [
        (_MOTION, _SHORT, (agents.queries, agents.modes, 2 * width)),
        ("agent_places_BQ2", _EXACT, (agents.queries, 2)),
        ("lines_BVD", _SHORT, (lines.instances, width)),
        ("line_places_BV2", _EXACT, (lines.instances, 2)),
        ("agent_boxes_BQ10", _EXACT, (agents.queries, 10)),
        ("agent_logits_BQC", _SHORT, (agents.queries, len(agents.classes))),
        ("map_points_BVP2", _EXACT, (lines.instances, lines.points_per_line, 2)),
        ("map_logits_BVC", _SHORT, (lines.instances, len(lines.classes))),
        ("agent_forecasts_BQMT2", _SHORT, (agents.queries, agents.modes, steps, 2)),
        ("agent_mode_logits_BQM", _SHORT, (agents.queries, agents.modes)),
    ]
    if config.planner.bev_grid:
        entries.append(("bev_BKD", _SHORT, (config.planner.bev_grid**2, width)))
    return entries


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
    image = network.planner.image_tokens(features)
    wanted = into.dtype.names or ()
    values: dict[str, Tensor | None] = {_BEV: bev, _IMAGE: image}
    if _MOTION in wanted:
        seen = network.decode(bev)
        tokens = network.planner.tokens(seen.motion, seen.agents, seen.lines, bev, image)
        values |= {name: getattr(tokens, name) for name in _TOKENS} | {_AGENTS: seen.agents.states_BQD}
    for name in wanted:
        value = values[name]
        assert value is not None
        into[name] = value.float().cpu().numpy()
    return bev, into


def stacked(records: list[NDArray[np.void]]) -> dict[str, Tensor]:
    """A batch of records, field by field."""
    names = records[0].dtype.names or ()
    return {name: torch.from_numpy(np.stack([record[name] for record in records])) for name in names}


def planned(
    network: DriverNetwork, kept: Mapping[str, Tensor], ego_status_B8: Tensor | None, command_B: Tensor | None = None
) -> DriverOutputs:
    """Outputs of the network from what was kept: its planner is run, and its decoders where these are the readers.
    With the records of another reader decoder outputs have one layer, and what was not kept is an empty tensor. With
    `command_B` only the plan of that command is complete."""
    values: dict[str, Any] = {name: value.float() for name, value in kept.items()}
    if _MOTION not in values:
        bev: Tensor = values[_BEV]
        return network.plan_from_tokens(bev, network.decode(bev), values.get(_IMAGE), ego_status_B8, command_B)
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
