"""What the parsers share: names of objects in a text, and insisting on one reading."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from aln_p3_core.errors import DataError
from aln_p3_core.world.language.colors import COLOR_NAMES
from aln_p3_core.world.language.grammar import one_of
from aln_p3_core.world.language.naming import EGO_NOUNS
from aln_p3_core.world.language.stated import NamedObject

Stated = TypeVar("Stated")

#: Regular expression of a named object without its article.
NAMED = f"(?:{one_of(COLOR_NAMES)} )?{one_of(EGO_NOUNS)}"
_NAMED_PARTS = re.compile(rf"(?:an? )?(?:({one_of(COLOR_NAMES)}) )?({one_of(EGO_NOUNS)})")


def named_in(text: str) -> NamedObject | None:
    """The object in "a white truck", with or without its article; None for other words."""
    match = _NAMED_PARTS.fullmatch(text)
    return NamedObject(match[2], match[1] or "") if match else None


def plain(text: str) -> str:
    """A text without its final period and its capital."""
    words = text.strip().removesuffix(".").rstrip()
    return words[:1].lower() + words[1:]


def without_names(regular_expression: str) -> str:
    """The expression with its named groups made nameless, so that it may be part of another more than once."""
    return re.sub(r"\?P<\w+>", "?:", regular_expression)


def the_only(readings: Iterable[Stated], text: str, kind: str) -> Stated:
    """The one reading of a text.

    Raises:
        DataError: when there is none, or more than one.
    """
    unique = list(dict.fromkeys(readings))
    if len(unique) != 1:
        problem = f"has {len(unique)} readings" if unique else "is not in the wording of the world's grammar"
        raise DataError(f"this {kind} {problem}: {text!r}")
    return unique[0]
