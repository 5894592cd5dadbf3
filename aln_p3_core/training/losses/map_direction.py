"""Directions of map lines' edges (MapTR, arXiv 2208.14437, section 3.3).

Suffixes: L decoder layers, B batch, V map queries, P points a line.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.settings import LossSettings

# Edges much shorter than this, metres, have no direction; the released code, almost, does not care. It also keeps
# the gradient of a predicted edge finite.
_SHORTEST_M, _RELEASED_SHORTEST_M = 1e-2, 1e-6


def map_direction_loss(
    points_LBVP2: Tensor,
    line_LBV: Tensor,
    wanted_LBVP2: Tensor,
    extent: tuple[float, float],
    settings: LossSettings,
) -> tuple[Tensor, Tensor]:
    """1 - cosine between predicted and wanted edges, in metres.

    Args:
        points_LBVP2, wanted_LBVP2: 0..1 over the range; wanted ones in the order that fits best.
        line_LBV: matched line, or -1.
        extent: width (x) and length (y) of the range, m.
        settings: `released`.

    Returns:
        Sum over the edges of matched queries [L], and the number of matched queries [L].
    """
    scale = points_LBVP2.new_tensor(extent)
    edge, wanted = (points.diff(dim=-2) * scale for points in (points_LBVP2, wanted_LBVP2))
    square, wanted_square = edge.square().sum(-1), wanted.square().sum(-1)
    tiny = (_RELEASED_SHORTEST_M if settings.released else _SHORTEST_M) ** 2
    cosine = (edge * wanted).sum(-1) * torch.rsqrt((square + tiny) * (wanted_square + tiny))
    positive = line_LBV >= 0
    counted = positive[..., None] & (wanted_square > tiny)
    return ((1 - cosine) * counted).sum(dim=(1, 2, 3)), positive.sum(dim=(1, 2))
