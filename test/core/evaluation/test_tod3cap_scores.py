"""m@kIoU by sizes and by true boxes, and answers to questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.language.nuscenes_qa import Accuracy, prior_answers, question_accuracy
from aln_p3_core.evaluation.language.tod3cap import CaptionedBoxes, best_truth, box_iou, tod3cap_scores


def boxes(*rows: tuple[str, Sequence[float], Sequence[float], float, str]) -> CaptionedBoxes:
    samples, centers, sizes, headings, texts = zip(*rows, strict=True)
    return CaptionedBoxes(samples, np.array(centers), np.array(sizes), np.array(headings, dtype=float), texts)


CAR = (4.0, 2.0, 1.5)


def test_true_iou_of_turned_and_lifted_boxes() -> None:
    one = boxes(("s", (0, 0, 0), CAR, 0.0, "a"))
    cases = [
        ((0, 0, 0), CAR, 0.0, 1.0),
        ((0, 0, 0), CAR, np.pi, 1.0),
        ((0, 0, 0), CAR, np.pi / 2, 4 / 12),  # 2 x 2 of two areas of 8
        ((2, 0, 0), CAR, 0.0, 1 / 3),
        ((0, 0, 0.75), CAR, 0.0, 1 / 3),
        ((0, 0, 2.0), CAR, 0.0, 0.0),
        ((0, 9, 0), CAR, 0.0, 0.0),
        ((0, 0, 0), (2.0, 1.0, 1.5), 0.3, 2 / 8),  # wholly inside
    ]
    for center, size, heading, iou in cases:
        other = boxes(("s", center, size, heading, "b"))
        assert box_iou(one, np.array([0]), other, np.array([0]))[0, 0] == pytest.approx(iou), (center, heading)


def test_both_forms() -> None:
    truth = boxes(
        ("s", (0, 0, 0), CAR, 0.0, "a red car stands"),
        ("s", (20, 0, 0), (8.0, 2.5, 3.0), 0.0, "a long bus drives"),
        ("t", (0, 0, 0), CAR, 0.0, "a blue car waits"),
    )
    predictions = boxes(
        ("s", (0.2, 0, 0), CAR, 0.0, "a red car stands"),
        ("s", (60, 0, 0), CAR, 1.0, "a green car turns"),  # the right size, nowhere
        ("t", (0, 0, 0), CAR, 0.1, "a blue car waits"),
        ("u", (0, 0, 0), CAR, 0.0, "nobody is there"),  # no true box in this sample
    )
    ious, rows = best_truth(predictions, truth, "released")
    assert rows.tolist() == [0, 0, 2, -1] and ious[:3] == pytest.approx([1, 1, 1])
    ious, rows = best_truth(predictions, truth, "3d")
    assert rows[0] == 0 and rows[2] == 2 and ious[1] == 0 and ious[0] > 0.9
    released = tod3cap_scores(predictions, truth, "released", meteor="never")
    real = tod3cap_scores(predictions, truth, "3d", meteor="never")
    assert [(s.name, s.kept, s.predictions) for s in (*released, *real)] == [
        ("m@0.25IoU_released", 3, 3),
        ("m@0.5IoU_released", 3, 3),
        ("m@0.25IoU_3d", 2, 3),
        ("m@0.5IoU_3d", 2, 3),
    ]
    assert real[0].unmultiplied is not None and real[0].scores["meteor"] is None
    assert real[0].unmultiplied.corpus["bleu_4"] == pytest.approx(1.0) and real[0].scores["bleu_4"] == pytest.approx(
        2 / 3
    )
    (nothing,) = tod3cap_scores(predictions, truth, "3d", [1.0], meteor="never")
    assert nothing.kept == 0 and nothing.unmultiplied is None and nothing.scores["cider"] == 0.0
    with pytest.raises(DataError, match="as many of everything"):
        CaptionedBoxes(["s"], np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(2), ["a", "b"])


def question(answer: str, hop: int, kind: str = "exist", text: str = "Is it?") -> QuestionAnswer:
    return QuestionAnswer(text, answer, hop, kind)


def test_answers_by_group() -> None:
    asked = [question("yes", 0), question("no", 1), question("3", 0, "count"), question("bus", 1, "object")]
    found = question_accuracy(asked, ["yes", "yes", "3", "Bus"])
    assert found["Overall"] == Accuracy(2, 4) and found["exist"].value == 0.5
    assert found["H0"] == Accuracy(2, 2) and found["H1"] == Accuracy(0, 2), "'Bus' is not 'bus'"
    assert "count_1" not in found and found["count_0"] == Accuracy(1, 1)
    with pytest.raises(DataError, match="4 questions and 1 answers"):
        question_accuracy(asked, ["yes"])


def test_priors() -> None:
    train = [question("no", 0), question("no", 0), question("yes", 0, text="Is a bus there?")]
    asked = [
        question("yes", 0, text="Is a bus there?"),
        question("yes", 0, text="New?"),
        question("3", 0, "count", "How many?"),
    ]
    found = prior_answers(train, asked)
    assert found == {"prior": ["no", "no", ""], "question_prior": ["yes", "no", ""]}


def test_priors_without_the_own_scene() -> None:
    known = [question("yes", 0), question("yes", 0), question("no", 0, text="Is a bus there?")]
    scenes = ["a", "a", "b"]
    asked = [question("yes", 0), question("yes", 0), question("yes", 0, text="Is a bus there?")]
    found = prior_answers(known, asked, scenes, ["a", "b", "c"])
    assert found == {"prior": ["no", "yes", "yes"], "question_prior": ["no", "yes", "no"]}
