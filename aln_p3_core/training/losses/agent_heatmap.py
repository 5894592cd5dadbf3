"""Heat map of agent centres: the loss of `driver.proposals` (CenterPoint, arXiv 2006.11275, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from aln_p3_core.training.batch import FrameTargets

# A peak is as wide as the object, but no narrower than this, in cells: the network must hit a neighbour at least.
_SMALLEST_SIGMA_CELLS = 0.7


def heatmap_targets(targets: Sequence[FrameTargets], point_cloud_range: Sequence[float], shape: torch.Size) -> Tensor:
    """[B, C, R, S] in 0..1: 1 in the cell of each agent's centre, falling off around it as a Gaussian.

    Args:
        targets: one for each sample.
        point_cloud_range: x, y, z minimum, then maximum, m.
        shape: (B, C, R, S).
    """
    batch, classes, rows, columns = shape
    device = targets[0].agent_boxes_A10.device
    sample = torch.cat([torch.full_like(t.agent_classes_A, i) for i, t in enumerate(targets)])
    boxes = torch.cat([t.agent_boxes_A10 for t in targets]).float()
    kind = torch.cat([t.agent_classes_A for t in targets])
    result = torch.zeros(batch * classes, rows, columns, device=device)
    if not len(boxes):
        return result.view(shape)
    low = boxes.new_tensor(point_cloud_range[:2])
    high = boxes.new_tensor(point_cloud_range[3:5])
    cells = boxes.new_tensor([columns, rows])
    # Boxes lie within the range, but rounding may put one on its upper edge.
    center = ((boxes[:, :2] - low) / (high - low) * cells).floor().clamp(min=torch.zeros_like(cells), max=cells - 1)
    size = boxes[:, 2:4].exp().amin(-1, keepdim=True) / ((high - low) / cells)
    sigma = (size / 3).clamp(min=_SMALLEST_SIGMA_CELLS)
    x = torch.arange(columns, device=device) - center[:, :1]
    y = torch.arange(rows, device=device) - center[:, 1:]
    bump_x = torch.exp(-0.5 * (x / sigma[:, :1]) ** 2)
    bump_y = torch.exp(-0.5 * (y / sigma[:, 1:]) ** 2)
    bumps = bump_y[:, :, None] * bump_x[:, None, :]
    index = (sample * classes + kind)[:, None, None].expand_as(bumps)
    return result.scatter_reduce(0, index, bumps, "amax").view(shape)


def agent_heatmap_loss(
    logits_BCRS: Tensor,
    targets: Sequence[FrameTargets],
    point_cloud_range: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Sum of the penalty-reduced focal loss over all cells and classes, and the number of peaks to divide it by."""
    logits = logits_BCRS.float()
    heat = heatmap_targets(targets, point_cloud_range, logits.shape)
    peak = heat == 1.0
    # -log(p) and -log(1 - p) from the logits: finite wherever they are.
    missing, claiming = F.softplus(-logits), F.softplus(logits)
    probability = logits.sigmoid()
    at_peaks = missing * (1 - probability) ** 2
    elsewhere = claiming * probability**2 * (1 - heat) ** 4
    return torch.where(peak, at_peaks, elsewhere).sum(), peak.sum()
