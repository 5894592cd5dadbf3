"""Pooling over prompts."""

from __future__ import annotations

import math

import pytest
import torch

from aln_p3_core.alignment.prompt_pool import PromptPool
from aln_p3_core.alignment.settings import PromptSettings


def test_a_feature_becomes_the_mixture_of_prompts_that_it_points_at() -> None:
    pool = PromptPool(PromptSettings(prompts=2, width=2, scaled=False))
    with torch.no_grad():
        pool.prompts.copy_(torch.tensor([[[3.0, 0.0], [0.0, 1.0]]]))
    # Normalised to mean 0 and variance 1: (5, 1) -> (1, -1). Scores 3 and -1.
    found = pool(torch.tensor([[5.0, 1.0]]), "vision")[0].tolist()
    weight = math.exp(3) / (math.exp(3) + math.exp(-1))
    assert found == pytest.approx([3 * weight, 1 - weight], abs=1e-4)


def test_scaling_divides_by_the_root_of_the_width() -> None:
    torch.manual_seed(0)
    plain = PromptPool(PromptSettings(prompts=4, width=16, scaled=False))
    scaled = PromptPool(PromptSettings(prompts=4, width=16, scaled=True))
    with torch.no_grad():
        scaled.prompts.copy_(4 * plain.prompts)
    features = torch.randn(3, 16)
    torch.testing.assert_close(scaled(features, "vision"), 4 * plain(features, "vision"))


def test_prompts_start_orthogonal_with_the_length_of_the_gain() -> None:
    prompts = PromptPool(PromptSettings(prompts=8, width=16, gain=0.5)).prompts[0].detach()
    torch.testing.assert_close(prompts @ prompts.T, 0.25 * torch.eye(8), atol=1e-5, rtol=0)
    spread = PromptPool(PromptSettings(start="normal")).prompts.detach().std()
    assert float(spread) == pytest.approx(0.02, rel=0.1)


def test_sides_share_their_prompts_or_not() -> None:
    features = torch.randn(3, 128)
    shared, apart = PromptPool(PromptSettings()), PromptPool(PromptSettings(share_sides=False))
    assert torch.equal(shared(features, "vision"), shared(features, "language"))
    assert not torch.allclose(apart(features, "vision"), apart(features, "language"))
    assert apart.prompts.numel() == 2 * shared.prompts.numel()


def test_residual_leaves_the_span_of_the_prompts() -> None:
    torch.manual_seed(0)
    features = torch.randn(40, 16)
    pooled = PromptPool(PromptSettings(prompts=4, width=16))(features, "vision")
    added = PromptPool(PromptSettings(prompts=4, width=16, residual=True))(features, "vision")
    assert (
        torch.linalg.matrix_rank(pooled.detach(), rtol=1e-4) <= 4 < torch.linalg.matrix_rank(added.detach(), rtol=1e-4)
    )
