"""Tensors into and out of the alignments.

Suffix legend: P matched pairs (an agent query and its target) of all frames of the batch, B frames, M modes, T future
steps, D driver width, W width of the text encoder, E width of the language model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class AlignmentWidths:
    """Widths that the projections are built for.

    Attributes:
        instance: of the mixer's instance tokens (`MixedTokens.instances`).
        motion: of a motion feature, 2 D.
        ego: of the planner's feature, 2 D.
        forecast_steps, plan_steps: T of an agent's trajectory and of the plan.
        language: E.
        text: W.
    """

    instance: int
    motion: int
    ego: int
    forecast_steps: int
    plan_steps: int
    language: int
    text: int


@dataclass(slots=True)
class AlignmentInputs:
    """One batch of one process. A term reads only what its settings ask for; all of P's or B's rows must be there,
    those without a partner are masked.

    Attributes:
        scene_of_pair_P: int64, row of the batch that the pair belongs to.

        instances_PD: instance tokens after the mixer (P1A), of the pair's query.
        caption_embeddings_PW: text embedding of the object's caption; anything where there is none.
        caption_valid_P: bool, whether the pair has a caption.

        motion_PM2D: motion features of the pair's query (P2A).
        mode_logits_PM: of its modes.
        trajectories_PMT2: positions, metres, model frame: the box's centre plus the cumulated offsets.
        motion_states_PE: mean of the language model's last states over its answer about this agent's motion; needed
            by language "output" only.
        motion_embeddings_PW: text embedding of that answer; needed by language "text", and by
            contrast.duplicates "ignored".
        motion_valid_P: bool, whether there is such an answer.

        ego_B2D: planner features (P3A).
        plan_BT2: positions of the commanded plan, metres, model frame.
        explanation_states_BE: as motion_states_PE, of the answer that explains the frame.
        explanation_embeddings_BW: as motion_embeddings_PW.
        explanation_valid_B: bool, whether the frame has an explanation.
    """

    scene_of_pair_P: Tensor | None = None
    instances_PD: Tensor | None = None
    caption_embeddings_PW: Tensor | None = None
    caption_valid_P: Tensor | None = None
    motion_PM2D: Tensor | None = None
    mode_logits_PM: Tensor | None = None
    trajectories_PMT2: Tensor | None = None
    motion_states_PE: Tensor | None = None
    motion_embeddings_PW: Tensor | None = None
    motion_valid_P: Tensor | None = None
    ego_B2D: Tensor | None = None
    plan_BT2: Tensor | None = None
    explanation_states_BE: Tensor | None = None
    explanation_embeddings_BW: Tensor | None = None
    explanation_valid_B: Tensor | None = None

    def detached(self) -> AlignmentInputs:
        """The same without a way back to driver and explainer."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return AlignmentInputs(**{name: None if value is None else value.detach() for name, value in values.items()})

    def with_words_of_others(self) -> AlignmentInputs:
        """The same with the words about other objects and frames: each row has those of the row half a batch further.

        Rows of a batch are drawn anew in every step, so that nothing can be learnt from who is whose neighbour.
        """
        return replace(self, **{name: _half_round(getattr(self, name)) for name in _WORDS})


_WORDS = (
    "caption_embeddings_PW",
    "caption_valid_P",
    "motion_states_PE",
    "motion_embeddings_PW",
    "motion_valid_P",
    "explanation_states_BE",
    "explanation_embeddings_BW",
    "explanation_valid_B",
)


def _half_round(rows: Tensor | None) -> Tensor | None:
    return None if rows is None else rows.roll(-(len(rows) // 2), dims=0)


@dataclass(slots=True)
class AlignmentResult:
    """The alignments of a batch.

    Attributes:
        total: scalar, the sum of `terms`; what gradients come from. Zero, with a graph, where nothing is aligned.
        terms: "p1a", "p2a", "p3a" (those with a weight), weighted, detached.
        measures: detached; of each term "<term>.retrieval" (share of texts whose own partner is the nearest one),
            "<term>.chance" (what guessing would give), "<term>.pairs" (over all processes), and of form "clip"
            "<term>.scale". Without pairs retrieval and chance are NaN.
    """

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    measures: dict[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def nothing(device: torch.device) -> AlignmentResult:
        """Of settings that leave all terms out."""
        return AlignmentResult(torch.zeros((), device=device))
