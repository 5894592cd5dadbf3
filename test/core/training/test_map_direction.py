"""Directions of map lines' edges."""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.training.losses.map_direction import map_direction_loss
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()
EXTENT = (30.0, 60.0)


def _line(*points: tuple[float, float]) -> Tensor:
    """[1, 1, 1, P, 2] in 0..1, from metres."""
    return (torch.tensor(points) / torch.tensor(EXTENT)).view(1, 1, 1, len(points), 2)


MATCHED = torch.zeros(1, 1, 1, dtype=torch.long)


def test_equal_edges_cost_nothing_and_opposite_ones_two_each() -> None:
    line = _line((0, 0), (3, 1), (6, 2))
    assert float(map_direction_loss(line + 0.1, MATCHED, line, EXTENT, LOSSES)[0]) < 1e-3
    opposite = map_direction_loss(line.flip(-2), MATCHED, line, EXTENT, LOSSES)[0]
    torch.testing.assert_close(opposite, torch.tensor([4.0]), atol=1e-3, rtol=0)


def test_angles_are_those_of_metres() -> None:
    across = map_direction_loss(_line((0, 0), (5, 5)), MATCHED, _line((0, 0), (5, 0)), EXTENT, LOSSES)[0]
    torch.testing.assert_close(across, torch.tensor([1 - 0.5**0.5]), atol=1e-4, rtol=0)


def test_lines_without_a_match_and_edges_without_length_do_not_count() -> None:
    line = _line((0, 0), (0, 5)).requires_grad_()
    sums, counts = map_direction_loss(line, torch.full((1, 1, 1), -1), _line((0, 0), (5, 0)), EXTENT, LOSSES)
    assert sums.item() == counts.item() == 0
    point = _line((1, 1), (1, 1))
    assert map_direction_loss(line, MATCHED, point, EXTENT, LOSSES)[0].item() == 0


def test_gradients_are_right_and_stay_small_where_a_predicted_edge_vanishes() -> None:
    wanted = _line((0, 0), (3, 1), (4, 9)).double()
    predicted = torch.rand_like(wanted).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda points: map_direction_loss(points, MATCHED, wanted, EXTENT, LOSSES)[0], predicted
    )
    collapsed = torch.full_like(wanted, 0.5).requires_grad_()
    map_direction_loss(collapsed, MATCHED, wanted, EXTENT, LOSSES)[0].sum().backward()
    assert collapsed.grad is not None and collapsed.grad.abs().max() < 60 / 0.01 * 2.1
