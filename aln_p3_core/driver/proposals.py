"""Agent queries that start where the BEV map shows something, instead of at learned places (ours).

Learned queries need dozens of epochs to spread over the scene. A heat map of object centres (CenterPoint,
arXiv 2006.11275; TransFusion, arXiv 2203.11496) is learnt by convolutions in one or two, and its peaks are the
queries' first reference points.

Suffixes: B batch, C classes, R BEV rows (y), S BEV columns (x), Q queries, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.attention import exact, set_prior_probability


@dataclass(slots=True)
class Proposals:
    """`heatmap_BCRS`: logits of object centres; `content_BQD` and `position_BQD`: queries; `reference_BQ3`: x, y, z
    in 0..1 over the range, detached."""

    heatmap_BCRS: Tensor
    content_BQD: Tensor
    position_BQD: Tensor
    reference_BQ3: Tensor


class HeatmapProposals(nn.Module):
    """The highest peaks of a heat map as queries: the BEV feature there, plus an embedding of the peak's class."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width, classes = config.embed_dims, len(config.agents.classes)
        self.count = config.agents.queries
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.heat = set_prior_probability(nn.Sequential(nn.Linear(width, classes)))
        self.content = nn.Linear(width, width)
        self.classes = nn.Parameter(torch.randn(classes, width) * 0.02)
        self.position = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, bev_BRSD: Tensor) -> Proposals:
        rows, columns = bev_BRSD.shape[1:3]
        hidden = F.relu(self.hidden(bev_BRSD.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        heatmap = exact(self.heat, hidden).permute(0, 3, 1, 2)
        place_BQ, class_BQ = self._peaks(heatmap.detach())
        index = place_BQ[..., None].expand(-1, -1, bev_BRSD.shape[-1])
        seen = bev_BRSD.flatten(1, 2).gather(1, index)
        x = (place_BQ % columns + 0.5) / columns
        y = (place_BQ.div(columns, rounding_mode="floor") + 0.5) / rows
        return Proposals(
            heatmap,
            self.content(seen) + self.classes[class_BQ].to(seen.dtype),
            exact(self.position, torch.stack([x, y], dim=-1)).to(seen.dtype),
            torch.stack([x, y, torch.full_like(x, 0.5)], dim=-1),
        )

    def _peaks(self, heatmap_BCRS: Tensor) -> tuple[Tensor, Tensor]:
        """Cell (row * S + column) and class of the best peaks, [B, Q] each; a peak is no lower than its neighbours."""
        cells = heatmap_BCRS.shape[2] * heatmap_BCRS.shape[3]
        scores = heatmap_BCRS.sigmoid()
        highest = F.max_pool2d(scores, 3, stride=1, padding=1)
        peaks = torch.where(scores == highest, scores, scores * 0.01).flatten(1)
        best = peaks.topk(min(self.count, peaks.shape[1])).indices
        return best % cells, best.div(cells, rounding_mode="floor")
