"""Reads captions of objects and questions about them back to what they state and ask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from aln_p3_core.world.language.facts import CLASSES, SECTORS, STATUSES
from aln_p3_core.world.language.grammar import Alternatives, Reader, expression, one_of
from aln_p3_core.world.language.question import THING, Form, Question, Thing
from aln_p3_core.world.language.reading import NAMED, named_in, plain, the_only, without_names
from aln_p3_core.world.language.sentences import plural
from aln_p3_core.world.language.stated import Caption, Direction, Motion, Place
from aln_p3_core.world.language.wording_caption import (
    DEPTH,
    DIRECTION,
    DRIVING,
    MOTION,
    PLACE,
    SENTENCE,
    SIDE_DIRECTION,
    VERBS,
)
from aln_p3_core.world.language.wording_question import AFTER_NOUN, FROM, QUESTION

_PART_SLOTS = {
    "metres": r"(?P<metres>\d+)",
    "direction": f"(?P<direction>{one_of(direction.value for direction in Direction)})",
    "verb": one_of({DRIVING, *VERBS.values()}),
    "slowly": "(?P<slowly> slowly)?",
}
_NOUNS = (*CLASSES, THING)


@lru_cache(maxsize=4096)
def parse_caption(text: str) -> Caption:
    """What an object's caption states: a final caption, or TOD3Cap's fields joined in their order.

    Raises:
        DataError: when it is none of ours, or can be read in more than one way.
    """
    readings = []
    for _, parts in _captions().read(plain(text)):
        named = named_in(parts.get("object") or parts["an_object"])
        for _, depth in _depths().read(parts["depth"]):
            for _, direction in _directions().read(parts["direction"]):
                for motion, how in _motions().read(parts["motion"]):
                    for place, _ in _places().read(parts["place"]):
                        if named is not None:
                            where = Direction(direction["direction"])
                            slowly = bool(how.get("slowly"))
                            readings.append(Caption(named, int(depth["metres"]), where, motion, place, slowly))
    return the_only(readings, text, "caption")


@lru_cache(maxsize=4096)
def parse_question(text: str) -> Question:
    """What a question asks; `question.answer` answers it from the facts of its key frame.

    Raises:
        DataError: when it is none of ours, or can be read in more than one way.
    """
    readings = []
    for form, parts in _questions().read(text.strip()):
        one = parts.get("thing") or parts.get("a_thing")
        things = _thing(one) if one else _thing(parts["things"], many=True)
        other = _thing(parts["other"]) if parts.get("other") else None
        readings.append(Question(form, things, other))
    return the_only(readings, text, "question")


def _thing(words: str, *, many: bool = False) -> Thing:
    match = re.fullmatch(_thing_expression(many=many), re.sub("^(?:the|an?) ", "", words))
    assert match is not None, words  # the question's own expression has let it through
    noun = next(n for n in _NOUNS if match["noun"] in (n, plural(n)))
    place = match["place"] or "me"
    anchor = _thing(place) if place != "me" else None
    return Thing(noun, match["before"] or match["after"] or "", match["sector"] or "", anchor)


@lru_cache(maxsize=4)
def _thing_expression(*, many: bool = False, nested: bool = False) -> str:
    """Regular expression of `question_words.thing_words`. What is nested is an anchor: no direction is said of it."""
    nouns = one_of(plural(noun) if many else noun for noun in _NOUNS)
    before = one_of(status for status in STATUSES if status not in AFTER_NOUN)
    words = f"(?:(?P<before>{before}) )?(?P<noun>{nouns})(?: (?P<after>{one_of(AFTER_NOUN)}))?"
    if nested:
        return without_names(words)
    # A named group may stand in an expression only once: what goes before, between and into the slots.
    heads = one_of(pattern.partition("{sector}")[0] for pattern in FROM)
    joints = one_of(pattern.partition("{sector}")[2].removesuffix("{place}") for pattern in FROM)
    place = f"me|the {_thing_expression(nested=True)}"
    return f"{words}(?: {heads}(?P<sector>{one_of(SECTORS)}){joints}(?P<place>{place}))?"


@lru_cache(maxsize=1)
def _questions() -> Reader[Form]:
    one, many = without_names(_thing_expression()), without_names(_thing_expression(many=True))
    slots = {
        "thing": f"(?P<thing>{one})",
        "a_thing": f"(?P<a_thing>an? {one})",
        "things": f"(?P<things>{many})",
        "other": f"(?P<other>the {one})",
    }
    return Reader.of(QUESTION, slots)


@lru_cache(maxsize=1)
def _captions() -> Reader[None]:
    slots = {
        "object": f"(?P<object>{NAMED})",
        "an_object": f"(?P<an_object>an? {NAMED})",
        "depth": _any_of("depth", [DEPTH]),
        "direction": _any_of("direction", [DIRECTION, SIDE_DIRECTION]),
        "motion": _any_of("motion", MOTION.values()),
        "place": _any_of("place", PLACE.values()),
    }
    return Reader.of({None: SENTENCE}, slots)


def _any_of(name: str, tables: Iterable[Alternatives]) -> str:
    patterns = {pattern for alternatives in tables for pattern in alternatives}
    longest_first = sorted(patterns, key=lambda pattern: (-len(pattern), pattern))
    inside = "|".join(expression(pattern, _PART_SLOTS) for pattern in longest_first)
    return f"(?P<{name}>{without_names(inside)})"


@lru_cache(maxsize=1)
def _depths() -> Reader[None]:
    return Reader.of({None: DEPTH}, _PART_SLOTS)


@lru_cache(maxsize=1)
def _directions() -> Reader[int]:
    return Reader.of({0: DIRECTION, 1: SIDE_DIRECTION}, _PART_SLOTS)


@lru_cache(maxsize=1)
def _motions() -> Reader[Motion]:
    return Reader.of(MOTION, _PART_SLOTS)


@lru_cache(maxsize=1)
def _places() -> Reader[Place]:
    return Reader.of(PLACE, _PART_SLOTS)
