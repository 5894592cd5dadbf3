"""P2A: how an agent is predicted to move, and what the language model says about it.

The paper's definition is not public to us. Reconstruction after MTA's DCA (arXiv 2411.10639, equations 4 to 7), with
motion in the place of detection: a symmetric contrast over the matched agents of the global batch between

    x = [Phi_q(motion feature), Phi_v(trajectory)]      y = Phi_t(states over the answer about this agent's motion)

both pooled over prompts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.alignment.io import AlignmentWidths
from aln_p3_core.alignment.pairs import Sources
from aln_p3_core.alignment.pooled_term import PooledTerm
from aln_p3_core.alignment.rows import Rows
from aln_p3_core.alignment.settings import PredictionSettings, PromptSettings


class PredictionAlignment(PooledTerm):
    def __init__(self, settings: PredictionSettings, pool: PromptSettings, widths: AlignmentWidths) -> None:
        super().__init__(settings, pool, widths, feature_width=widths.motion, steps=widths.forecast_steps)
        self.widths = widths
        self.modes = settings.modes

    def sources(self, rows: Rows) -> Sources:
        """This process's pairs. Raises DataError for missing or misshapen tensors."""
        logits_NM = rows.take("mode_logits_PM", -1)
        motion_NM2D = rows.take("motion_PM2D", -1, self.widths.motion)
        paths_NMT2 = rows.take("trajectories_PMT2", -1, self.widths.forecast_steps, 2)
        return self._sources(
            rows,
            self._pooled_over_modes(motion_NM2D, logits_NM),
            _of_mode(paths_NMT2, logits_NM.argmax(-1)),
            states="motion_states_PE",
            embeddings="motion_embeddings_PW",
            frame="scene_of_pair_P",
        )

    def _pooled_over_modes(self, motion_NM2D: Tensor, logits_NM: Tensor) -> Tensor:
        if self.modes == "mean":
            return motion_NM2D.mean(1)
        if self.modes == "best":
            return _of_mode(motion_NM2D, logits_NM.argmax(-1))
        return torch.einsum("nm,nmd->nd", logits_NM.softmax(-1), motion_NM2D)


def _of_mode(values_NM: Tensor, mode_N: Tensor) -> Tensor:
    return values_NM[torch.arange(len(mode_N), device=mode_N.device), mode_N]
