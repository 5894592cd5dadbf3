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
# Distance between the points of a segment from which cells are tried, cells.
_SAMPLE_CELLS = 0.5


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
    extent, low = config.extent, config.point_cloud_range[:2]
    agent_map = [
        next((i for i, names in enumerate(AGENT_MAPS) if name in names), -1) for name in config.agents.classes
    ]
    kind_BA = torch.tensor(agent_map, device=targets.boxes_BA10.device)[targets.agent_classes_BA]
    boxes_BARS = _filled_boxes(targets.boxes_BA10, extent, low, rows, columns)
    maps = []
    for i in range(len(AGENT_MAPS)):
        chosen = (kind_BA == i) & targets.agent_valid_BA
        maps.append((boxes_BARS & chosen[..., None, None]).any(1).float())
    lines = _drawn_lines(targets, len(config.map.classes), rows, columns)
    return torch.cat([torch.stack(maps, dim=1), lines], dim=1)


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
    edge_NS2 = points_NP2.diff(dim=1)
    longest = float(edge_NS2.norm(dim=-1).max()) if len(edge_NS2) else 0.0
    along_K = torch.linspace(0, 1, int(longest / _SAMPLE_CELLS) + 2, device=device)
    start_NS2 = points_NP2[:, :-1]
    tried_NSK2 = (start_NS2[:, :, None] + along_K[:, None] * edge_NS2[:, :, None]).floor()
    around = torch.cartesian_prod(*(torch.arange(-1, 2, device=device),) * 2)
    cell = tried_NSK2[:, :, :, None] + around
    offset = cell + 0.5 - start_NS2[:, :, None, None]
    edge = edge_NS2[:, :, None, None]
    nearest = ((offset * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-12)).clamp(0, 1)
    near = (offset - nearest[..., None] * edge).norm(dim=-1) <= _LINE_CELLS
    near &= ((cell >= 0) & (cell < cells)).all(-1)
    x, y = cell.long().unbind(-1)
    place = (sample * classes + targets.line_classes_BG[sample, line])[:, None, None, None]
    index = ((place * rows + y) * columns + x)[near]
    drawn = torch.zeros(len(targets) * classes * rows * columns, device=device)
    drawn[index] = 1.0
    return drawn.view(len(targets), classes, rows, columns)
