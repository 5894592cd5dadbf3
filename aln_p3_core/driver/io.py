"""Tensors into and out of the driver's network.

Suffix legend: B batch, N cameras, C channels, H W image, L decoder layers, Q agent queries, V map
instances, P points a line, M modes, T future steps, D embedding width, R BEV rows (y), S columns (x).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch


@dataclass(slots=True)
class DriverInputs:
    """One batch of network inputs, all on one device.

    Attributes:
        images_BNCHW: normalised images (floating point).
        model2img_BN44: float32, model frame -> pixels of the padded network input.
        camera_valid_BN: bool, False for a lost camera: its features are never read.
        prev_bev_BRSD: BEV memory of the earlier frame, or None when the driver starts afresh.
        T_prev_cur_B44: float32, current model frame -> the earlier frame's model frame. Used to warp the
            memory (our recipes); None together with prev_bev_BRSD.
        history_valid_B: bool, False for a sample of the batch that starts afresh: its part of `prev_bev_BRSD` is
            not read. None: all samples have a memory, or (without `prev_bev_BRSD`) none has.
        can_bus_B18: CAN vector as VAD lays it out, with differences to the earlier frame at [:3] and [-1].
            Read only by ego status "bev" and by the released code's own memory shift.
        ego_status_B8: velocity x, velocity y, yaw rate, speed (ego frame, SI), 1 where the status is known, and
            three zeros; all zero where it is not. Read only by ego status "planner".
    """

    images_BNCHW: torch.Tensor
    model2img_BN44: torch.Tensor
    camera_valid_BN: torch.Tensor
    prev_bev_BRSD: torch.Tensor | None = None
    T_prev_cur_B44: torch.Tensor | None = None
    history_valid_B: torch.Tensor | None = None
    can_bus_B18: torch.Tensor | None = None
    ego_status_B8: torch.Tensor | None = None


@dataclass(slots=True)
class DriverOutputs:
    """Raw network outputs.

    Attributes:
        bev_BRSD: the new BEV map (the next frame's memory).
        agent_logits_LBQC: class logits per decoder layer.
        agent_boxes_LBQ10: cx, cy, log w, log l, cz, log h, sin, cos, vx, vy (metres, model frame; sin and
            cos of the released yaw convention, -heading - pi/2).
        agent_forecasts_BQMT2: per-step offsets, metres.
        agent_mode_logits_BQM: mode logits.
        agent_states_BQD: last decoder states.
        motion_BQM2D: motion features.
        map_logits_LBVC: class logits per decoder layer.
        map_points_LBVP2: normalised 0..1 over the perception range (x, y).
        map_tokens_BVD: one token a line (polyline encoder).
        ego_features_B2D: planner features.
        plan_offsets_B3T2: per-step offsets per command, metres.
        agent_heatmap_BCRS: logits of agent centres by class, in training mode of recipes with heat map queries only.
    """

    bev_BRSD: torch.Tensor
    agent_logits_LBQC: torch.Tensor
    agent_boxes_LBQ10: torch.Tensor
    agent_forecasts_BQMT2: torch.Tensor
    agent_mode_logits_BQM: torch.Tensor
    agent_states_BQD: torch.Tensor
    motion_BQM2D: torch.Tensor
    map_logits_LBVC: torch.Tensor
    map_points_LBVP2: torch.Tensor
    map_tokens_BVD: torch.Tensor
    ego_features_B2D: torch.Tensor
    plan_offsets_B3T2: torch.Tensor
    agent_heatmap_BCRS: torch.Tensor | None = None


#: What a deployed network yields: all of `DriverOutputs` but what only losses read.
DEPLOYED_OUTPUTS = tuple(field.name for field in fields(DriverOutputs) if field.name != "agent_heatmap_BCRS")
