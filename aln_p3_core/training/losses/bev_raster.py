"""Dense maps of agents and lines, predicted from the BEV map (ours; auxiliary).

Queries reach the BEV map through a few sampled places each; a dense target teaches every cell from the first step
on. The head exists in training only: it belongs to the criterion, and no driver checkpoint holds it.

Suffixes: B batch, R BEV rows (y), S BEV columns (x), D width, K maps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.attention import set_prior_probability
from aln_p3_core.training.losses.focal import sigmoid_focal
from aln_p3_core.training.padded_targets import PaddedTargets
from aln_p3_core.training.settings import LossSettings

#: Agents of one map each; barriers and cones have none.
AGENT_MAPS: tuple[tuple[str, ...], ...] = (
    ("car", "truck", "construction_vehicle", "bus", "trailer"),
    ("motorcycle", "bicycle", "pedestrian"),
)

# Half the width of a drawn line, cells.
_LINE_CELLS = 0.75
# Distance between the points of a segment around which cells are tried, cells. A cell within `_LINE_CELLS` of the
# segment then is the cell of one of these points, or a neighbour of it.
_SAMPLE_CELLS = 1.0


class BevRasterHead(nn.Module):
    """Three convolutions from the BEV map to logits: vehicles, people and cycles, then one map for each map class."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width, hidden = config.embed_dims, config.embed_dims // 2
        self.hidden = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU()
        )
        maps = len(AGENT_MAPS) + len(config.map.classes)
        self.logits = set_prior_probability(nn.Sequential(nn.Linear(hidden, maps)))

    def forward(self, bev_BRSD: Tensor) -> Tensor:
        """Logits [B, K, R, S]."""
        hidden = self.hidden(bev_BRSD.permute(0, 3, 1, 2))
        return self.logits(hidden.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def bev_raster_loss(logits_BKRS: Tensor, wanted_BKRS: Tensor, settings: LossSettings) -> tuple[Tensor, Tensor]:
    """Sums [2 K] and their counts [2 K]: the focal loss of each map, over its cells that are set; and one minus the
    soft Dice overlap of each map, over the samples that have something in it.

    With one count for each map, rare things weigh as much as frequent ones.
    """
    focal = sigmoid_focal(logits_BKRS, wanted_BKRS, settings.focal_alpha, settings.focal_gamma)
    probability = logits_BKRS.sigmoid()
    cells_BK = wanted_BKRS.sum(dim=(2, 3))
    overlap = (probability * wanted_BKRS).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum(dim=(2, 3)) + cells_BK + 1)
    present = cells_BK > 0
    return (
        torch.cat([focal.sum(dim=(0, 2, 3)), (dice * present).sum(0)]),
        torch.cat([cells_BK.sum(0), present.sum(0).float()]),
    )


@torch.no_grad()
def raster_targets(targets: PaddedTargets, config: DriverConfig, rows: int, columns: int) -> Tensor:
    """[B, K, R, S] 0 or 1: cells whose centre lies in an agent's rectangle (its own cell always is), and cells whose
    centre lies within 0.75 cells of a line."""
    agent_map = [next((i for i, names in enumerate(AGENT_MAPS) if name in names), -1) for name in config.agents.classes]
    device = targets.boxes_BA10.device
    kind_BA = torch.tensor(agent_map, device=device)[targets.agent_classes_BA]
    chosen_BKA = (kind_BA[:, None] == torch.arange(len(AGENT_MAPS), device=device)[:, None]) & targets.agent_valid_BA[
        :, None
    ]
    boxes_BARS = _filled_boxes(targets.boxes_BA10, config.extent, config.point_cloud_range[:2], rows, columns)
    # How many boxes cover a cell, as one product: far faster than `any` over agents.
    agents = torch.bmm(chosen_BKA.float(), boxes_BARS.flatten(2).float()).clamp_max(1).unflatten(-1, (rows, columns))
    return torch.cat([agents, _drawn_lines(targets, len(config.map.classes), rows, columns)], dim=1)


def _filled_boxes(
    boxes_BA10: Tensor, extent: tuple[float, float], low: tuple[float, ...], rows: int, columns: int
) -> Tensor:
    """[B, A, R, S] bool."""
    device = boxes_BA10.device
    x_S = (torch.arange(columns, device=device) + 0.5) * (extent[0] / columns) + low[0]
    y_R = (torch.arange(rows, device=device) + 0.5) * (extent[1] / rows) + low[1]
    offset_x = x_S - boxes_BA10[..., :1]
    offset_y = y_R - boxes_BA10[..., 1:2]
    # The code's yaw is -heading - pi/2, so the heading's (cos, sin) is (-sin yaw, -cos yaw); its sign does not matter.
    axis = F.normalize(boxes_BA10[..., 6:8], dim=-1)
    cos, sin = axis[..., :1], axis[..., 1:]
    ahead = (offset_x * cos)[..., None, :] + (offset_y * sin)[..., :, None]
    aside = (offset_x * sin)[..., None, :] - (offset_y * cos)[..., :, None]
    width, length = boxes_BA10[..., 2:4].exp().unbind(-1)
    inside = (ahead.abs() <= length[..., None, None] / 2) & (aside.abs() <= width[..., None, None] / 2)
    own_column = offset_x.abs() <= extent[0] / columns / 2
    own_row = offset_y.abs() <= extent[1] / rows / 2
    return inside | (own_column[..., None, :] & own_row[..., :, None])


def _drawn_lines(targets: PaddedTargets, classes: int, rows: int, columns: int) -> Tensor:
    """[B, classes, R, S].

    Only cells around points along the segments are tried, not all of them: a hundredth of the work.
    """
    device = targets.orders_BGOP2.device
    cells = torch.tensor([columns, rows], device=device)
    sample, line = targets.line_valid_BG.nonzero().unbind(-1)
    points_NP2 = targets.lines_BGP2[sample, line] * cells
    segments = points_NP2.shape[1] - 1
    place_N = (sample * classes + targets.line_classes_BG[sample, line]).repeat_interleave(segments)
    start_N2, edge_N2 = points_NP2[:, :-1].flatten(0, 1), points_NP2.diff(dim=1).flatten(0, 1)
    tried_N = (edge_N2.norm(dim=-1) / _SAMPLE_CELLS).ceil().long() + 1
    segment_K = torch.arange(len(edge_N2), device=device).repeat_interleave(tried_N)
    number_K = torch.arange(len(segment_K), device=device) - (tried_N.cumsum(0) - tried_N)[segment_K]
    along_K = number_K / (tried_N - 1).clamp_min(1)[segment_K]
    start, edge = start_N2[segment_K], edge_N2[segment_K]
    around = torch.cartesian_prod(*(torch.arange(-1, 2, device=device),) * 2)
    cell_KC2 = (start + along_K[:, None] * edge).floor()[:, None] + around
    offset = cell_KC2 + 0.5 - start[:, None]
    edge = edge[:, None]
    nearest = ((offset * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-12)).clamp(0, 1)
    drawn = (offset - nearest[..., None] * edge).norm(dim=-1) <= _LINE_CELLS
    drawn &= ((cell_KC2 >= 0) & (cell_KC2 < cells)).all(-1)
    x, y = cell_KC2.long().unbind(-1)
    index = ((place_N[segment_K][:, None] * rows + y) * columns + x)[drawn]
    maps = torch.zeros(len(targets) * classes * rows * columns, device=device)
    maps[index] = 1.0
    return maps.view(len(targets), classes, rows, columns)
