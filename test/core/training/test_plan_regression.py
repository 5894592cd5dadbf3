"""L1 of the commanded plan."""

from __future__ import annotations

from dataclasses import replace

import torch
from loss_helpers import make_outputs, make_targets, perfect_outputs

from aln_p3_core.training.losses.plan_regression import plan_regression_loss
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()


def test_the_driven_path_under_its_command_costs_nothing() -> None:
    targets = [make_targets(seed=seed) for seed in range(4)]
    plan = perfect_outputs(targets).plan_offsets_B3T2
    assert plan_regression_loss(plan, pad_targets(targets), LOSSES)[0].item() == 0


def test_the_mean_goes_over_valid_steps_of_the_command_only() -> None:
    target = make_targets()
    target.plan_mask_T[2:] = False
    plan = perfect_outputs([target]).plan_offsets_B3T2.detach()
    plan = (plan + torch.tensor([0.3, 0.5])).requires_grad_()
    total, count = plan_regression_loss(plan, pad_targets([target]), LOSSES)
    torch.testing.assert_close(total / count, torch.tensor(0.4))
    total.backward()
    pulled = torch.zeros(1, 3, 6, 2, dtype=torch.bool)
    pulled[0, target.command, :2] = True
    assert plan.grad is not None and torch.equal(plan.grad != 0, pulled)
    total, count = plan_regression_loss(plan, pad_targets([target]), replace(LOSSES, released=True))
    torch.testing.assert_close(total / count, torch.tensor(0.8 * 2 / 36))


def test_a_sample_counts_by_its_weight() -> None:
    targets = [make_targets(seed=1), make_targets(seed=2)]
    plan = make_outputs(2).plan_offsets_B3T2
    alone = [plan_regression_loss(plan[i : i + 1], pad_targets(targets[i : i + 1]), LOSSES)[0] for i in range(2)]
    targets[1] = replace(targets[1], weight=torch.tensor(3.0))
    total, count = plan_regression_loss(plan, pad_targets(targets), LOSSES)
    torch.testing.assert_close(total, alone[0] + 3 * alone[1])
    assert count == 2 * 6 * 2


def test_a_frame_without_a_future_is_silent() -> None:
    target = make_targets()
    target.plan_mask_T[:] = False
    total, count = plan_regression_loss(make_outputs().plan_offsets_B3T2, pad_targets([target]), LOSSES)
    assert total == count == 0
