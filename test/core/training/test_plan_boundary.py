"""The plan keeps away from the boundary."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aln_p3_core.training.losses.plan_boundary import plan_boundary_loss
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()
RELEASED = replace(LOSSES, released=True)
#: Straight ahead, one metre a step.
AHEAD = torch.tensor([[[0.0, y] for y in range(1, 7)]])


def _wall(x: float, start: float = -20.0, end: float = 20.0, points: int = 3) -> Tensor:
    """[1, 1, points, 2] a line along the road."""
    y = torch.linspace(start, end, points)
    return torch.stack([torch.full_like(y, x), y], dim=-1).view(1, 1, points, 2)


def _loss(path: Tensor, lines: Tensor, losses: LossSettings = LOSSES, sure: bool = True) -> Tensor:
    return plan_boundary_loss(path, lines, torch.full(lines.shape[:2], sure), losses)


def test_the_distance_goes_to_the_line_and_not_to_its_corners() -> None:
    torch.testing.assert_close(_loss(AHEAD, _wall(0.6)), torch.full((1, 6), 0.4))
    # Corners twenty metres apart: the released measure sees nothing.
    assert (_loss(AHEAD, _wall(0.6, -13.0, 27.0), RELEASED) == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 3.0), st.floats(0.05, 3.0))
def test_nearer_costs_more_and_far_nothing(a: float, b: float) -> None:
    near, far = (_loss(AHEAD, _wall(x)).sum() for x in sorted((a, b)))
    assert near >= far
    if max(a, b) >= LOSSES.boundary_distance_m:
        assert far == 0


def test_the_gradient_pushes_away_from_the_wall() -> None:
    path = AHEAD.clone().requires_grad_()
    _loss(path, _wall(0.6)).sum().backward()
    torch.testing.assert_close(path.grad, torch.tensor([1.0, 0.0]).expand(1, 6, 2))


def test_lines_that_are_not_boundaries_do_not_count() -> None:
    path = AHEAD.clone().requires_grad_()
    loss = _loss(path, _wall(0.2), sure=False)
    loss.sum().backward()
    assert (loss == 0).all() and path.grad is not None and (path.grad == 0).all()
    both = torch.cat([_wall(0.2), _wall(-0.7)], dim=1)
    loss = plan_boundary_loss(AHEAD, both, torch.tensor([[False, True]]), LOSSES)
    torch.testing.assert_close(loss, torch.full((1, 6), 0.3))


def test_nothing_counts_from_the_first_crossing_on() -> None:
    # Alongside a kerb; at 3.5 m the path crosses another line.
    x = torch.linspace(-60, 60, 41)
    across = torch.stack([x, torch.full_like(x, 3.5)], dim=-1).view(1, 1, 41, 2)
    both = torch.cat([_wall(0.2, points=41), across], dim=1)
    loss = _loss(AHEAD, both)
    assert (loss[0, :3] > 0).all() and (loss[0, 3:] == 0).all()
    # The released test looks only at the line with the nearest corner, which here is the kerb's.
    assert (_loss(AHEAD, both, RELEASED) > 0).all()


def test_gradients_are_right() -> None:
    lines = torch.cat([_wall(0.6), _wall(-0.8)], dim=1).double()
    path = (AHEAD.double() + 0.01 * torch.rand(1, 6, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: _loss(p, lines), path)
