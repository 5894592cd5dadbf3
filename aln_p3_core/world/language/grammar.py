"""A small phrase grammar that works both ways: facts to words by lot, and words back to facts.

Wording is split as the data are: every alternative belongs to exactly one split, so that a model meets on `val`,
`heldout` and `mini` sentences that it has not been trained on. What is shared are function words and the names of
things (nouns, colours, sides, directions, numbers).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

SPLITS = ("train", "val", "heldout", "mini")

Key = TypeVar("Key")


@dataclass(frozen=True)
class Alternatives:
    """Ways to say one thing, by split. Each may have slots in braces."""

    by_split: Mapping[str, tuple[str, ...]]

    def __iter__(self) -> Iterator[str]:
        for split in SPLITS:
            yield from self.by_split[split]


def say(train: str, *, val: str, heldout: str, mini: str) -> Alternatives:
    """Alternatives from texts that separate them by " | "."""
    texts = {"train": train, "val": val, "heldout": heldout, "mini": mini}
    return Alternatives({name: tuple(part.strip() for part in text.split("|")) for name, text in texts.items()})


class Chooser:
    """Draws by lot, the same for the same split, seed and key in every process.

    Args:
        split: whose wording is used. One with a name of its own speaks like "train".
        seed: anything that is written the same everywhere, such as a number and a scene's name.
    """

    def __init__(self, split: str, *seed: object) -> None:
        self.split = split if split in SPLITS else SPLITS[0]
        self._seed = "/".join(str(part) for part in seed)

    def number(self, *key: object) -> float:
        """A number in [0, 1) that belongs to a key."""
        text = "/".join([self._seed, *(str(part) for part in key)])
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56

    def pick(self, alternatives: Alternatives | Iterable[str], *key: object) -> str:
        """One of the alternatives of this split (or of a plain list)."""
        split = self.split
        choices = alternatives.by_split[split] if isinstance(alternatives, Alternatives) else tuple(alternatives)
        return choices[int(self.number(*key) * len(choices))]

    def chance(self, probability: float, *key: object) -> bool:
        """True with a probability."""
        return self.number(*key) < probability


class Reader(Generic[Key]):
    """Tells which pattern a text was made from.

    Args:
        patterns: key and pattern, with slots in braces.
        slots: regular expression for each slot; its groups may be named.
    """

    def __init__(self, patterns: Iterable[tuple[Key, str]], slots: Mapping[str, str]) -> None:
        self._patterns = [(key, re.compile(expression(pattern, slots))) for key, pattern in patterns]

    @classmethod
    def of(cls, table: Mapping[Key, Alternatives], slots: Mapping[str, str]) -> Reader[Key]:
        """For all alternatives of a table, of every split."""
        return cls(((key, pattern) for key, alternatives in table.items() for pattern in alternatives), slots)

    def read(self, text: str) -> list[tuple[Key, dict[str, str]]]:
        """Every reading of a text: key and what stands in its named groups ("" for an empty one), without repeats."""
        found: list[tuple[Key, dict[str, str]]] = []
        for key, expression in self._patterns:
            match = expression.fullmatch(text)
            if match is not None:
                reading = (key, {name: value or "" for name, value in match.groupdict().items()})
                if reading not in found:
                    found.append(reading)
        return found


def expression(pattern: str, slots: Mapping[str, str]) -> str:
    """Regular expression of a pattern whose slots are given as regular expressions."""
    parts = re.split(r"(\{\w+\})", pattern)
    return "".join(slots[part[1:-1]] if part.startswith("{") else re.escape(part) for part in parts)


def one_of(words: Iterable[str]) -> str:
    """Regular expression for one of several words, the longest first."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(set(words), key=lambda w: (-len(w), w))) + ")"


@lru_cache(maxsize=256)
def with_article(words: str) -> str:
    """ "a" or "an" before words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
