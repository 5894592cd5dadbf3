"""What P2A and P3A have in common: two unlike sides, projected and pooled over prompts, and compared.

x = [Phi_q(feature), Phi_v(trajectory)]       y = Phi_t(states over the answer, or embedding of the text)
loss = form(pooled(x), pooled(y))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aln_p3_core.alignment.contrast import PairLoss
from aln_p3_core.alignment.gradient_routes import passed
from aln_p3_core.alignment.heads import TrajectoryHead, feature_head
from aln_p3_core.alignment.io import AlignmentWidths
from aln_p3_core.alignment.pairs import PairQueue, Pairs, Sources
from aln_p3_core.alignment.prompt_pool import PromptPool
from aln_p3_core.alignment.rows import Rows
from aln_p3_core.alignment.settings import PlanningSettings, PredictionSettings, PromptSettings


class PooledTerm(nn.Module):
    """Heads, loss and queue of one term. The pool comes from outside, as two terms may share it."""

    def __init__(
        self,
        settings: PredictionSettings | PlanningSettings,
        pool: PromptSettings,
        widths: AlignmentWidths,
        *,
        feature_width: int,
        steps: int,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.text_width = widths.text
        self.language_width = widths.language if settings.language == "output" else widths.text
        hidden, contrast = settings.hidden, settings.contrast
        width = pool.width // 2 if settings.vision == "both" else pool.width
        self.feature_head = None if settings.vision == "trajectory" else feature_head(feature_width, hidden, width)
        self.path_head = None if settings.vision == "token" else TrajectoryHead(steps, hidden, width)
        self.language_head = feature_head(self.language_width, hidden, pool.width)
        self.loss = PairLoss(settings.form, contrast)
        self._keyed = contrast.duplicates == "ignored"
        self.queue = PairQueue.of(
            settings.form,
            contrast,
            features=feature_width,
            steps=steps,
            words=self.language_width,
            keys=widths.text if self._keyed else 0,
        )

    def pairs(self, sources: Sources, pool: PromptPool) -> Pairs:
        """Projected and pooled."""
        seen: list[Tensor] = []
        if self.feature_head is not None:
            seen.append(self.feature_head(sources.features_NF))
        if self.path_head is not None:
            seen.append(self.path_head(sources.paths_NT2))
        vision = pool(torch.cat(seen, dim=-1), "vision")
        language = pool(self.language_head(sources.words_NL), "language")
        return Pairs(vision, language, sources.keys_NW, sources.frame_N)

    def _sources(
        self, rows: Rows, features_NF: Tensor, paths_NT2: Tensor, *, states: str, embeddings: str, frame: str | None
    ) -> Sources:
        """With the names of the fields of `AlignmentInputs` that hold the rest."""
        field = states if self.settings.language == "output" else embeddings
        words = passed(rows.take(field, self.language_width), self.settings.to_explainer)
        keys = rows.take(embeddings, self.text_width).detach() if self._keyed else words.new_zeros(len(words), 0)
        to_driver = self.settings.to_driver
        return Sources(passed(features_NF, to_driver), passed(paths_NT2, to_driver), words, keys, rows.frames(frame))
