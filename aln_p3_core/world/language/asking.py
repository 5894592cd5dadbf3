"""Draws questions about a scene such that answers cannot be guessed from the words.

For every kind of question the answers are asked for equally often as far as the scene has them: yes as often as no,
also for each noun and status by itself; numbers, statuses and classes spread. Balance is kept over the scene.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.language.facts import CLASSES, SECTORS, STATUSES, FrameFacts
from aln_p3_core.world.language.grammar import Chooser
from aln_p3_core.world.language.question import MAX_COUNT, THING, Form, Question, Thing

#: Form, hops and number of questions that are asked of a key frame, where it allows them.
PORTIONS = (
    (Form.EXIST, 0, 3),
    (Form.EXIST, 1, 1),
    (Form.EXIST_SAME, 1, 1),
    (Form.COUNT, 0, 2),
    (Form.COUNT, 1, 1),
    (Form.COUNT_SAME, 1, 1),
    (Form.OBJECT, 0, 2),
    (Form.OBJECT, 1, 1),
    (Form.STATUS, 0, 2),
    (Form.STATUS, 1, 1),
    (Form.COMPARISON, 0, 2),
    (Form.COMPARISON, 1, 2),
)
_ANCHORS, _PAIRS = 4, 8
#: So many questions with the same answer are considered in a view, of which some kinds allow hundreds.
_OF_EACH = 10
_NOUNS = (*CLASSES, THING)
_ANY_NOUN, _ANY_STATUS, _ANY_SECTOR = len(CLASSES), len(STATUSES), len(SECTORS)
_VEHICLE, _CYCLE = ("moving", "stopped", "parked"), ("with rider", "without rider")
_PERSON = ("moving", "standing", "not standing")
_STATUSES_OF = {
    "car": _VEHICLE, "truck": _VEHICLE, "bus": _VEHICLE, "motorcycle": _CYCLE, "bicycle": _CYCLE,
    "pedestrian": _PERSON, "traffic cone": (), "barrier": (), THING: STATUSES,
}  # fmt: skip
#: [nouns, statuses] that go together; the last status is "any".
SENSIBLE = np.array([[s in _STATUSES_OF[noun] for s in STATUSES] + [True] for noun in _NOUNS])
_CELLS = np.argwhere(np.broadcast_to(SENSIBLE[:, :, None], (*SENSIBLE.shape, _ANY_SECTOR + 1)))

Candidate = tuple[str, Question]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer."""

    question: Question
    answer: str


class Interviewer:
    """Asks about the key frames of one scene, one after the other.

    Args:
        chooser: draws by lot.
        scene: facts of all key frames. Only what occurs in one of them is asked for: in a scene without any bus
            the answer to every question about buses would be the same.
    """

    def __init__(self, chooser: Chooser, scene: Sequence[FrameFacts]) -> None:
        self._chooser = chooser
        self._cells = _occurring(scene)
        self._used: defaultdict[object, Counter[str]] = defaultdict(Counter)

    def ask(self, facts: FrameFacts, key: object) -> list[Asked]:
        """Questions about a key frame; fewer where it does not allow more, none about an empty street."""
        if not len(facts):
            return []
        views = _views(facts, self._chooser, key)
        asked: list[Asked] = []
        for form, hop, number in PORTIONS:
            candidates = list(_candidates(form, hop, views, facts, self._cells, self._chooser, key))
            for turn in range(number):
                taken = {item.question for item in asked}
                new = [candidate for candidate in candidates if candidate[1] not in taken]
                chosen = self._choose(new, form, hop, (key, form.value, hop, turn))
                if chosen is not None:
                    asked.append(Asked(chosen[1], chosen[0]))
        return asked

    def _choose(self, candidates: list[Candidate], form: Form, hop: int, key: object) -> Candidate | None:
        """The candidate whose answer was given least so far, to this kind of question and to these words."""
        overall = self._used[form, hop]
        best: list[Candidate] = []
        lowest = np.inf
        for candidate in candidates:
            told, question = candidate
            parts = [self._used[form, hop, part] for part in _betraying(question)]
            if any(_leads(told, used) for used in (overall, *parts)):
                continue
            score = overall[told] + sum(used[told] for used in parts) + 0.5 * parts[0].total()
            if score < lowest:
                best, lowest = [], score
            if score == lowest:
                best.append(candidate)
        if not best:
            return None
        chosen = best[int(self._chooser.number(key, "chosen") * len(best))]
        for used in (overall, *(self._used[form, hop, part] for part in _betraying(chosen[1]))):
            used[chosen[0]] += 1
        return chosen


