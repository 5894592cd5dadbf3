"""The plan keeps away from where other vehicles are forecast to be (VAD, arXiv 2303.12077, section 3.4).

Suffixes: B batch, A agents (queries), M modes, T steps, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aln_p3_core.training.settings import LossSettings

#: Agents that constrain the plan.
VEHICLE_CLASSES = ("car", "truck", "construction_vehicle", "bus", "trailer")


def constraining_agents(
    centers_BA2: Tensor,
    offsets_BAMT2: Tensor,
    mode_scores_BAM: Tensor,
    class_scores_BAC: Tensor,
    class_names: Sequence[str],
    settings: LossSettings,
) -> tuple[Tensor, Tensor]:
    """Where agents are forecast to be, and which of them the plan keeps away from.

    Args:
        centers_BA2: m.
        offsets_BAMT2: per-step offsets of each mode, m.
        mode_scores_BAM: the highest one's mode is taken; logits will do.
        class_scores_BAC: 0..1.
        class_names: of the classes.
        settings: `constraint_score`.

    Returns:
        Forecast centres [B, A, T, 2], m; and [B, A] bool: vehicles that are sure enough.
    """
    mode = mode_scores_BAM.argmax(-1)[:, :, None, None, None]
    offsets_BAT2 = offsets_BAMT2.gather(2, mode.expand(-1, -1, 1, *offsets_BAMT2.shape[-2:])).squeeze(2)
    best = class_scores_BAC.max(-1)
    vehicle = torch.tensor([name in VEHICLE_CLASSES for name in class_names], device=centers_BA2.device)
    kept = vehicle[best.indices] & (best.values >= settings.constraint_score)
    return centers_BA2[:, :, None] + offsets_BAT2.cumsum(-2), kept


def plan_collision_loss(path_BT2: Tensor, agents_BAT2: Tensor, kept_BA: Tensor, settings: LossSettings) -> Tensor:
    """[B, T, 2] how much too near an agent is at each step, to the side and ahead, m.

    Side and ahead are the model frame's x and y. What is missing to either limit counts by the share that is missing
    to the other one, so a car alongside, far enough to the side, is no conflict however level it is; the agent that
    is most in the way counts. Agents farther than `collision_range_m` at a step do not count there.
    `released`: side and ahead count each for itself, and the agents nearest in x and in y may be two.

    Args:
        path_BT2: planned points, m.
        agents_BAT2: forecast centres, best mode, m.
        kept_BA: bool, which agents constrain the plan.
        settings: thresholds.
    """
    offset_BAT2 = path_BT2[:, None] - agents_BAT2
    limits = path_BT2.new_tensor([settings.collision_side_m, settings.collision_ahead_m])
    distance_BAT = torch.linalg.vector_norm(offset_BAT2.detach(), dim=-1)
    counted_BAT = (distance_BAT <= settings.collision_range_m) & kept_BA[..., None]
    missing_BAT2 = (limits - offset_BAT2.abs()).clamp_min(0) * counted_BAT[..., None]
    if settings.released:
        return missing_BAT2.max(dim=1).values
    return (missing_BAT2 / limits).prod(-1).max(dim=1).values[..., None] * limits
