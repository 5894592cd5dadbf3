"""Hint-AD's scorers (arXiv 2409.06702, section 4): explanations, commands and questions, as released and ours.

The released code reads a list of (question, answer, truth) texts and tells tasks apart by the tag that a question
begins with. What it does that ours does not:

- narration and reasoning end at the first period, so that "at 12.5 km/h" loses its end, and an answer that lacks one of
  the two, say since it was cut off within the reasoning, is left out of both means: saying nothing costs nothing. Ours
  takes whole texts and scores every item.
- a command without " and " counts as "forward and keep speed" for its parts. Ours counts it as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from aln_p3_core.datasets.nu_x import Explanation
from aln_p3_core.evaluation.language.captions import CaptionScores, Protocol, caption_scores

Meteor = Literal["needed", "optional", "never"]
#: Parts of an explanation that are scored apart.
EXPLANATION_PARTS = ("narration", "reasoning", "joined")
_RELEASED_PARTS = {part: re.compile(rf"{part}: (.*?)\.") for part in ("Narration", "Reasoning")}

_TAG = re.compile(r"<(.*?)>")
_AND = " and "
_DEFAULT_COMMAND = ("forward", "keep speed")


class Item(NamedTuple):
    """An entry of the released code's results."""

    question: str
    answer: str
    truth: str

    @property
    def tags(self) -> list[str]:
        """What stands in angle brackets in the question: the task first."""
        return _TAG.findall(self.question)


@dataclass(frozen=True, slots=True)
class CommandAccuracy:
    """Fractions of commands ("turn left and decelerate") with the right direction, speed, and both."""

    direction: float
    speed: float
    both: float
    count: int


def explanation_scores(
    references: Sequence[Explanation],
    answers: Sequence[Explanation],
    protocol: Protocol = "raw",
    *,
    meteor: Meteor = "needed",
) -> dict[str, CaptionScores]:
    """Scores of narration, reasoning, and both joined by a blank (how published single numbers combine the two is not
    told anywhere). Whole texts, every item. Raises as `caption_scores`."""
    texts = (
        [(e.narration, e.reasoning, f"{e.narration} {e.reasoning}") for e in side] for side in (references, answers)
    )
    refs, hyps = (list(zip(*side, strict=True)) for side in texts)
    return {
        part: caption_scores(refs[column], hyps[column], protocol, meteor=meteor)
        for column, part in enumerate(EXPLANATION_PARTS)
    }


def released_part(items: Iterable[Item], part: Literal["Narration", "Reasoning"]) -> tuple[list[str], list[str]]:
    """References and answers of one part as the released code cuts them; items where either side lacks either part are
    gone."""
    kept = []
    for item in items:
        truth, answer = (
            {name: found[1] for name, pattern in _RELEASED_PARTS.items() if (found := pattern.search(text))}
            for text in (item.truth, item.answer)
        )
        if len(truth) == len(answer) == len(_RELEASED_PARTS):
            kept.append((truth[part], answer[part]))
    return [truth for truth, _ in kept], [answer for _, answer in kept]


def command_accuracy(
    truths: Sequence[str], answers: Sequence[str], *, as_released: bool = False
) -> CommandAccuracy | None:
    """Accuracy of commands; None for no commands.

    `as_released`: case counts, and a text without " and " stands for "forward and keep speed" in the parts. Else case
    and a final period do not count, and such a text is wrong in every part.
    """
    if not truths:
        return None
    direction = speed = both = 0
    for truth, answer in zip(truths, answers, strict=True):
        if as_released:
            ours, theirs = (tuple(text.split(_AND)) if _AND in text else _DEFAULT_COMMAND for text in (answer, truth))
            both += answer == truth
        else:
            ours, theirs = (tuple(text.strip().rstrip(".").lower().split(_AND)) for text in (answer, truth))
            both += ours == theirs
        direction += len(ours) > 1 and ours[0] == theirs[0]
        speed += len(ours) > 1 and ours[1] == theirs[1]
    count = len(truths)
    return CommandAccuracy(direction / count, speed / count, both / count, count)


def released_questions(items: Iterable[Item]) -> Mapping[str, tuple[float, int]]:
    """Accuracy and number of questions by "hop0" and "hop1": exact and case-sensitive; hops above 0 are pooled."""
    hits: dict[str, list[bool]] = {"hop0": [], "hop1": []}
    for item in items:
        hits["hop0" if item.tags[1] == "0" else "hop1"].append(item.answer == item.truth)
    return {hop: (sum(rows) / len(rows), len(rows)) for hop, rows in hits.items() if rows}
