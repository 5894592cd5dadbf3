"""How near two matched lists of vectors are: squared distance, cosine, or CLIP's symmetric contrast.

With unit vectors u (vision) and t (language), scale s, and S = s t u^T:

    clip = 1/2 [CE(S, own) + CE(S^T, own)]        mse = mean |u' - t'|^2        cosine = mean (1 - <u, t>)

(u', t': not normalised.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from aln_p3_core.alignment.pairs import Pairs
from aln_p3_core.alignment.settings import ContrastSettings, Form


class PairLoss(nn.Module):
    """The loss of one term, and its retrieval accuracy."""

    def __init__(self, form: Form, settings: ContrastSettings) -> None:
        super().__init__()
        self.form = form
        self.settings = settings
        if form == "clip":
            start = torch.tensor(math.log(settings.scale))
            if settings.temperature == "learned":
                self.log_scale = nn.Parameter(start)
            else:
                self.register_buffer("log_scale", start)

    def forward(self, pairs: Pairs, older: Pairs | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Args:
            pairs: of all processes. None at all give zero, with a graph.
            older: earlier pairs, further negatives of form "clip".

        Returns:
            Scalar loss, and detached measures "retrieval", "chance", "pairs" and, of form "clip", "scale".
        """
        unit = _normalised(pairs)
        ignored_NN = self._ignored(unit, unit).fill_diagonal_(False)
        measures = _retrieval(unit, ignored_NN)
        count = max(len(unit.frame_N), 1)
        if self.form == "mse":
            return (pairs.vision_NK - pairs.language_NK).square().sum() / count, measures
        if self.form == "cosine":
            return (1 - (unit.vision_NK * unit.language_NK).sum(-1)).sum() / count, measures
        loss = self._contrast(unit, ignored_NN, None if older is None else _normalised(older)) / count
        return loss, {**measures, "scale": self.log_scale.detach().exp()}

    def _ignored(self, unit: Pairs, others: Pairs) -> Tensor:
        """[N, N'] bool: which of `others` are no negatives of a pair."""
        ignored = torch.zeros(len(unit.frame_N), len(others.frame_N), dtype=torch.bool, device=unit.frame_N.device)
        if self.settings.duplicates == "ignored":
            ignored |= unit.keys_NW @ others.keys_NW.T >= self.settings.duplicate_similarity
        if self.settings.negatives == "frame":
            ignored |= unit.frame_N[:, None] != others.frame_N
        return ignored

    def _contrast(self, unit: Pairs, ignored_NN: Tensor, older: Pairs | None) -> Tensor:
        if self.training and isinstance(self.log_scale, nn.Parameter):
            # As CLIP: a clamp inside the graph would leave a scale beyond it without a gradient, for good.
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(self.settings.scale_max))
        vision, language, ignored = unit.vision_NK, unit.language_NK, ignored_NN
        if older is not None:
            vision = torch.cat([vision, older.vision_NK])
            language = torch.cat([language, older.language_NK])
            ignored = torch.cat([ignored, self._ignored(unit, older)], dim=1)
        own = torch.arange(len(ignored), device=ignored.device)
        losses = []
        for queries, others in ((unit.language_NK, vision), (unit.vision_NK, language)):
            scores = (self.log_scale.exp() * queries @ others.T).masked_fill(ignored, -torch.inf)
            losses.append(functional.cross_entropy(scores, own, reduction="sum"))
        return (losses[0] + losses[1]) / 2


@torch.no_grad()
def _retrieval(unit: Pairs, ignored_NN: Tensor) -> dict[str, Tensor]:
    """How often a text's own partner is the nearest of those that are not ignored."""
    similarity = (unit.language_NK @ unit.vision_NK.T).masked_fill(ignored_NN, -torch.inf)
    if not len(similarity):
        nothing = similarity.new_tensor(torch.nan)
        return {"retrieval": nothing, "chance": nothing, "pairs": similarity.new_zeros(())}
    own = torch.arange(len(similarity), device=similarity.device)
    return {
        "retrieval": (similarity.argmax(1) == own).float().mean(),
        "chance": (1.0 / (~ignored_NN).sum(1)).mean(),
        "pairs": similarity.new_tensor(float(len(own))),
    }


def _normalised(pairs: Pairs) -> Pairs:
    vision, language, keys = (
        functional.normalize(vectors, dim=-1) for vectors in (pairs.vision_NK, pairs.language_NK, pairs.keys_NW)
    )
    return Pairs(vision, language, keys, pairs.frame_N)
