"""NuScenes-QA's accuracy (arXiv 2305.14836), by type and hop, and what one reaches without looking.

An answer is right when it is the very same text. Rows are named as the official code prints them ("exist",
"exist_0"); "H0" and "H1", which published tables show, pool all types by hop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer
from aln_p3_core.errors import DataError
from aln_p3_core.world.recorder.answer_prior import PRIORS, Guesses

OVERALL = "Overall"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Right answers of a group of questions."""

    correct: int
    total: int

    @property
    def value(self) -> float:
        """0..1."""
        return self.correct / self.total


def question_accuracy(questions: Sequence[QuestionAnswer], answers: Sequence[str]) -> dict[str, Accuracy]:
    """Accuracy overall, by type, by type and hop, and by hop; a group without questions has no row.

    Raises:
        DataError: for unequal numbers of questions and answers.
    """
    if len(questions) != len(answers):
        raise DataError(f"{len(questions)} questions and {len(answers)} answers: give one answer a question")
    hits: dict[str, list[bool]] = {}
    for question, answer in zip(questions, answers, strict=True):
        kind, hop = question.template_type, question.num_hop
        for group in (OVERALL, kind, f"{kind}_{hop}", f"H{hop}"):
            hits.setdefault(group, []).append(answer == question.answer)
    order = sorted(hits, key=lambda group: (group != OVERALL, group in ("H0", "H1"), group))
    return {group: Accuracy(sum(hits[group]), len(hits[group])) for group in order}


def prior_answers(
    known: Iterable[QuestionAnswer],
    questions: Sequence[QuestionAnswer],
    known_scenes: Sequence[str] = (),
    scenes: Sequence[str] = (),
) -> Mapping[str, list[str]]:
    """Guesses without a look at the scene: the most frequent answer in questions that are known.

    Args:
        known: such as the training questions. questions: to guess.
        known_scenes, scenes: of each, where the known questions of a question's own scene shall not count, else it
            would know the answer; () counts all.

    Returns:
        A guess a question by what the guess may know: "prior" (type and hops), "question_prior" (the whole text; the
        former for a text that was never asked). "" where nothing like it was asked.
    """
    known = list(known)
    rows = [_row(question, scene) for question, scene in zip(known, known_scenes or [""] * len(known), strict=True)]
    scene_of = {scene: scene for scene in known_scenes}
    guessers = {name: Guesses(rows, scene_of, key) for name, key in PRIORS.items()}
    found: dict[str, list[str]] = {name: [] for name in PRIORS}
    for question, scene in zip(questions, scenes or [""] * len(questions), strict=True):
        row = _row(question, scene)
        by_type = guessers["prior"].guess(row, scene) or ""
        found["prior"].append(by_type)
        found["question_prior"].append(guessers["question_prior"].guess(row, scene) or by_type)
    return found


def _row(question: QuestionAnswer, scene: str) -> dict[str, Any]:
    """A question as the file has it; its scene stands for its sample."""
    return {
        "sample_token": scene,
        "question": question.question,
        "answer": question.answer,
        "num_hop": question.num_hop,
        "template_type": question.template_type,
    }
