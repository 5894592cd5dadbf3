"""The plan's distance to the driven path, whatever the speed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from loss_helpers import make_targets

from aln_p3_core.training.losses.plan_across import plan_across_loss
from aln_p3_core.training.padded_targets import PaddedTargets, pad_targets
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()


def driven(path: torch.Tensor, known: int = 6) -> PaddedTargets:
    """A drive along the points [6, 2], of which so many are known."""
    offsets = path.diff(dim=0, prepend=torch.zeros(1, 2))
    mask = torch.arange(6) < known
    return pad_targets([replace(make_targets(), plan_offsets_T2=offsets * mask[:, None], plan_mask_T=mask)])


def arc(radius: float, metres: torch.Tensor) -> torch.Tensor:
    """Points so many metres along a left turn."""
    angle = metres / radius
    return torch.stack([radius * (angle.cos() - 1), radius * angle.sin()], dim=-1)


STEPS = torch.arange(1.0, 7.0)


@pytest.mark.parametrize("speed", [0.3, 1.0, 2.0])
def test_speed_costs_nothing_and_distance_costs_itself(speed: float) -> None:
    straight = torch.stack([torch.zeros(6), 3 * STEPS], dim=-1)
    targets = driven(straight)
    same_way = (straight * speed)[None]
    torch.testing.assert_close(plan_across_loss(same_way, targets, LOSSES), torch.zeros(1, 6))
    beside = same_way + torch.tensor([0.5, 0.0])
    torch.testing.assert_close(plan_across_loss(beside, targets, LOSSES), torch.full((1, 6), 0.5))


def test_a_cut_corner_is_seen() -> None:
    targets = driven(arc(10.0, 2.0 * STEPS))
    slower, cut = arc(10.0, 1.5 * STEPS), arc(9.0, 2.0 * STEPS)
    assert plan_across_loss(slower[None], targets, LOSSES).max() < 0.06  # sagitta of the polyline
    assert plan_across_loss(cut[None], targets, LOSSES)[0, -1] > 0.5


def test_unknown_steps_and_standing_drives_say_nothing() -> None:
    turn = arc(10.0, 2.0 * STEPS)
    known = driven(turn, known=3)
    # Beyond the known part the way goes straight on.
    third = turn[2] - turn[1]
    on = turn[2] + third / third.norm() * 4.0
    assert plan_across_loss(on.expand(1, 6, 2), known, LOSSES).max() < 1e-4
    standing = driven(torch.zeros(6, 2))
    assert not plan_across_loss(arc(5.0, STEPS)[None], standing, LOSSES).any()
    nothing = driven(turn, known=0)
    assert not plan_across_loss(turn[None], nothing, LOSSES).any()


def test_gradients_are_numbers_and_point_back() -> None:
    straight = torch.stack([torch.zeros(6), 3 * STEPS], dim=-1)
    plan = (straight + torch.tensor([0.4, 0.0]))[None].requires_grad_()
    plan_across_loss(plan, driven(straight), LOSSES).sum().backward()
    assert plan.grad is not None
    torch.testing.assert_close(plan.grad, torch.tensor([1.0, 0.0]).expand(1, 6, 2))
    exact = straight[None].clone().requires_grad_()
    plan_across_loss(exact, driven(straight), LOSSES).sum().backward()
    assert exact.grad is not None and torch.isfinite(exact.grad).all()