def _betraying(question: Question) -> list[object]:
    """What of a question's words could betray the answer: what it asks for, where, and what it compares with."""
    things, other = question.things, question.other
    parts: list[object] = [("what", things.noun, things.status)]
    if other is not None:
        parts += [("with", other.noun), ("both", *sorted((things.noun, other.noun)))]
    elif question.form is Form.EXIST:
        parts.append(("where", things.sector))
        if things.anchor is not None:
            parts.append(("from", things.noun, things.anchor.noun))
    return parts


def _leads(told: str, used: Counter[str]) -> bool:
    """Whether an answer has been given more often than every other."""
    return used[told] > max((count for other, count in used.items() if other != told), default=0)


def _occurring(scene: Sequence[FrameFacts]) -> NDArray[np.int64]:
    """[K, 3] those of `_CELLS` whose noun and status some object of the scene has at some time."""
    occurs = np.zeros(SENSIBLE.shape, dtype=bool)
    for facts in scene:
        occurs[facts.classes, facts.statuses] = True  # without a status, -1: the last column, "any"
    occurs[:_ANY_NOUN, _ANY_STATUS] = occurs[:_ANY_NOUN].any(axis=1)
    occurs[_ANY_NOUN] = occurs[:_ANY_NOUN].any(axis=0)
    return _CELLS[occurs[_CELLS[:, 0], _CELLS[:, 1]]]


@dataclass(frozen=True, eq=False)
class _View:
    """How many things of each noun, status and sector an anchor (the ego when None) sees, and which is the only one.

    Attributes:
        anchor: whose view. row: of the anchor, -1 for the ego.
        counts, single: [nouns, statuses, sectors]; the last of each axis is "any". `single` is the row where there is
            one only, else anything.
    """

    anchor: Thing | None
    row: int
    counts: NDArray[np.int64]
    single: NDArray[np.int64]


def _views(facts: FrameFacts, chooser: Chooser, key: object) -> list[_View]:
    """The ego's view first, then those of some things that can be named by class and status alone."""
    ego = _view(facts, None, -1, facts.sectors_from(np.zeros((1, 2)))[0])
    alone = ego.counts[:_ANY_NOUN, :, _ANY_SECTOR] == 1
    alone[:, :_ANY_STATUS] &= ~alone[:, _ANY_STATUS:]  # without its status where that is enough
    cells = np.argwhere(alone)
    order = sorted(range(len(cells)), key=lambda i: chooser.number(key, "anchor", i))[:_ANCHORS]
    rows = [int(ego.single[cells[i][0], cells[i][1], _ANY_SECTOR]) for i in order]
    if not rows:
        return [ego]
    sectors = facts.sectors_from(facts.offsets[rows])
    things = [_thing(int(cells[i, 0]), int(cells[i, 1]), _ANY_SECTOR) for i in order]
    return [ego, *(_view(facts, t, r, s) for t, r, s in zip(things, rows, sectors, strict=True))]


def _view(facts: FrameFacts, anchor: Thing | None, row: int, sectors: NDArray[np.int64]) -> _View:
    others = np.flatnonzero(np.arange(len(facts)) != row)
    statuses = facts.statuses[others]
    place = (facts.classes[others], np.where(statuses < 0, _ANY_STATUS, statuses), sectors[others])
    both = np.zeros((2, len(_NOUNS), _ANY_STATUS + 1, _ANY_SECTOR + 1), np.int64)
    np.add.at(both[0], place, 1)
    np.add.at(both[1], place, others)
    for axis, last in ((1, _ANY_NOUN), (2, _ANY_STATUS), (3, _ANY_SECTOR)):
        # Sums of rows are rows where there is only one; things without a status are in the last place already.
        total = both.sum(axis=axis)
        both[(slice(None),) * axis + (last,)] = total
    return _View(anchor, row, both[0], both[1])


def _thing(noun: int, status: int, sector: int, anchor: Thing | None = None) -> Thing:
    return Thing(
        _NOUNS[noun],
        "" if status == _ANY_STATUS else STATUSES[status],
        "" if sector == _ANY_SECTOR else SECTORS[sector],
        anchor,
    )


