"""Hint-AD's scorers: where the released form and ours differ."""

from __future__ import annotations

import pytest

from aln_p3_core.datasets.nu_x import Explanation
from aln_p3_core.evaluation.language.hint_ad import (
    CommandAccuracy,
    Item,
    command_accuracy,
    explanation_scores,
    released_part,
    released_questions,
)
from aln_p3_core.evaluation.language.hint_ad_alignment import (
    clock_difference,
    count_errors,
    motion_errors,
    plan_errors,
    position_errors,
)


def test_explanations_whole_and_as_cut() -> None:
    true = [Explanation("the car drives at 12.5 km/h", "the road is clear"), Explanation("it stops", "a light is red")]
    scores = explanation_scores(true, true, meteor="never")
    assert list(scores) == ["narration", "reasoning", "joined"]
    assert [found.corpus["bleu_1"] for found in scores.values()] == pytest.approx([1.0, 1.0, 1.0])
    silent = explanation_scores(true, [true[0], Explanation("", "")], meteor="never")
    assert silent["joined"].sentences["cider"][1] == 0, "saying nothing costs"
    full = "Narration: the car drives at 12.5 km/h. Reasoning: the road is clear."
    items = [Item("<caption> x", full, full), Item("<caption> x", "I do not know", full)]
    assert released_part(items, "Narration") == (["the car drives at 12"], ["the car drives at 12"])
    assert released_part(items, "Reasoning")[1] == ["the road is clear"], "and the silent one is left out"


@pytest.mark.parametrize("cut", ["Narration: it goes. Reasoning: the road is", "Reasoning: the road is clear.", ""])
def test_the_released_code_drops_an_item_from_both_parts(cut: str) -> None:
    full = "Narration: it goes. Reasoning: the road is clear."
    for items in ([Item("<caption> x", cut, full), Item("<caption> x", full, full)],
                  [Item("<caption> x", full, cut), Item("<caption> x", full, full)]):  # fmt: skip
        assert released_part(items, "Narration") == (["it goes"], ["it goes"])
        assert released_part(items, "Reasoning") == (["the road is clear"], ["the road is clear"])


def test_commands() -> None:
    truths = ["turn left and stop", "forward and keep speed", "go straight and stop"]
    answers = ["Turn left and stop.", "stop", "go straight and accelerate"]
    assert command_accuracy(truths, answers) == CommandAccuracy(2 / 3, 1 / 3, 1 / 3, 3)
    released = command_accuracy(truths, answers, as_released=True)
    assert released == CommandAccuracy(2 / 3, 1 / 3, 0.0, 3), "case counts, and 'stop' is forward and keep speed"
    assert command_accuracy([], []) is None


def test_questions_by_hop() -> None:
    asked = [("<QA><0> a", "yes"), ("<QA><0> b", "no"), ("<QA><2> c", "yes")]
    items = [Item(question, answer, "yes") for question, answer in asked]
    assert released_questions(items) == {"hop0": (0.5, 2), "hop1": (1.0, 1)}


def test_places_and_motions() -> None:
    assert [clock_difference(a, b) for a, b in ((12, 1), (1, 11), (6, 12), (0, 12))] == [30, 60, 180, 0]
    said = "It's about {} meters away at {} o'clock direction."
    items = [Item("Where?", said.format(4.0, 3), said.format(3.0, 12)), Item("Where?", "unknown", said.format(1, 1))]
    found = position_errors(items)
    assert found.errors == {"distance": [1.0], "direction": [90.0], "position": [pytest.approx(5.0)]}
    assert (found.read, found.unread) == (1, 1)
    assert position_errors(items, "Hint_VAD").read == 0, "the released code wants a digit in the question"
    still, moves = "The object is stationary.", "The object is moving at 3.00 m/s to its 12 o'clock direction."
    pairs = [Item("<9> How?", a, b) for a, b in ((still, still), (still, moves), (moves, moves))]
    ours, released = motion_errors(pairs), motion_errors(pairs, "Hint_VAD")
    assert ours.errors == {"speed": [0.0, 3.0, 0.0], "direction": [0.0], "motion": [0.0, 3.0, 0.0]}
    assert released.errors == {"speed": [0.0, 3.0, 0.0], "direction": [0.0, 0.0, 0.0], "motion": [3.0, 0.0]}


@pytest.mark.parametrize("number", ["1.2.3", ".", "5.."])
def test_what_is_no_number_cannot_be_read(number: str) -> None:
    """Words of a language model must not end an evaluation."""
    place, motion = "It's about {} meters away at 2 o'clock direction.", "moving at {} m/s to its 2 o'clock direction."
    for errors, said in ((position_errors, place), (motion_errors, motion)):
        items = [
            Item("Where?", said.format(number), said.format(4.0)),
            Item("Where?", said.format(4.0), said.format(3)),
        ]
        found = errors(items)
        assert (found.read, found.unread) == (1, 1)
        assert found.errors["direction"] == [0.0]


def test_an_hour_that_no_clock_has_cannot_be_read() -> None:
    place, motion = "It's about 4 meters away at {} o'clock direction.", "moving at 4 m/s to its {} o'clock direction."
    for errors, said in ((position_errors, place), (motion_errors, motion)):
        items = [Item("Where?", said.format(25), said.format(2)), Item("Where?", said.format(12), said.format(1))]
        assert (errors(items).read, errors(items).errors["direction"]) == (1, [30.0])


def test_counts() -> None:
    item = Item("<9> How many?", "There are 3 cars, 1 bus in this frame.", "There are 1 car, 1 buses in this frame.")
    assert count_errors([item]).means()["count"] == pytest.approx((4 / 6) ** 0.5)
    assert count_errors([item], "Hint_VAD").means()["count"] == pytest.approx(((1 + 1) / 10) ** 0.5), "singular only"
    crowd = Item("How many?", "There are 3 cars.", "There are 50 cars.")
    assert count_errors([item, crowd], "Hint-UniAD").errors["count"] == [pytest.approx((4 / 6) ** 0.5)] * 2
    assert count_errors([item, crowd]).errors["count"][1] > 19
    assert count_errors([Item("How many?", "many", "There are 3 cars.")]).unread == 1


def test_plans() -> None:
    said = "The future trajectory points are [[0.00,1.00],[0.00,2.00],[0.00,3.00],[0.00,4.00],[3.00,9.00],]."
    true = "The future trajectory points are [[0.00,1.00],[0.00,2.00],[0.00,3.00],[0.00,6.00],[0.00,5.00],]."
    items = [Item("Tell the points.", said, true), Item("Tell the points.", "The points are [].", true)]
    assert plan_errors(items).errors["plan"] == [pytest.approx((2 + 5) / 5)]
    assert plan_errors(items, "Hint_VAD").errors["plan"] == [pytest.approx(2 / 4)]
    assert plan_errors(items, "Hint-UniAD").errors["plan"] == [pytest.approx(2.0)]
    assert plan_errors(items).unread == 1
