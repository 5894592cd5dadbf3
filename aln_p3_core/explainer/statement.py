"""What an explanation states: the world's grammar is read back exactly, any other wording by keywords."""

from __future__ import annotations

from dataclasses import dataclass, field

from aln_p3_core.errors import DataError
from aln_p3_core.explainer.keyword_reader import WordedNarration, read_narration, read_reasons
from aln_p3_core.world.language.parse import parse_narration, parse_reasoning
from aln_p3_core.world.language.stated import Reason
from aln_p3_core.world.planners.planner import LateralManeuver


@dataclass(frozen=True, slots=True)
class Statement:
    """All that is read from a narration and a reasoning.

    Attributes:
        narration: what the car is said to do.
        reasons: why; a text may give several.
        exact_narration, exact_reasoning: the text is in the world's grammar, so that nothing was guessed.
    """

    narration: WordedNarration = field(default_factory=WordedNarration)
    reasons: tuple[Reason, ...] = ()
    exact_narration: bool = False
    exact_reasoning: bool = False


def read_statement(narration: str, reasoning: str) -> Statement:
    """Reads both texts. What cannot be read is missing from the statement; no text raises."""
    worded, exact_narration = _narration(narration)
    reasons, exact_reasoning = _reasons(reasoning)
    return Statement(worded, reasons, exact_narration, exact_reasoning)


def _narration(text: str) -> tuple[WordedNarration, bool]:
    try:
        parsed = parse_narration(_tidy(text))
    except DataError:
        return read_narration(text), False
    keeps = parsed.lateral is LateralManeuver.KEEP_LANE
    worded = WordedNarration(
        speeds=(parsed.speed,) if parsed.speed is not None else (),
        # The grammar has no words for keeping the lane: silence is no statement.
        laterals=() if keeps else (parsed.lateral,),
        pace=parsed.pace,
        where=parsed.where,
        leader=parsed.leader,
    )
    return worded, True


def _reasons(text: str) -> tuple[tuple[Reason, ...], bool]:
    try:
        parsed = parse_reasoning(_tidy(text))
    except DataError:
        return read_reasons(text), False
    return tuple(reason for reason in (parsed.speed, parsed.lateral) if reason is not None), True


def _tidy(text: str) -> str:
    return " ".join(text.split())
