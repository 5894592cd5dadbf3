"""P3A: where the driver means to go, and how the language model explains it.

The paper's definition is not public to us. Reconstruction after MTA's DCA (arXiv 2411.10639, equations 4 to 7), with
the plan in the place of detection; VLP's contrast of the ego query with its prompt (arXiv 2401.05577) is the same
idea. A symmetric contrast over the frames of the global batch between

    x = [Phi_q(ego feature), Phi_v(commanded plan)]     y = Phi_t(states over the explanation of this frame)

both pooled over prompts. A frame gives one pair only, so the batch should be large: it is gathered over processes,
and `contrast.queue` keeps earlier frames as negatives.
"""

from __future__ import annotations

from dataclasses import replace

from aln_p3_core.alignment.io import AlignmentWidths
from aln_p3_core.alignment.pairs import Sources
from aln_p3_core.alignment.pooled_term import PooledTerm
from aln_p3_core.alignment.rows import Rows
from aln_p3_core.alignment.settings import PlanningSettings, PromptSettings


class PlanningAlignment(PooledTerm):
    def __init__(self, settings: PlanningSettings, pool: PromptSettings, widths: AlignmentWidths) -> None:
        # Of a frame there is one pair: all its negatives are in other frames.
        settings = replace(settings, contrast=replace(settings.contrast, negatives="batch"))
        super().__init__(settings, pool, widths, feature_width=widths.ego, steps=widths.plan_steps)
        self.widths = widths

    def sources(self, rows: Rows) -> Sources:
        """This process's pairs. Raises DataError for missing or misshapen tensors."""
        return self._sources(
            rows,
            rows.take("ego_B2D", self.widths.ego),
            rows.take("plan_BT2", self.widths.plan_steps, 2),
            states="explanation_states_BE",
            embeddings="explanation_embeddings_BW",
            frame=None,
        )
