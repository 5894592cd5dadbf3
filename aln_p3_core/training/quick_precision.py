"""Average precision in a hurry, for choosing checkpoints: no benchmark's protocol (those are in `evaluation`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aln_p3_core.geometry import FloatArray


def hits(distances_QG: Tensor, scores_Q: Tensor, threshold: float) -> tuple[FloatArray, FloatArray]:
    """Scores, and 1 where a prediction is the first to hit its nearest free truth; best score first.

    Args:
        distances_QG: of every prediction to every truth.
        scores_Q: of the predictions.
        threshold: a hit is nearer than this.
    """
    order = scores_Q.argsort(descending=True)
    distances = distances_QG[order].double().clone()
    found = np.zeros(len(order))
    for row in range(len(order) if distances.shape[1] else 0):
        nearest = int(distances[row].argmin())
        if float(distances[row, nearest]) < threshold:
            found[row] = 1.0
            distances[:, nearest] = np.inf
    return scores_Q[order].double().cpu().numpy(), found


def average_precision(scores: FloatArray, found: FloatArray, truths: int) -> float:
    """Area under the precision-recall curve (precision made monotonous); NaN without any truth."""
    if truths == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hit = found[order]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best_from_here * hit).sum() / truths)


def chamfer(lines_QP2: Tensor, truths_GP2: Tensor) -> Tensor:
    """[Q, G] mean distance between the points of two lines, to and fro, m."""
    if not len(truths_GP2):
        return lines_QP2.new_zeros(len(lines_QP2), 0)
    distances = torch.cdist(lines_QP2.flatten(0, 1), truths_GP2.flatten(0, 1)).unflatten(0, lines_QP2.shape[:2])
    distances = distances.unflatten(2, truths_GP2.shape[:2])
    return (distances.amin(3).mean(1) + distances.amin(1).mean(-1)) / 2
