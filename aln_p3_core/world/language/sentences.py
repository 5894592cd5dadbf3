"""Puts statements about the ego into words, and tells what was said: a slot that a wording lacks is not stated."""

from __future__ import annotations

from dataclasses import replace

from aln_p3_core.world.language.grammar import Alternatives, Chooser, with_article
from aln_p3_core.world.language.stated import NamedObject, Narration, Reason, Reasoning, Side, Where
from aln_p3_core.world.language.wording_ego import (
    CHANGE,
    CONNECTORS,
    LATERAL_REASONS,
    NUDGE,
    PACE,
    REASONS,
    SPEED,
    SUBJECTS,
    TURN,
    WHERE,
)
from aln_p3_core.world.planners.planner import LateralManeuver, Maneuver

PLURALS = {"bus": "buses"}
LATERALS: dict[LateralManeuver, tuple[Alternatives, Side]] = {
    LateralManeuver.TURN_LEFT: (TURN, Side.LEFT),
    LateralManeuver.TURN_RIGHT: (TURN, Side.RIGHT),
    LateralManeuver.CHANGE_LEFT: (CHANGE, Side.LEFT),
    LateralManeuver.CHANGE_RIGHT: (CHANGE, Side.RIGHT),
    LateralManeuver.NUDGE_LEFT: (NUDGE, Side.LEFT),
    LateralManeuver.NUDGE_RIGHT: (NUDGE, Side.RIGHT),
}


def bare(named: NamedObject) -> str:
    """ "white truck"."""
    return f"{named.color} {named.noun}".strip()


def plural(noun: str) -> str:
    """ "traffic cones"."""
    return PLURALS.get(noun, f"{noun}s")


def say_narration(narration: Narration, chooser: Chooser, key: object) -> tuple[str, Narration]:
    """The sentence, and the narration as it was said."""
    parts = []
    if narration.lateral is not LateralManeuver.KEEP_LANE:
        alternatives, side = LATERALS[narration.lateral]
        parts.append(chooser.pick(alternatives, key, "lateral").format(side=side.value))
        if narration.pace is not None or narration.speed is Maneuver.KEEP_SPEED:
            narration = replace(narration, pace=None, speed=None)
    pace = narration.pace
    if pace is not None:
        narration = replace(narration, speed=Maneuver.KEEP_SPEED)
        parts.append(chooser.pick(PACE[pace], key, "pace"))
    elif narration.speed is not None:
        parts.append(chooser.pick(SPEED[narration.speed], key, "speed"))
    if len(parts) == 2 and chooser.chance(0.5, key, "order"):
        parts.reverse()
    words = f"{chooser.pick(SUBJECTS, key, 'subject')} {' and '.join(parts)}"
    if narration.where is not Where.NOWHERE:
        where = chooser.pick(WHERE[narration.where], key, "where")
        named = narration.leader
        words += " " + where.format(object=with_article(bare(named)) if named else "")
    return words, narration


def say_reasoning(reasoning: Reasoning, chooser: Chooser, key: object) -> tuple[str, Reasoning]:
    """The sentence, and the reasons as they were said."""
    parts: list[str] = []
    said: list[Reason | None] = []
    for name, reason, table in (("why", reasoning.speed, REASONS), ("aside", reasoning.lateral, LATERAL_REASONS)):
        if reason is None:
            said.append(None)
            continue
        pattern = _fitting(table[reason.cause, reason.action], reason, chooser, key, name)
        words = _fill(pattern, reason)
        if not words.startswith("to "):
            words = f"{chooser.pick(CONNECTORS, key, name, 'connector')} {words}"
        parts.append(words)
        said.append(as_said(reason, pattern))
    return ", and ".join(parts), Reasoning(*said)


def as_said(reason: Reason, pattern: str) -> Reason:
    """The reason without what a pattern does not say."""
    if "{plural}" in pattern and reason.object is not None:
        reason = replace(reason, object=NamedObject(reason.object.noun))
    elif "{object}" not in pattern and "{bare}" not in pattern:
        reason = replace(reason, object=None)
    if "side}" not in pattern:
        reason = replace(reason, side=Side.NONE)
    return reason


def _fitting(alternatives: Alternatives, reason: Reason, chooser: Chooser, *key: object) -> str:
    choices = alternatives.by_split[chooser.split]
    if reason.object is None:
        choices = tuple(c for c in choices if not any(slot in c for slot in ("{object}", "{bare}", "{plural}")))
    return chooser.pick(choices, *key)


def _fill(pattern: str, reason: Reason) -> str:
    side = reason.side.value
    named = reason.object
    return pattern.format(
        side=side,
        on_side=f" on the {side}" if side else "",
        from_side=f" from the {side}" if side else "",
        object=with_article(bare(named)) if named else "",
        bare=bare(named) if named else "",
        plural=plural(named.noun) if named else "",
    )