def _candidates(
    form: Form,
    hop: int,
    views: list[_View],
    facts: FrameFacts,
    cells: NDArray[np.int64],
    chooser: Chooser,
    key: object,
) -> Iterator[Candidate]:
    if form in (Form.EXIST_SAME, Form.COUNT_SAME):
        yield from _same_status(form, views, facts)
    elif form is Form.COMPARISON:
        yield from _comparisons(hop, views, facts, chooser, key)
    else:
        for view in views[1:] if hop else views[:1]:
            yield from _plain(form, view, facts, cells, chooser, (key, form.value))


def _plain(
    form: Form, view: _View, facts: FrameFacts, cells: NDArray[np.int64], chooser: Chooser, key: object
) -> Iterator[Candidate]:
    if view.anchor is not None:
        cells = cells[cells[:, 2] != _ANY_SECTOR]
    counts = view.counts[tuple(cells.T)]
    if form in (Form.EXIST, Form.COUNT):
        # "Are there any things?" is no question; whether there is one of a status somewhere is.
        asks = (cells[:, 0] != _ANY_NOUN) | (cells[:, 1] != _ANY_STATUS)
        asks &= counts <= MAX_COUNT if form is Form.COUNT else True
    elif form is Form.OBJECT:
        asks = (counts == 1) & (cells[:, 0] == _ANY_NOUN)
    else:
        asks = (counts == 1) & (cells[:, 0] != _ANY_NOUN) & (cells[:, 1] == _ANY_STATUS)
    cells, counts = cells[asks], counts[asks]
    if form in (Form.EXIST, Form.COUNT):
        some = _some_of_each(np.minimum(counts, 1) if form is Form.EXIST else counts, chooser, (key, view.row))
        cells, counts = cells[some], counts[some]
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        question = Question(form, _thing(cell[0], cell[1], cell[2], view.anchor))
        if form is Form.EXIST:
            yield ("yes" if count else "no"), question
        elif form is Form.COUNT:
            yield str(count), question
        else:
            row = int(view.single[tuple(cell)])
            if form is Form.OBJECT:
                yield CLASSES[facts.classes[row]], question
            elif facts.statuses[row] >= 0:
                yield STATUSES[facts.statuses[row]], question


def _some_of_each(values: NDArray[np.int64], chooser: Chooser, key: object) -> NDArray[np.int64]:
    """Rows drawn by lot, `_OF_EACH` of every value or all that there are."""
    lots = np.random.default_rng(int(chooser.number(key, "lots") * 2**53)).permutation(len(values))
    grouped = lots[np.argsort(values[lots], kind="stable")]
    ordered = values[grouped]
    rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return grouped[rank < _OF_EACH]


def _same_status(form: Form, views: list[_View], facts: FrameFacts) -> Iterator[Candidate]:
    for view in views[1:]:
        anchor = view.anchor
        status = int(facts.statuses[view.row])
        if anchor is None or status < 0 or anchor.status:
            continue  # with its status in its name the question is another one
        for noun in np.flatnonzero(SENSIBLE[:, status]).tolist():
            count = int(view.counts[noun, status, _ANY_SECTOR])
            told = str(count) if form is Form.COUNT_SAME else ("yes" if count else "no")
            if form is Form.EXIST_SAME or count <= MAX_COUNT:
                yield told, Question(form, Thing(_NOUNS[noun]), anchor)


def _comparisons(hop: int, views: list[_View], facts: FrameFacts, chooser: Chooser, key: object) -> Iterator[Candidate]:
    second = _singles(views[0], facts)
    first = [item for view in views[1:] for item in _singles(view, facts)] if hop else second
    first = sorted(first, key=lambda item: chooser.number(key, "first", hop, item))[:_PAIRS]
    second = sorted(second, key=lambda item: chooser.number(key, "second", hop, item))[:_PAIRS]
    for one, row in first:
        for two, other in second:
            comparable = set(_STATUSES_OF[one.noun]) & set(_STATUSES_OF[two.noun])
            if row != other and comparable and (hop or one != two):
                told = "yes" if facts.statuses[row] == facts.statuses[other] else "no"
                yield told, Question(Form.COMPARISON, one, two)


def _singles(view: _View, facts: FrameFacts) -> list[tuple[Thing, int]]:
    """Things that are the only one of their class in a direction (or anywhere, for the ego), and their rows."""
    alone = view.counts[:_ANY_NOUN, _ANY_STATUS] == 1
    if view.anchor is not None:
        alone[:, _ANY_SECTOR] = False
    found = []
    for noun, sector in np.argwhere(alone).tolist():
        row = int(view.single[noun, _ANY_STATUS, sector])
        if facts.statuses[row] >= 0:
            found.append((_thing(noun, _ANY_STATUS, sector, view.anchor), row))
    return found
