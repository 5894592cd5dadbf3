"""Reads narrations and reasonings back to what they state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from aln_p3_core.world.language.grammar import Reader, expression, one_of
from aln_p3_core.world.language.naming import EGO_NOUNS
from aln_p3_core.world.language.reading import NAMED, named_in, plain, the_only, without_names
from aln_p3_core.world.language.sentences import LATERALS, plural
from aln_p3_core.world.language.stated import (
    EgoStatement,
    NamedObject,
    Narration,
    Pace,
    Reason,
    Reasoning,
    Side,
    Where,
)
from aln_p3_core.world.language.wording_ego import (
    CONNECTORS,
    LATERAL_REASONS,
    PACE,
    REASONS,
    SPEED,
    SUBJECTS,
    WHERE,
    ReasonKey,
)
from aln_p3_core.world.planners.planner import LateralManeuver, Maneuver

_SIDE = "(?P<side>left|right)"
_SLOTS = {
    "object": f"(?P<object>an? {NAMED})",
    "bare": f"(?P<object>{NAMED})",
    "plural": f"(?P<plural>{one_of(plural(noun) for noun in EGO_NOUNS)})",
    "side": _SIDE,
    "on_side": f"(?: on the {_SIDE})?",
    "from_side": f"(?: from the {_SIDE})?",
}
_Verb = Maneuver | Pace | LateralManeuver


@lru_cache(maxsize=4096)
def parse_narration(text: str) -> Narration:
    """What a narration states.

    Raises:
        DataError: when it is none of ours, or can be read in more than one way.
    """
    words = plain(text)
    readings = []
    for match in filter(None, (one.fullmatch(words) for one in _narrations())):
        found = [_verbs()[match[name]] for name in ("first", "second") if match[name]]
        speeds = [verb for verb in found if isinstance(verb, Maneuver)]
        paces = [verb for verb in found if isinstance(verb, Pace)]
        laterals = [verb for verb in found if isinstance(verb, LateralManeuver)]
        if len(speeds) + len(paces) > 1 or len(laterals) > 1:
            continue
        for where, parts in _wheres().read(match["where"]) if match["where"] else [(Where.NOWHERE, {})]:
            readings.append(
                Narration(
                    speed=Maneuver.KEEP_SPEED if paces else (speeds[0] if speeds else None),
                    lateral=laterals[0] if laterals else LateralManeuver.KEEP_LANE,
                    pace=paces[0] if paces else None,
                    where=where,
                    leader=named_in(parts.get("object", "")),
                )
            )
    return the_only(readings, text, "narration")


@lru_cache(maxsize=4096)
def parse_reasoning(text: str) -> Reasoning:
    """The reasons that a reasoning states.

    Raises:
        DataError: when it is none of ours, or can be read in more than one way.
    """
    clauses = [_without_connector(clause) for clause in plain(text).split(", and ")]
    readings: list[Reasoning] = []
    if len(clauses) == 2:
        aside = _reasons(_lateral_reasons(), clauses[1])
        readings = [Reasoning(why, how) for why in _reasons(_speed_reasons(), clauses[0]) for how in aside]
    elif len(clauses) == 1:
        readings = [Reasoning(reason) for reason in _reasons(_speed_reasons(), clauses[0])]
        readings += [Reasoning(None, reason) for reason in _reasons(_lateral_reasons(), clauses[0])]
    return the_only(readings, text, "reasoning")


def parse_statement(narration: str, reasoning: str) -> EgoStatement:
    """What the two sentences of a key frame state about the ego. Raises DataError as the two parsers do."""
    return EgoStatement(parse_narration(narration), parse_reasoning(reasoning))


def _without_connector(clause: str) -> str:
    for word in CONNECTORS:
        if clause.startswith(f"{word} "):
            return clause[len(word) + 1 :]
    return clause if clause.startswith("to ") else ""


def _reasons(reader: Reader[ReasonKey], clause: str) -> list[Reason]:
    found = []
    for (cause, action), parts in reader.read(clause):
        named = named_in(parts.get("object", ""))
        if parts.get("plural"):
            named = NamedObject(next(noun for noun in EGO_NOUNS if plural(noun) == parts["plural"]))
        found.append(Reason(cause, action, named, Side(parts.get("side", ""))))
    return found


@lru_cache(maxsize=1)
def _verbs() -> Mapping[str, _Verb]:
    verbs: dict[str, _Verb] = {}
    for table in (SPEED, PACE):
        for meaning, alternatives in table.items():
            verbs.update(dict.fromkeys(alternatives, meaning))
    for lateral, (alternatives, side) in LATERALS.items():
        verbs.update({pattern.format(side=side.value): lateral for pattern in alternatives})
    return verbs


@lru_cache(maxsize=1)
def _narrations() -> tuple[re.Pattern[str], ...]:
    """One verb, and two."""
    subject, verb = one_of(SUBJECTS), one_of(_verbs())
    patterns = [pattern for alternatives in WHERE.values() for pattern in alternatives]
    where = without_names("|".join(expression(pattern, _SLOTS) for pattern in patterns))
    return tuple(
        re.compile(f"{subject} (?P<first>{verb}){second}(?: (?P<where>{where}))?")
        for second in ("(?P<second>)", f" and (?P<second>{verb})")
    )


@lru_cache(maxsize=1)
def _wheres() -> Reader[Where]:
    return Reader.of(WHERE, _SLOTS)


@lru_cache(maxsize=1)
def _speed_reasons() -> Reader[ReasonKey]:
    return Reader.of(REASONS, _SLOTS)


@lru_cache(maxsize=1)
def _lateral_reasons() -> Reader[ReasonKey]:
    return Reader.of(LATERAL_REASONS, _SLOTS)
