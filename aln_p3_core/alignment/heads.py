"""Projections that exist for an alignment only."""

from __future__ import annotations

from torch import Tensor, nn

# Trajectories reach some 30 m; a layer learns best from numbers about 1.
_METRES = 10.0


def feature_head(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """[..., width_in] of any scale -> [..., width_out]: LayerNorm, then a layer (`hidden` 0) or two."""
    return nn.Sequential(nn.LayerNorm(width_in), *_layers(width_in, hidden, width_out))


class TrajectoryHead(nn.Module):
    """Positions [..., T, 2] in metres -> [..., width_out]. Not normalised: where it is and how long it is counts."""

    def __init__(self, steps: int, hidden: int, width_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_layers(2 * steps, hidden, width_out))

    def forward(self, points: Tensor) -> Tensor:
        projected: Tensor = self.layers(points.flatten(-2) / _METRES)
        return projected


def _layers(width_in: int, hidden: int, width_out: int) -> list[nn.Module]:
    if not hidden:
        return [nn.Linear(width_in, width_out)]
    return [nn.Linear(width_in, hidden), nn.GELU(), nn.Linear(hidden, width_out)]
