"""Learnable prompts over which both sides of P2A and P3A are pooled (MTA, arXiv 2411.10639, equations 4 to 6).

    a = softmax over i of <x, p_i>        pooled(x) = sum over i of a_i p_i

Motion features and sentences are unlike each other; as mixtures of the same prompts they can be compared. All pooled
vectors lie within the prompts' convex hull. While the softmax is flat they are all near its centre (cosines of 0.99
and more), and yet it is the start to learn from: the contrast sees directions, and small differences have full
gradients. A softmax that starts sharp hardly passes any, and on made-up pairs it never left chance; so x is
normalised, prompts start orthogonal with length one, and the dot product is divided by the root of the width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from aln_p3_core.alignment.settings import PromptSettings

Side = Literal["vision", "language"]


class PromptPool(nn.Module):
    """Prompts [1 or 2, N, width]: one set for both sides, or one for each (`share_sides`)."""

    def __init__(self, settings: PromptSettings) -> None:
        super().__init__()
        self.settings = settings
        shape = (1 if settings.share_sides else 2, settings.prompts, settings.width)
        prompts = torch.empty(shape)
        for of_side in prompts:
            if settings.start == "orthogonal":
                nn.init.orthogonal_(of_side)
            else:
                nn.init.normal_(of_side, std=0.02)
        self.prompts = nn.Parameter(prompts * settings.gain)
        # Length of x, the root of the width, as a LayerNorm without parameters leaves it.
        self._norm = nn.LayerNorm(settings.width, elementwise_affine=False)

    def forward(self, features_ND: Tensor, side: Side) -> Tensor:
        """Features [N, width] -> pooled [N, width]."""
        prompts = self.prompts[-1 if side == "language" else 0]
        features = self._norm(features_ND)
        scores = features @ prompts.T
        if self.settings.scaled:
            scores = scores / self.settings.width**0.5
        pooled = scores.softmax(-1) @ prompts
        return pooled + features if self.settings.residual else pooled
