"""P1A: what the mixer makes of an object is pulled to the text embedding of the object's caption.

Known: instance tokens Q'_instance are aligned with T(O), the CLIP embedding of the ground-truth caption. Head and form
are a reconstruction after MTA's BLA (arXiv 2411.10639, equation 3):

    mse:     mean over pairs of |Phi(q) - T(o)|^2          cosine:  mean of 1 - <norm Phi(q), T(o)>
    clip:    symmetric contrast of norm Phi(q) and T(o)

T is frozen, so that only the vision side learns.
"""

from __future__ import annotations

from torch import nn

from aln_p3_core.alignment.contrast import PairLoss
from aln_p3_core.alignment.gradient_routes import passed
from aln_p3_core.alignment.heads import feature_head
from aln_p3_core.alignment.io import AlignmentWidths
from aln_p3_core.alignment.pairs import PairQueue, Pairs, Sources
from aln_p3_core.alignment.rows import Rows
from aln_p3_core.alignment.settings import PerceptionSettings


class PerceptionAlignment(nn.Module):
    """Phi, and the loss."""

    def __init__(self, settings: PerceptionSettings, widths: AlignmentWidths) -> None:
        super().__init__()
        self.settings = settings
        self.widths = widths
        self.head = feature_head(widths.instance, settings.hidden, widths.text)
        self.loss = PairLoss(settings.form, settings.contrast)
        self.queue = PairQueue.of(
            settings.form,
            settings.contrast,
            features=widths.instance,
            steps=0,
            words=widths.text,
            keys=widths.text,
        )

    def sources(self, rows: Rows) -> Sources:
        """This process's pairs. Raises DataError for missing or misshapen tensors."""
        # With both off only the head learns: how near the tokens are to the captions as they are.
        learnt = self.settings.to_driver or self.settings.to_explainer
        instances = passed(rows.take("instances_PD", self.widths.instance), learnt)
        captions = rows.take("caption_embeddings_PW", self.widths.text).detach()
        no_path = captions.new_zeros(len(captions), 0, 2)
        return Sources(instances, no_path, captions, captions, rows.frames("scene_of_pair_P"))

    def pairs(self, sources: Sources) -> Pairs:
        """In the text encoder's space."""
        return Pairs(self.head(sources.features_NF), sources.words_NL, sources.keys_NW, sources.frame_N)
