"""How far one gets with NuScenes-QA questions without looking: a set that guessing solves teaches nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

Question = Mapping[str, Any]

#: What a guess may know of the question.
PRIORS: Mapping[str, Callable[[Question], Hashable]] = {
    "prior": lambda question: (question["template_type"], question["num_hop"]),
    "question_prior": lambda question: question["question"],
}


def prior_table(
    questions: Mapping[str, Sequence[Question]], split: str, scene_of_sample: Mapping[str, str]
) -> dict[str, Any]:
    """Answers of a split's questions, and the accuracy of guesses.

    A guess is the most frequent answer in the training split, or in the split itself where there is none. Within
    the same split, the question's own scene is left out, else it would know the answer.
    "prior" knows the template type and the number of hops, "question_prior" the whole text (and falls back to the
    former for a text that it has not met).

    Args:
        questions: by split.
        split: to judge.
        scene_of_sample: scene name by sample token.

    Returns:
        {"reference": split that the guesses are drawn from, "answers": {answer: count}, "prior_accuracy": .,
        "question_prior_accuracy": ., "by_type": {"exist, 0 hops": the same figures}}; an accuracy is None where
        there is nothing to guess from.
    """
    asked = questions[split]
    reference = "train" if questions.get("train") else split
    counts = {name: Guesses(questions[reference], scene_of_sample, key) for name, key in PRIORS.items()}
    groups: dict[str, list[tuple[Question, dict[str, bool | None]]]] = defaultdict(list)
    for question in asked:
        own = scene_of_sample.get(question["sample_token"], "") if reference == split else ""
        by_type = counts["prior"].guess(question, own)
        by_text = counts["question_prior"].guess(question, own)
        hits: dict[str, bool | None] = {
            "prior": None if by_type is None else by_type == question["answer"],
            "question_prior": None if by_type is None else (by_text or by_type) == question["answer"],
        }
        hops = "hop" if question["num_hop"] == 1 else "hops"
        groups[f"{question['template_type']}, {question['num_hop']} {hops}"].append((question, hits))
    everything = [entry for entries in groups.values() for entry in entries]
    return {
        "reference": reference,
        **_figures(everything),
        "by_type": {name: _figures(entries) for name, entries in sorted(groups.items())},
    }


class Guesses:
    """Answers counted by what a guess may know (of PRIORS), in all and by scene."""

    def __init__(
        self,
        questions: Sequence[Question],
        scene_of_sample: Mapping[str, str],
        key: Callable[[Question], Hashable],
    ) -> None:
        self._key = key
        self._all: dict[Hashable, Counter[str]] = defaultdict(Counter)
        self._of_scene: dict[tuple[Hashable, str], Counter[str]] = defaultdict(Counter)
        for question in questions:
            scene = scene_of_sample.get(question["sample_token"], "")
            self._all[key(question)][question["answer"]] += 1
            self._of_scene[key(question), scene][question["answer"]] += 1

    def guess(self, question: Question, without_scene: str) -> str | None:
        """The most frequent answer, by name where equal; None where nothing is known."""
        key = self._key(question)
        counts = self._all.get(key, Counter())
        if without_scene:
            counts = counts - self._of_scene.get((key, without_scene), Counter())
        if not counts:
            return None
        return min(counts, key=lambda answer: (-counts[answer], answer))


def _figures(entries: Sequence[tuple[Question, Mapping[str, bool | None]]]) -> dict[str, Any]:
    answers = Counter(question["answer"] for question, _ in entries)
    figures: dict[str, Any] = {
        "count": len(entries),
        "answers": dict(sorted(answers.items(), key=lambda item: (-item[1], item[0]))),
    }
    for name in PRIORS:
        known = [hits[name] for _, hits in entries if hits[name] is not None]
        figures[f"{name}_accuracy"] = round(sum(map(bool, known)) / len(known), 4) if known else None
    return figures
