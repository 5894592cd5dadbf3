"""Questions as data: what is asked, and the one right answer to it.

A question names things by class, status and direction ("the moving car to the front left of me"). "The" thing must be
the only one of its kind; a question that names one that is not there, or not alone, has no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.language.facts import CLASSES, SECTORS, STATUSES, FrameFacts

#: Stands for a thing of any class.
THING = "thing"
#: NuScenes-QA's vocabulary has no larger number.
MAX_COUNT = 10
ANSWERS = (
    *(str(number) for number in range(MAX_COUNT + 1)), "yes", "no",
    "barrier", "bicycle", "bus", "car", "construction vehicle", "motorcycle", "pedestrian", "traffic cone", "trailer",
    "truck", "moving", "parked", "stopped", "standing", "not standing", "with rider", "without rider",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thing:
    """Things that a question speaks of.

    Attributes:
        noun: one of `CLASSES`, or `THING`.
        status: one of `STATUSES`, "" for any.
        sector: one of `SECTORS`, "" for anywhere: the direction seen from `anchor`.
        anchor: another thing, the only one of its kind; the ego when None. Directions are those of the ego's heading.
    """

    noun: str
    status: str = ""
    sector: str = ""
    anchor: Thing | None = None


class Form(Enum):
    """Kinds of questions. Those that end in SAME compare with the status of `Question.other`."""

    EXIST = "exist"
    EXIST_SAME = "exist_same"
    COUNT = "count"
    COUNT_SAME = "count_same"
    OBJECT = "object"
    STATUS = "status"
    COMPARISON = "comparison"

    @property
    def template_type(self) -> str:
        """As NuScenes-QA names it."""
        return self.value.partition("_")[0]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        form: kind of question. things: what it is about.
        other: what it is compared with (the forms SAME and COMPARISON).
    """

    form: Form
    things: Thing
    other: Thing | None = None

    @property
    def num_hop(self) -> int:
        """0 where only the ego and the things themselves matter, 1 where another object has to be found first."""
        return int(self.things.anchor is not None or self.form in (Form.EXIST_SAME, Form.COUNT_SAME))


def find(thing: Thing, facts: FrameFacts) -> NDArray[np.int64] | None:
    """Rows of the things that a description fits; None where its anchor is not the only one of its kind."""
    fits = np.ones(len(facts), dtype=bool)
    if thing.noun != THING:
        fits &= facts.classes == CLASSES.index(thing.noun)
    if thing.status:
        fits &= facts.statuses == STATUSES.index(thing.status)
    if thing.anchor is not None:
        anchor = only(thing.anchor, facts)
        if anchor is None:
            return None
        fits[anchor] = False
        if thing.sector:
            fits &= facts.sectors_from(facts.offsets[[anchor]])[0] == SECTORS.index(thing.sector)
    elif thing.sector:
        fits &= facts.sectors_from(np.zeros((1, 2)))[0] == SECTORS.index(thing.sector)
    return np.flatnonzero(fits)


def only(thing: Thing, facts: FrameFacts) -> int | None:
    """Row of the only thing that a description fits, None where there is none or more than one."""
    rows = find(thing, facts)
    return int(rows[0]) if rows is not None and len(rows) == 1 else None


def answer(question: Question, facts: FrameFacts) -> str | None:
    """The right answer, one of `ANSWERS`; None where the question has no right one in this key frame."""
    if question.form in (Form.EXIST, Form.COUNT):
        rows = find(question.things, facts)
        return None if rows is None else _told(question.form, len(rows))
    if question.form in (Form.EXIST_SAME, Form.COUNT_SAME):
        row = only(question.other, facts) if question.other is not None else None
        rows = find(question.things, facts)
        if row is None or rows is None or facts.statuses[row] < 0:
            return None
        return _told(question.form, int(((facts.statuses[rows] == facts.statuses[row]) & (rows != row)).sum()))
    row = only(question.things, facts)
    if row is None:
        return None
    if question.form is Form.OBJECT:
        return CLASSES[facts.classes[row]]
    status = int(facts.statuses[row])
    if status < 0:
        return None
    if question.form is Form.STATUS:
        return STATUSES[status]
    other = only(question.other, facts) if question.other is not None else None
    if other is None or other == row or facts.statuses[other] < 0:
        return None
    return "yes" if facts.statuses[other] == status else "no"


def _told(form: Form, count: int) -> str | None:
    if form in (Form.EXIST, Form.EXIST_SAME):
        return "yes" if count else "no"
    return str(count) if count <= MAX_COUNT else None
