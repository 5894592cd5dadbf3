"""From raw network outputs to boxes and lines: scores, best of all classes, range, metres.

One sample at a time; tensors stay where they are and in float32. The rules are the released coders'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: The released coders keep boxes whose centre, and lines whose corners, lie in the range plus these metres.
RELEASED_AGENT_LIMIT = 100
RELEASED_MAP_LIMIT = 50
AGENT_CENTER_RANGE = (-20.0, -35.0, -10.0, 20.0, 35.0, 10.0)
MAP_BOX_RANGE = (-20.0, -35.0, 20.0, 35.0)


@dataclass(slots=True)
class DecodedAgents:
    """Agents, best score first, in the model frame. A agents, M modes, T steps.

    Attributes:
        centers_A3: centre of gravity, m.
        sizes_lwh_A3: length, width, height, m.
        headings_A: radians counter-clockwise from x, in [-pi, pi).
        velocities_A2: m/s.
        scores_A, class_ids_A, query_ids_A: class confidence, class, and decoder query of each.
        forecasts_AMT2: future positions, m.
        mode_probabilities_AM: sums to one.
        released_yaws_A: the released yaw, -heading - pi/2, unwrapped as predicted.
    """

    centers_A3: Tensor
    sizes_lwh_A3: Tensor
    headings_A: Tensor
    velocities_A2: Tensor
    scores_A: Tensor
    class_ids_A: Tensor
    query_ids_A: Tensor
    forecasts_AMT2: Tensor
    mode_probabilities_AM: Tensor
    released_yaws_A: Tensor


@dataclass(slots=True)
class DecodedMap:
    """Map lines, best score first, in the model frame. V lines, P points.

    `boxes_V4` is x, y minimum, then maximum of the points, m.
    """

    points_VP2: Tensor
    boxes_V4: Tensor
    scores_V: Tensor
    class_ids_V: Tensor
    query_ids_V: Tensor


def _best(logits_QC: Tensor, limit: int, unique: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, query and class of the best (query, class) pairs; `unique`: each query with its best class only."""
    probabilities = logits_QC.float().sigmoid()
    queries, classes = probabilities.shape
    if unique:
        best, best_class = probabilities.max(dim=-1)
        scores, query = best.topk(min(limit, queries))
        return scores, query, best_class[query]
    scores, index = probabilities.flatten().topk(min(limit, queries * classes))
    return scores, index // classes, index % classes


def decode_agents(
    logits_QC: Tensor,
    boxes_Q10: Tensor,
    forecasts_QMT2: Tensor,
    mode_logits_QM: Tensor,
    *,
    limit: int = RELEASED_AGENT_LIMIT,
    center_range: tuple[float, ...] = AGENT_CENTER_RANGE,
    score_threshold: float = 0.0,
    unique: bool = False,
) -> DecodedAgents:
    """Boxes of the last decoder layer.

    Args:
        logits_QC, boxes_Q10, forecasts_QMT2, mode_logits_QM: one sample of `DriverOutputs`, last layer.
        limit: how many (query, class) pairs to take.
        center_range: x, y, z minimum, then maximum of box centres that are kept, m.
        score_threshold: agents below are dropped.
        unique: take each query once, with its best class. The released coder may take a query several
            times, with another class each time.
    """
    scores, query, class_ids = _best(logits_QC, limit, unique)
    boxes = boxes_Q10.float()[query]
    x, y, log_w, log_l, z, log_h, sin, cos = boxes[:, :8].unbind(-1)
    centers = torch.stack([x, y, z], dim=-1)
    low, high = centers.new_tensor(center_range[:3]), centers.new_tensor(center_range[3:])
    kept = ((centers >= low) & (centers <= high)).all(-1) & (scores >= score_threshold)
    yaws = torch.atan2(sin, cos)
    headings = torch.remainder(-yaws - math.pi / 2 + math.pi, 2 * math.pi) - math.pi
    forecasts = centers[:, None, None, :2] + forecasts_QMT2.float()[query].cumsum(dim=-2)
    return DecodedAgents(
        centers_A3=centers[kept],
        sizes_lwh_A3=torch.stack([log_l, log_w, log_h], dim=-1).exp()[kept],
        headings_A=headings[kept],
        velocities_A2=boxes[kept, 8:10],
        scores_A=scores[kept],
        class_ids_A=class_ids[kept],
        query_ids_A=query[kept],
        forecasts_AMT2=forecasts[kept],
        mode_probabilities_AM=mode_logits_QM.float()[query].softmax(-1)[kept],
        released_yaws_A=yaws[kept],
    )


def decode_map(
    logits_VC: Tensor,
    points_VP2: Tensor,
    point_cloud_range: tuple[float, ...],
    *,
    limit: int = RELEASED_MAP_LIMIT,
    box_range: tuple[float, ...] = MAP_BOX_RANGE,
    score_threshold: float = 0.0,
    unique: bool = False,
) -> DecodedMap:
    """Lines of the last decoder layer.

    Args:
        logits_VC, points_VP2: one sample of `DriverOutputs`, last layer; points in 0..1.
        point_cloud_range: the recipe's.
        box_range: x, y minimum, then maximum within which a line's whole box must lie, m.
        limit, score_threshold, unique: as in `decode_agents`.
    """
    scores, query, class_ids = _best(logits_VC, limit, unique)
    low = points_VP2.new_tensor(point_cloud_range[:2]).float()
    size = points_VP2.new_tensor(point_cloud_range[3:5]).float() - low
    points = points_VP2.float()[query] * size + low
    boxes = torch.cat([points.amin(dim=1), points.amax(dim=1)], dim=-1)
    lowest, highest = boxes.new_tensor(box_range[:2]).repeat(2), boxes.new_tensor(box_range[2:]).repeat(2)
    kept = ((boxes >= lowest) & (boxes <= highest)).all(-1) & (scores >= score_threshold)
    return DecodedMap(points[kept], boxes[kept], scores[kept], class_ids[kept], query[kept])
