"""Sigmoid focal loss."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from aln_p3_core.training.losses.focal import one_hot, sigmoid_focal


def test_without_focus_it_is_half_the_cross_entropy() -> None:
    logits, wanted = torch.randn(40), (torch.rand(40) < 0.5).float()
    plain = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    torch.testing.assert_close(sigmoid_focal(logits, wanted, 0.5, 0.0), plain / 2)


def test_known_values() -> None:
    logits = torch.tensor([0.0, 0.0, 3.0])
    got = sigmoid_focal(logits, torch.tensor([1.0, 0.0, 1.0]), 0.25, 2.0)
    half = torch.tensor(0.5).log()
    p = torch.tensor(3.0).sigmoid()
    torch.testing.assert_close(
        got, torch.stack([-0.25 * 0.25 * half, -0.75 * 0.25 * half, -0.25 * (1 - p) ** 2 * p.log()])
    )


def test_gradients_are_right_and_finite_far_out() -> None:
    logits = torch.randn(6, dtype=torch.float64, requires_grad=True)
    wanted = torch.tensor([1.0, 0, 1, 0, 0, 1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: sigmoid_focal(x, wanted, 0.25, 2.0), logits)
    far = torch.tensor([-1e4, 1e4, -1e4, 1e4], requires_grad=True)
    sigmoid_focal(far, torch.tensor([1.0, 1, 0, 0]), 0.25, 2.0).sum().backward()
    assert far.grad is not None and far.grad.isfinite().all()


def test_background_is_all_zero() -> None:
    wanted = one_hot(torch.tensor([2, 0, 1]), torch.tensor([True, False, True]), 3)
    assert wanted.tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]
