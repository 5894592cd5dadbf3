"""Which query answers for which target: a one-to-one assignment of least cost (DETR, MapTR, VAD section 3).

Suffixes: L decoder layers, B batch, Q agent queries, V map queries, A agents, G lines, O equivalent orders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings

# Entries of a box's code that are compared: all but the velocity.
_MATCHED_CODES = 8
# In place of costs that are not numbers: a diverged network still gets an assignment, and its loss tells.
_WORST_COST = 1e9


@dataclass(slots=True)
class Assignment:
    """Targets that the queries answer for; -1 where a query answers for none.

    Attributes:
        agent_LBQ: int64, index into the sample's agents.
        line_LBV: int64, index into the sample's lines.
        order_LBV: int64, which of the matched line's equivalent orders fits best; 0 where there is no line.
    """

    agent_LBQ: Tensor
    line_LBV: Tensor
    order_LBV: Tensor

    def agent_pairs(self, sample: int) -> tuple[Tensor, Tensor]:
        """Query and agent indices of a sample, last layer, ordered by query."""
        return _pairs(self.agent_LBQ[-1, sample])

    def line_pairs(self, sample: int) -> tuple[Tensor, Tensor]:
        """Query and line indices of a sample, last layer, ordered by query."""
        return _pairs(self.line_LBV[-1, sample])


@torch.no_grad()
def match(outputs: DriverOutputs, targets: PaddedTargets, settings: LossSettings) -> Assignment:
    """The assignment of every layer. Costs are computed on the device and cross to the CPU in one go."""
    agent_cost = agent_costs(outputs.agent_logits_LBQC, outputs.agent_boxes_LBQ10, targets, settings)
    line_cost, orders_LBVG = line_costs(outputs.map_logits_LBVC, outputs.map_points_LBVP2, targets, settings)
    costs = torch.cat([agent_cost.flatten(), line_cost.flatten()])
    table = costs.nan_to_num(_WORST_COST, _WORST_COST, -_WORST_COST).cpu().numpy()
    split = agent_cost.numel()
    agents = _assigned(table[:split].reshape(agent_cost.shape), targets.agent_counts).to(costs.device)
    lines = _assigned(table[split:].reshape(line_cost.shape), targets.line_counts).to(costs.device)
    orders = orders_LBVG.gather(-1, lines.clamp_min(0)[..., None]).squeeze(-1)
    return Assignment(agents, lines, torch.where(lines >= 0, orders, 0))


def agent_costs(logits_LBQC: Tensor, boxes_LBQ10: Tensor, targets: PaddedTargets, settings: LossSettings) -> Tensor:
    """[L, B, Q, A]: focal cost of the class, and L1 of the box (metres and logarithms) without its velocity."""
    layers = len(boxes_LBQ10)
    wanted = targets.boxes_BA10[..., :_MATCHED_CODES].expand(layers, -1, -1, -1)
    distance = _l1(boxes_LBQ10.float()[..., :_MATCHED_CODES], wanted)
    cost = focal_cost(logits_LBQC.float(), targets.agent_classes_BA, settings)
    return settings.match_class * cost + settings.match_box * distance


def line_costs(
    logits_LBVC: Tensor, points_LBVP2: Tensor, targets: PaddedTargets, settings: LossSettings
) -> tuple[Tensor, Tensor]:
    """Focal cost of the class and L1 over the ordered normalised points, for the best of the equivalent orders.

    Returns:
        Cost [L, B, V, G], and which order was best, int64 [L, B, V, G].
    """
    layers = len(points_LBVP2)
    lines, orders = targets.order_mask_BGO.shape[1:]
    wanted = targets.orders_BGOP2.flatten(1, 2).flatten(-2).expand(layers, -1, -1, -1)
    distance = _l1(points_LBVP2.float().flatten(-2), wanted).unflatten(-1, (lines, orders))
    distance = distance.masked_fill(~targets.order_mask_BGO[:, None], _WORST_COST)
    best = distance.min(dim=-1)
    cost = focal_cost(logits_LBVC.float(), targets.line_classes_BG, settings)
    return settings.match_class * cost + settings.match_map_points * best.values, best.indices


def focal_cost(logits_LBQC: Tensor, classes_BA: Tensor, settings: LossSettings) -> Tensor:
    """[L, B, Q, A]: what the focal loss changes by when a query is a positive of the target's class."""
    probability = logits_LBQC.sigmoid()
    alpha, gamma, tiny = settings.focal_alpha, settings.focal_gamma, 1e-12
    as_negative = -(1 - probability + tiny).log() * (1 - alpha) * probability**gamma
    as_positive = -(probability + tiny).log() * alpha * (1 - probability) ** gamma
    index = classes_BA[None, :, None].expand(*logits_LBQC.shape[:3], -1)
    return (as_positive - as_negative).gather(-1, index)


def _l1(predicted_LBQK: Tensor, wanted_LBAK: Tensor) -> Tensor:
    """[L, B, Q, A] sums of absolute differences."""
    leading = predicted_LBQK.shape[:2]
    return torch.cdist(predicted_LBQK.flatten(0, 1), wanted_LBAK.flatten(0, 1), p=1).unflatten(0, leading)


def _assigned(costs_LBQA: np.ndarray, counts: list[int]) -> Tensor:
    """[L, B, Q] int64: each query's target, or -1; on the CPU. `counts` [B] leaves the padding out."""
    index = np.full(costs_LBQA.shape[:3], -1, dtype=np.int64)
    for layer, costs_BQA in enumerate(costs_LBQA):
        for sample, count in enumerate(counts):
            queries, columns = linear_sum_assignment(costs_BQA[sample, :, :count])
            index[layer, sample, queries] = columns
    return torch.from_numpy(index)


def _pairs(target_Q: Tensor) -> tuple[Tensor, Tensor]:
    query = (target_Q >= 0).nonzero().squeeze(-1)
    return query, target_Q[query]
