"""NuScenes-QA's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aln_p3_core.datasets.nuscenes_qa import ANSWERS, QuestionAnswer, load_questions
from aln_p3_core.errors import DataError

ROW: dict[str, Any] = {
    "split": "val",
    "sample_token": "s1",
    "question": "How many cars are there?",
    "answer": "3",
    "num_hop": 0,
    "template_type": "count",
}


def written(tmp_path: Path, rows: object) -> Path:
    path = tmp_path / "NuScenes_val_questions.json"
    path.write_text(json.dumps({"questions": rows}))
    return path


def test_questions_by_sample_in_order(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "sample_token": "s2", "answer": 4}, {**ROW, "question": "Is there a bus?", "num_hop": "1"}]
    found = load_questions(written(tmp_path, rows))
    assert list(found) == ["s1", "s2"] and found["s2"][0].answer == "4", "a count may be a number in the file"
    assert found["s1"][1] == QuestionAnswer("Is there a bus?", "3", 1, "count")
    assert len(ANSWERS) == len(set(ANSWERS)) == 30


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"answer": None}, "question 1 (sample s1) has no answer or no num_hop"),
        ({"num_hop": "one"}, "question 1 (sample s1) has num_hop 'one'"),
        ({"template_type": 4}, "question 1 (sample s1) has 4 where the text 'template_type' belongs"),
        ({"sample_token": None}, "question 1 has None where the text 'sample_token' belongs"),
    ],
)
def test_a_broken_question_is_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = written(tmp_path, [ROW, ROW | change])
    with pytest.raises(DataError, match="copy the published file again") as error:
        load_questions(path)
    assert told in str(error.value) and str(path) in str(error.value)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    path.write_text("[]")
    with pytest.raises(DataError, match=r'must hold \{"questions"'):
        load_questions(path)
