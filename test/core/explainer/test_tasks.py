from __future__ import annotations

import pytest

from aln_p3_core.explainer.tasks import explanation_answer, parse_explanation


def test_explanation_there_and_back() -> None:
    text = explanation_answer("the car slows down ", "because a bus has stopped 12.5 meters ahead.")
    assert text == "Narration: the car slows down. Reasoning: because a bus has stopped 12.5 meters ahead."
    assert parse_explanation(text) == ("the car slows down", "because a bus has stopped 12.5 meters ahead")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("narration:the car stops\nreasoning :a red light", ("the car stops", "a red light")),
        ("Narration: the car stops.", ("the car stops", "")),
        ("Reasoning: a red light.", ("", "a red light")),
        ("the car stops at a red light", ("", "")),
        ("", ("", "")),
        ("Narration: Reasoning: ", ("", "")),
    ],
)
def test_incomplete_explanations(text: str, parts: tuple[str, str]) -> None:
    assert parse_explanation(text) == parts
