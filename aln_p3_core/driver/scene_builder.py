"""From raw network outputs to the `DrivingScene` that everybody else reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.decode import decode_agents, decode_map
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.scene import Agents, DrivingScene, FloatTensor, MapElements, Plan, SceneTokens

# Objects and lines may lie a little outside the perception range, as in the released coders.
_MARGIN_XY_M = 5.0
_MARGIN_Z_M = 8.0


def build_scene(
    config: DriverConfig,
    outputs: DriverOutputs,
    frame: DrivingFrame,
    *,
    with_tokens: bool = False,
    memory_reset: str = "",
    history_age_s: float | None = None,
    timings_ms: Mapping[str, float] | None = None,
) -> DrivingScene:
    """The scene of a frame, from outputs of batch size 1.

    Every query counts once, with its best class; all scores are kept (consumers choose their threshold).
    """
    return DrivingScene(
        agents=agents_of_sample(config, outputs),
        map_elements=_map_elements(config, outputs),
        plan=Plan(
            trajectories_model=_numpy(outputs.plan_offsets_B3T2[0].float().cumsum(dim=-2)),
            command=frame.command,
            step_s=config.planner.step_s,
        ),
        reference_stamp_ns=frame.reference_stamp_ns,
        newest_image_stamp_ns=frame.newest_image_stamp_ns,
        T_global_ego=frame.T_global_ego,
        T_ego_model=frame.T_ego_model,
        tokens=_tokens(outputs) if with_tokens else None,
        missing_cameras=tuple(name for name in config.cameras if name not in frame.views),
        history_age_s=history_age_s,
        memory_reset=memory_reset,
        timings_ms=dict(timings_ms or {}),
        token=frame.token,
    )


def agents_of_sample(config: DriverConfig, outputs: DriverOutputs, sample: int = 0) -> Agents:
    """The agents of one sample of a batch: every query once, with its best class, best score first."""
    x0, y0, z0, x1, y1, z1 = config.point_cloud_range
    xy, z = _MARGIN_XY_M, _MARGIN_Z_M
    agents = decode_agents(
        outputs.agent_logits_LBQC[-1, sample],
        outputs.agent_boxes_LBQ10[-1, sample],
        outputs.agent_forecasts_BQMT2[sample],
        outputs.agent_mode_logits_BQM[sample],
        limit=config.agents.queries,
        center_range=(x0 - xy, y0 - xy, z0 - z, x1 + xy, y1 + xy, z1 + z),
        unique=True,
    )
    return Agents(
        centers_model=_numpy(agents.centers_A3),
        sizes_lwh=_numpy(agents.sizes_lwh_A3),
        headings_model=_numpy(agents.headings_A),
        velocities_model=_numpy(agents.velocities_A2),
        scores=_numpy(agents.scores_A),
        class_ids=agents.class_ids_A.cpu().numpy(),
        forecasts_model=_numpy(agents.forecasts_AMT2),
        forecast_probabilities=_numpy(agents.mode_probabilities_AM),
        query_ids=agents.query_ids_A.cpu().numpy(),
        class_names=config.agents.classes,
        step_s=config.planner.step_s,
    )


def _map_elements(config: DriverConfig, outputs: DriverOutputs) -> MapElements:
    x0, y0, _, x1, y1, _ = config.point_cloud_range
    lines = decode_map(
        outputs.map_logits_LBVC[-1, 0],
        outputs.map_points_LBVP2[-1, 0],
        config.point_cloud_range,
        limit=config.map.instances,
        box_range=(x0 - _MARGIN_XY_M, y0 - _MARGIN_XY_M, x1 + _MARGIN_XY_M, y1 + _MARGIN_XY_M),
        unique=True,
    )
    return MapElements(
        points_model=_numpy(lines.points_VP2),
        scores=_numpy(lines.scores_V),
        class_ids=lines.class_ids_V.cpu().numpy(),
        query_ids=lines.query_ids_V.cpu().numpy(),
        class_names=config.map.classes,
    )


def _tokens(outputs: DriverOutputs) -> SceneTokens:
    return SceneTokens(
        bev=_numpy(outputs.bev_BRSD[0]),
        agents=_numpy(outputs.agent_states_BQD[0]),
        motion=_numpy(outputs.motion_BQM2D[0]),
        map=_numpy(outputs.map_tokens_BVD[0]),
        ego=_numpy(outputs.ego_features_B2D[0]),
    )


def _numpy(tensor: Tensor) -> FloatTensor:
    return np.ascontiguousarray(tensor.float().cpu().numpy())
