"""Settings of the texts that a training learns: which go with a frame, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TextKind = Literal[
    "explanation", "caption", "question", "drivelm", "command", "count", "position", "motion", "plan"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextShares:
    """How often each kind of text is drawn, in proportion to the others; a kind that a frame lacks is passed over.

    explanation: Nu-X, narration and reasoning.
    caption: TOD3Cap, of one annotated object.
    question: NuScenes-QA.
    drivelm: DriveLM, to learn from only: nothing scores it.
    command: direction and change of speed of the recorded plan.
    count, position, motion, plan: the driver's own predictions, put into words (Hint-AD's online alignment).
    """

    explanation: float = 0.0
    caption: float = 0.35
    question: float = 0.35
    drivelm: float = 0.0
    command: float = 0.05
    count: float = 0.05
    position: float = 0.05
    motion: float = 0.1
    plan: float = 0.05


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Which texts go with a key frame; everything is drawn from the clip's seed (Hint-AD draws one kind a frame, and up
    to 20 texts of it; here every frame has its explanation, since P3A compares those of a batch).

    per_frame: texts of a frame.
    every_frame: kinds of which each frame that has one gets one, before others are drawn by `shares`.
    shares: of the kinds in the other draws.
    pairs: captioned objects of a frame that are used at most: all of them by the alignments, the detected ones by
        captions.
    match_distance_m: an object's caption goes to the query that the assignment of the last decoder layer gives it,
        where that query's box lies so near to the object; else the caption is not used. 0: however far.
    nu_x, tod3cap, questions, drivelm: files in the published formats; {split} stands for the name of a split. Without
        any, those in the roots' `language` folders.
    sample_tokens: so long are the sample texts of a run's folder at most.
    """

    per_frame: int = 2
    every_frame: tuple[TextKind, ...] = ("explanation",)
    shares: TextShares = TextShares()
    pairs: int = 12
    match_distance_m: float = 4.0
    nu_x: tuple[str, ...] = ()
    tod3cap: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    drivelm: tuple[str, ...] = ()
    sample_tokens: int = 60
