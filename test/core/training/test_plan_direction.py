"""The plan follows the lane's direction."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aln_p3_core.training.losses.plan_direction import plan_direction_loss
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()
DIVIDER = torch.tensor([[[[0.0, -20.0], [0.0, 0.0], [0.0, 20.0]]]])


def _path(angle: float, step: float = 0.25) -> Tensor:
    """[1, 6, 2] straight, turned by `angle` to the left of straight ahead."""
    length = step * torch.arange(1, 7)
    return torch.stack([-math.sin(angle) * length, math.cos(angle) * length], dim=-1)[None]


def _loss(path: Tensor, lines: Tensor = DIVIDER, losses: LossSettings = LOSSES, sure: bool = True) -> Tensor:
    return plan_direction_loss(path, lines, torch.full(lines.shape[:2], sure), losses)


@settings(max_examples=40, deadline=None)
@given(st.floats(-math.pi, math.pi))
def test_the_loss_is_the_angle_between_lines(angle: float) -> None:
    folded = abs((angle + math.pi / 2) % math.pi - math.pi / 2)
    torch.testing.assert_close(_loss(_path(angle)), torch.full((1, 6), folded), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(_loss(_path(angle)), _loss(_path(angle), DIVIDER.flip(-2)))


@settings(max_examples=40, deadline=None)
@given(st.floats(0, math.pi / 2), st.floats(0, math.pi / 2))
def test_a_larger_angle_costs_more(a: float, b: float) -> None:
    small, large = sorted((a, b))
    assert _loss(_path(small)).sum() <= _loss(_path(large)).sum() + 1e-4


def test_far_dividers_standing_plans_and_other_lines_do_not_count() -> None:
    aside = DIVIDER + torch.tensor([LOSSES.direction_range_m + 1.6, 0.0])
    still = LOSSES.still_m / 6 - 0.01
    for loss in (_loss(_path(0.7), aside), _loss(_path(0.7, still)), _loss(_path(0.7), sure=False)):
        assert (loss == 0).all()


def test_the_nearest_segment_gives_the_direction() -> None:
    corner = torch.tensor([[[[0.0, -20.0], [0.0, 6.0], [20.0, 6.0]]]])
    path = torch.tensor([[[0.3, float(y)] for y in range(1, 7)]])
    loss = _loss(path, corner)
    torch.testing.assert_close(loss[0, 1:], torch.tensor([0.0, 0, 0, 0, math.pi / 2]))
    # The released rule takes the edge behind the nearest corner, from four metres before it on.
    released = _loss(path, corner, replace(LOSSES, released=True))
    torch.testing.assert_close(released[0, -2:], torch.full((2,), math.pi / 2))


@pytest.mark.parametrize("released", [False, True])
def test_steps_without_length_have_no_direction_and_finite_gradients(released: bool) -> None:
    path = torch.tensor([[[0.1, 3.0]] * 3 + [[0.5, 6.0]] * 3]).requires_grad_()
    loss = _loss(path, losses=replace(LOSSES, released=released))
    loss.sum().backward()
    assert path.grad is not None and path.grad.isfinite().all()
    if not released:
        assert (loss[0, [1, 2, 4, 5]] == 0).all() and (loss[0, [0, 3]] > 0).all()


def test_gradients_are_right_and_turn_the_plan_towards_the_lane() -> None:
    path = _path(0.4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: _loss(p, DIVIDER.double()), path)
    before = _loss(path, DIVIDER.double()).sum()
    before.backward()
    assert path.grad is not None
    assert _loss(path.detach() - 0.01 * path.grad, DIVIDER.double()).sum() < before
