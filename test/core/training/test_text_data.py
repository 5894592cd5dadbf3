"""Which texts are drawn: by share, from the seed alone, no text twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from aln_p3_core.datasets.drivelm import DriveLmQuestion
from aln_p3_core.datasets.nu_x import Explanation
from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer
from aln_p3_core.datasets.tod3cap import ObjectCaption
from aln_p3_core.explainer.tasks import ONLINE_TASKS, Task
from aln_p3_core.training.text_data import TextSource
from aln_p3_core.training.text_library import TextLibrary
from aln_p3_core.training.text_settings import TextSettings, TextShares


def caption(number: int) -> ObjectCaption:
    return ObjectCaption("Red car", 10.0, "ahead", f"drives {number}", "on the road", f"Red car {number}")


LIBRARY = TextLibrary(
    explanations=[Explanation("it stops", "it is red"), None],
    commands=["go straight and stop", ""],
    questions=[tuple(QuestionAnswer(f"what {i}?", f"{i}", 0, "object") for i in range(5)), ()],
    drivelm=[(), (DriveLmQuestion("what 0?", "A red car."),)],
    captions=[(caption(0), None, caption(2), caption(3)), ()],
)
NONE = TextShares(*[0.0] * 9)


def source(**changes: object) -> TextSource:
    return TextSource(LIBRARY, replace(TextSettings(), **changes))  # type: ignore[arg-type]


def test_a_draw_depends_on_frame_and_seed_alone() -> None:
    texts = source(per_frame=4)
    assert texts.draw(0, 7) == texts.draw(0, 7)
    assert len({texts.draw(0, seed).items for seed in range(20)}) > 15


def test_every_frame_has_its_explanation_and_shares_settle_the_rest() -> None:
    texts = source(per_frame=2, shares=replace(NONE, question=3.0, command=1.0))
    kinds: Counter[Task] = Counter()
    for seed in range(400):
        first, second = texts.draw(0, seed).items
        assert first.task is Task.EXPLANATION and first.answer == "Narration: it stops. Reasoning: it is red."
        kinds[second.task] += 1
    assert set(kinds) == {Task.QUESTION, Task.COMMAND}
    assert kinds[Task.QUESTION] / 400 == pytest.approx(0.75, abs=0.07)


def test_no_text_is_drawn_twice_and_a_frame_without_any_has_none() -> None:
    texts = source(per_frame=20, every_frame=(), shares=replace(NONE, question=1.0))
    asked = [item.prompt for item in texts.draw(0, 1).items]
    assert sorted(asked) == [f"what {i}?" for i in range(5)]
    assert texts.draw(1, 1).items == () and texts.draw(1, 1).explanation == ""


def test_a_question_tells_which_form_its_answer_has() -> None:
    shares = replace(NONE, question=1.0, drivelm=1.0)
    (sentence,) = source(per_frame=9, every_frame=(), shares=shares).draw(1, 0).items
    assert (sentence.task, sentence.answer) == (Task.DRIVELM, "A red car.")
    words = source(per_frame=9, every_frame=(), shares=shares).draw(0, 0).items
    assert {item.task for item in words} == {Task.QUESTION} and sentence.prompt not in {item.prompt for item in words}


def test_a_seed_draws_what_it_drew_for_the_shipped_explainer() -> None:
    """Which kinds there are, and in which order, settles every draw."""
    drawn = [source(per_frame=4).draw(0, seed).items for seed in range(3)]
    assert [" ".join(item.task.value for item in items) for items in drawn] == [
        "explanation plan caption question", "explanation position motion count", "explanation question caption count",
    ]  # fmt: skip
    assert (drawn[0][3].prompt, drawn[2][1].prompt) == ("what 1?", "what 2?")
    assert drawn[1][2].pick == pytest.approx(0.8057979255950393, abs=1e-15)


def test_what_the_driver_says_has_no_answer_yet() -> None:
    shares = replace(NONE, caption=1.0, count=1.0, position=1.0, motion=1.0, plan=1.0)
    items = source(per_frame=9, every_frame=(), shares=shares).draw(0, 3).items
    assert len(items) == 9 and all(not item.answer and 0 <= item.pick < 1 for item in items)
    assert set(ONLINE_TASKS) & {item.task for item in items}


def test_captions_are_some_of_those_that_there_are() -> None:
    drawn = {c.agent for seed in range(30) for c in source(pairs=2).draw(0, seed).captions}
    assert drawn == {0, 2, 3}
    two = source(pairs=2).draw(0, 0).captions
    assert len(two) == 2 and all(c.text == f"Red car {c.agent}" and c.motion == f"drives {c.agent}" for c in two)
    assert not any(item.task is Task.CAPTION for item in source(per_frame=9).draw(1, 0).items)
