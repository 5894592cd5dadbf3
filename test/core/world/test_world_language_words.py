"""Words and their meaning: whatever the grammar can say is read back exactly, and each split has words of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from aln_p3_core.errors import DataError
from aln_p3_core.world.language import (
    wording_caption,
    wording_ego,
    wording_question,
)
from aln_p3_core.world.language.captions import say_caption
from aln_p3_core.world.language.colors import COLOR_NAMES
from aln_p3_core.world.language.facts import CLASSES, SECTORS, STATUSES
from aln_p3_core.world.language.grammar import SPLITS, Alternatives, Chooser
from aln_p3_core.world.language.naming import EGO_NOUNS
from aln_p3_core.world.language.parse import (
    parse_caption,
    parse_narration,
    parse_question,
    parse_reasoning,
    parse_statement,
)
from aln_p3_core.world.language.question import THING, Form, Question, Thing
from aln_p3_core.world.language.question_words import say_question
from aln_p3_core.world.language.sentences import say_narration, say_reasoning
from aln_p3_core.world.language.stated import (
    Caption,
    Direction,
    EgoStatement,
    Motion,
    NamedObject,
    Narration,
    Pace,
    Place,
    Reason,
    Reasoning,
    Side,
    Where,
)
from aln_p3_core.world.planners.planner import LateralManeuver, Maneuver

OBJECTS = [NamedObject(noun) for noun in EGO_NOUNS] + [NamedObject("car", color) for color in COLOR_NAMES]
#: Lots drawn for each statement: enough to meet every alternative now and then.
LOTS = 3


def tables() -> Iterator[tuple[str, Alternatives]]:
    """Every set of alternatives of the grammar, with its name."""
    for module in (wording_ego, wording_caption, wording_question):
        for name, value in vars(module).items():
            if isinstance(value, Alternatives):
                yield name, value
            elif isinstance(value, Mapping) and value and isinstance(next(iter(value.values())), Alternatives):
                yield from ((f"{name}[{key}]", alternatives) for key, alternatives in value.items())


def narrations() -> Iterator[Narration]:
    for speed, lateral, where in itertools.product(Maneuver, LateralManeuver, Where):
        leaders = OBJECTS[::3] if where is Where.BEHIND else [None]
        paces = [None, *Pace] if speed is Maneuver.KEEP_SPEED else [None]
        for pace, leader in itertools.product(paces, leaders):
            yield Narration(speed, lateral, pace, where, leader)


def reasons(table: Mapping) -> Iterator[Reason]:
    """Every reason of a table, with and without what its wordings can name."""
    for (cause, action), alternatives in table.items():
        slots = set(re.findall(r"\{(\w+)\}", " ".join(alternatives)))
        may_be_nameless = all(
            any(not re.search(r"\{(object|bare|plural)\}", text) for text in alternatives.by_split[split])
            for split in SPLITS
        )
        named = OBJECTS if slots & {"object", "bare", "plural"} else []
        sides = [Side.LEFT, Side.RIGHT] if "side" in slots else list(Side)
        for thing, side in itertools.product([*named, *([None] if may_be_nameless else [])], sides):
            yield Reason(cause, action, thing, side)


def captions() -> Iterator[Caption]:
    numbers = itertools.count(1)
    for direction, motion, place in itertools.product(Direction, Motion, Place):
        number = next(numbers)
        slowly = bool(number % 2) and "{slowly}" in next(iter(wording_caption.MOTION[motion]))
        yield Caption(OBJECTS[number % len(OBJECTS)], number % 80, direction, motion, place, slowly)


def questions() -> Iterator[Question]:
    anchors = [None, Thing("bus"), Thing("bicycle", "with rider"), Thing("pedestrian", "not standing")]
    things = [
        Thing(noun, status, sector, anchor if sector else None)
        for noun, status, sector, anchor in itertools.product(
            (*CLASSES, THING), ("", *STATUSES), ("", *SECTORS), anchors
        )
        if sector or anchor is None
    ]
    others = [
        Thing("truck"),
        Thing("car", "moving"),
        Thing("motorcycle", "without rider"),
        Thing("car", "", "back left"),
    ]
    for form in Form:
        compares = form in (Form.EXIST_SAME, Form.COUNT_SAME, Form.COMPARISON)
        for number, thing in enumerate(things):
            yield Question(form, thing, others[number % len(others)] if compares else None)


def test_splits_share_no_wording() -> None:
    owner: dict[str, tuple[str, str]] = {}
    for name, alternatives in tables():
        for split in SPLITS:
            assert alternatives.by_split[split], (name, split)
            for text in alternatives.by_split[split]:
                assert text, (name, split)
                assert owner.setdefault(text, (split, name))[0] == split, (text, name, split, owner[text])


@pytest.mark.parametrize("split", SPLITS)
def test_narrations_read_back(split: str) -> None:
    chooser = Chooser(split, 5)
    meant: dict[str, Narration] = {}
    for number, narration in enumerate(narrations()):
        for lot in range(LOTS):
            text, said = say_narration(narration, chooser, (number, lot))
            assert parse_narration(text) == said, text
            assert meant.setdefault(text, said) == said, text
            assert text == text.lower() and not text.endswith(".")
            assert said.lateral is narration.lateral and said.where is narration.where
            assert said.leader == narration.leader
            assert said.speed is narration.speed or narration.speed is Maneuver.KEEP_SPEED


@pytest.mark.parametrize("split", SPLITS)
def test_reasonings_read_back(split: str) -> None:
    chooser = Chooser(split, 6)
    meant: dict[str, Reasoning] = {}
    speeds, laterals = list(reasons(wording_ego.REASONS)), list(reasons(wording_ego.LATERAL_REASONS))
    both = [Reasoning(speeds[i % len(speeds)], laterals[7 * i % len(laterals)]) for i in range(500)]
    every = [Reasoning(reason) for reason in speeds] + [Reasoning(None, reason) for reason in laterals] + both
    assert len(every) > 2000
    for number, reasoning in enumerate(every):
        for lot in range(2):
            text, said = say_reasoning(reasoning, chooser, (number, lot))
            assert parse_reasoning(text) == said, text
            assert meant.setdefault(text, said) == said, text
            assert text == text.lower() and not text.endswith(".")
            for told, given in ((said.speed, reasoning.speed), (said.lateral, reasoning.lateral)):
                assert (told is None) == (given is None)
                if told is not None and given is not None:
                    assert (told.cause, told.action) == (given.cause, given.action)
                    assert told.side in (given.side, Side.NONE)


@pytest.mark.parametrize("split", SPLITS)
def test_captions_read_back(split: str) -> None:
    chooser = Chooser(split, 7)
    meant: dict[str, Caption] = {}
    for number, caption in enumerate(captions()):
        for lot in range(LOTS):
            said = say_caption(caption, chooser, (number, lot))
            assert parse_caption(said["sentence"]) == caption, said["sentence"]
            assert meant.setdefault(said["sentence"], caption) == caption
            joined = f"{said['object']} {said['depth']} {said['direction']} is {said['motion']} {said['place']}"
            assert parse_caption(joined) == caption


@pytest.mark.parametrize("split", SPLITS)
def test_questions_read_back(split: str) -> None:
    chooser = Chooser(split, 8)
    meant: dict[str, Question] = {}
    count = 0
    for number, question in enumerate(questions()):
        text = say_question(question, chooser, number)
        assert parse_question(text) == question, text
        assert meant.setdefault(text, question) == question, text
        assert text[0].isupper() and text.endswith("?")
        count += 1
    assert count > 5000


def test_sentences_of_splits_differ() -> None:
    said: dict[str, str] = {}
    for split in SPLITS:
        chooser = Chooser(split, 9)
        texts = [say_narration(n, chooser, i)[0] for i, n in enumerate(itertools.islice(narrations(), 300))]
        texts += [say_reasoning(Reasoning(r), chooser, i)[0] for i, r in enumerate(reasons(wording_ego.REASONS))]
        texts += [say_caption(c, chooser, i)["sentence"] for i, c in enumerate(captions())]
        texts += [say_question(q, chooser, i) for i, q in enumerate(itertools.islice(questions(), 0, None, 7))]
        for text in texts:
            assert said.setdefault(text, split) == split, text


def test_a_split_of_ones_own_speaks_like_train() -> None:
    narration = Narration(Maneuver.STOP)
    assert say_narration(narration, Chooser("mine", 1), 3) == say_narration(narration, Chooser("train", 1), 3)


def test_every_alternative_is_used() -> None:
    chooser = Chooser("train", 10)
    for name, alternatives in tables():
        picked = {chooser.pick(alternatives, name, lot) for lot in range(200)}
        assert picked == set(alternatives.by_split["train"]), name


def test_statement_of_both_sentences() -> None:
    told = parse_statement("the car turns left and slows down", "because the traffic light is red")
    assert isinstance(told, EgoStatement)
    assert told.narration.lateral is LateralManeuver.TURN_LEFT and told.narration.speed is Maneuver.DECELERATE


def test_examples_of_the_page_read_back() -> None:
    page = (Path(__file__).parents[3] / "docs" / "language.md").read_text(encoding="utf-8")
    statements = re.findall(r'"(the (?:car|vehicle) [^"]*)" / "([^"]*)"', page)
    questions_told = re.findall(r"\| ([A-Z][^|]*\?) ", page)
    assert len(statements) == 1 + len(SPLITS) and len(questions_told) == 11
    assert len({parse_statement(*both) for both in statements[1:]}) == 1  # one fact, four wordings
    assert {parse_question(text).form for text in questions_told} == set(Form)


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (parse_narration, "the car flies over the traffic"),
        (parse_narration, "the car slows down and stops"),
        (parse_reasoning, "the traffic light is red"),
        (parse_reasoning, "because the traffic light is purple"),
        (parse_caption, "White truck about 12 meters away is parked"),
        (parse_question, "Are there any unicorns?"),
        (parse_question, "Are there any moving bus?"),
    ],
)
def test_other_texts_are_refused(parser, text: str) -> None:
    with pytest.raises(DataError, match="wording"):
        parser(text)
