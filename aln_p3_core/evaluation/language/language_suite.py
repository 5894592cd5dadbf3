"""What explainers say, as a chapter of the report: written, scored, and the best and worst of it with a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.datasets.nu_x import Explanation
from aln_p3_core.evaluation.language.hint_ad import explanation_scores
from aln_p3_core.evaluation.language.intervention_suite import intervention_json, intervention_tables
from aln_p3_core.evaluation.language.language_tables import Found, language_tables
from aln_p3_core.evaluation.language.nuscenes_qa import Accuracy, prior_answers, question_accuracy
from aln_p3_core.evaluation.language.said import CommandUse, SaidFrame, spread
from aln_p3_core.evaluation.language.scores import LanguageScores, explanations_consistency, score_language
from aln_p3_core.evaluation.language.truths import frame_truths, training_texts, true_captions
from aln_p3_core.evaluation.language.writing import TextWriter, WritingSettings, Written, write_texts
from aln_p3_core.evaluation.report_blocks import Block, Gallery, Picture, Section
from aln_p3_core.evaluation.report_cases import choose_cases, draw_case
from aln_p3_core.evaluation.sample_facts import SampleFacts, facts_of
from aln_p3_core.explainer.tasks import Task

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets
    from aln_p3_core.evaluation.language.captions import CaptionScores
    from aln_p3_core.evaluation.open_loop import OpenLoop
    from aln_p3_core.evaluation.sample_prediction import SamplePrediction
    from aln_p3_core.explainer.consistency import Consistency

#: Folder of the texts in a report: a folder a driver, a file a scene.
TEXTS_FOLDER = "texts"
#: Pictures of each kind.
CASES = 3
_USES: tuple[CommandUse, ...] = ("given", "none")
_OFTEN, _OTHER = "most frequent text of training", "true text of another frame"


def language_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON: by driver and use of the command ("given", "none") `measures` (fractions;
    CIDEr 0..10) and `by_scene` (sum and count of those that are means), and the scores in full.

    Raises:
        ConfigError: without pycocoevalcap. CheckpointError: for an explainer of another driver.
        DataError: for a root without texts.
    """
    request, dataset = open_loop.request, open_loop.dataset
    settings = WritingSettings(
        groups=request.language_tasks, captions=request.language_captions, questions=request.language_questions
    )
    tokens = spread(open_loop.tokens, request.language_samples)
    truths = frame_truths(dataset, tokens, request.split, settings.questions)
    targets = open_loop.targets_of(tokens)
    facts = facts_of(dataset, tuple(dict.fromkeys(map(dataset.scene_of, tokens))), targets)
    boxes = true_captions(dataset, targets, tokens, request.split) if settings.asks(Task.CAPTION) else None
    speeds = {token: fact.speed for token, fact in facts.items()}
    found: dict[str, dict[str, LanguageScores]] = {}
    written: dict[str, Written] = {}
    for subject in open_loop.subjects:
        if subject.predictor is None or subject.label not in open_loop.explainers:
            continue
        writer = TextWriter(subject.predictor, open_loop.explainers[subject.label], settings)
        written[subject.label] = own = write_texts(
            writer, dataset, tokens, truths, request.report / TEXTS_FOLDER / subject.label, request.jobs,
            label=f"{subject.label} texts", fresh=request.fresh, progress=request.progress,
        )  # fmt: skip
        found[subject.label] = {use: score_language(own.frames, use, by_token(own), speeds, boxes) for use in _USES}
    if not found:
        return Section("Language", "No explainer: nothing was written."), {}
    training = training_texts(dataset, request.split)
    first = next(iter(found))
    priors = _prior_explanations(found[first]["given"], training.explanation)
    answers = _prior_answers(found[first]["given"], training.questions)
    consistency = _other_consistency(written, speeds, found)
    blocks: list[Block] = list(language_tables(found, priors, answers, consistency))
    blocks += intervention_tables({label: own.interventions for label, own in written.items()})
    for label, own in written.items():
        blocks += _cases(dataset, label, own, found[label]["given"], facts, targets)
    results: dict[str, dict[str, Any]] = {
        label: {use: _json(scores) for use, scores in by_command.items()} for label, by_command in found.items()
    }
    for label, own in written.items():
        if own.interventions:
            results[label]["interventions"] = intervention_json(own.interventions)
    return Section("Language", _text(open_loop, tokens, found), tuple(blocks)), results


def by_token(written: Written) -> dict[str, SamplePrediction]:
    """What the driver saw and planned, by token."""
    return {prediction.token: prediction for prediction in written.predictions}


def _text(open_loop: OpenLoop, tokens: Sequence[str], found: Found) -> str:
    told = [
        f"{label}: {scores['given'].texts} texts with the command, {100 * scores['given'].truncated:.1f} % of them cut "
        "off at their limit"
        for label, scores in found.items()
    ]
    return (
        f"What the explainer says about {len(tokens)} of {len(open_loop.tokens)} key frames, evenly spread. "
        f"{'; '.join(told)}. Command withheld: the explainer reads the plan for straight on. All texts lie in "
        f"{TEXTS_FOLDER}/."
    )


def _prior_explanations(scores: LanguageScores, often: Explanation | None) -> dict[str, dict[str, CaptionScores]]:
    """Scores that take no look: one text for all, and the true text of a frame half the set away."""
    explained = scores.explanations
    if explained is None:
        return {}
    true = list(explained.true)
    said = {_OFTEN: None if often is None else [often] * len(true)}
    said[_OTHER] = _moved(true) if len(true) > 1 else None
    return {name: explanation_scores(true, texts, meteor="optional") for name, texts in said.items() if texts}


def _prior_answers(scores: LanguageScores, train: Sequence[Any]) -> dict[str, dict[str, Accuracy]]:
    if not train or not scores.asked:
        return {}
    titles = {"prior": "prior of type and hops", "question_prior": "prior of the question's words"}
    guesses = prior_answers(train, scores.asked)
    return {titles[name]: question_accuracy(scores.asked, answers) for name, answers in guesses.items()}


def _other_consistency(
    written: Mapping[str, Written], speeds: Mapping[str, float], found: Found
) -> dict[str, dict[str, Consistency]]:
    """What the measure makes of the true texts, and of true texts of other frames, with each driver's plans."""
    rows = {}
    for label, own in written.items():
        explained = found[label]["given"].explanations
        if explained is None:
            continue
        true = list(explained.true)
        for name, texts in (("true text", true), (_OTHER, _moved(true))):
            told = dict(zip(explained.tokens, texts, strict=True))
            rows[f"{name}, plan of {label}"] = explanations_consistency(
                own.frames, "given", by_token(own), speeds, told
            )
    return rows


def _moved(texts: list[Explanation]) -> list[Explanation]:
    half = len(texts) // 2
    return [*texts[half:], *texts[:half]]


def _cases(
    dataset: NuScenesDataset,
    label: str,
    written: Written,
    scores: LanguageScores,
    facts: Mapping[str, SampleFacts],
    targets: Mapping[str, Targets],
) -> list[Block]:
    explained = scores.explanations
    if explained is None:
        return []
    frames = {frame.token: frame for frame in written.frames}
    predictions = by_token(written)
    cider = explained.parts["joined"].sentences["cider"]
    blocks: list[Block] = []
    for kind, best in (("Worst", False), ("Best", True)):
        pictures = []
        # `choose_cases` takes errors, of which less is better.
        for row in choose_cases(-cider, [facts[t] for t in explained.tokens], CASES, best=best, moving=best):
            token = explained.tokens[row]
            data = draw_case(predictions[token], targets[token], dataset.frame(token))
            caption = (
                f"{facts[token].scene}, {facts[token].command}, {facts[token].speed:.1f} m/s (sample {token}). "
                f"{_told(frames[token], scores.consistency.get(token))} CIDEr {100 * cider[row]:.0f}."
            )
            pictures.append(Picture(data, "jpeg", caption))
        if pictures:
            blocks.append(Gallery(tuple(pictures), f"{kind} explanations of {label}"))
    return blocks


def _told(frame: SaidFrame, consistency: Consistency | None) -> str:
    """What was said about a frame, beside what would have been right."""
    parts = []
    for task in (Task.EXPLANATION, Task.COMMAND, Task.QUESTION, Task.CAPTION):
        for saying in frame.of(task)[:2]:
            asked = f"{saying.prompt} " if task is Task.QUESTION else ""
            truth = f" (true: '{saying.truth}')" if saying.truth is not None else ""
            parts.append(f"{task.value}: {asked}'{saying.answer}'{truth}.")
    if consistency is not None and consistency.contradictions:
        parts.append(f"Contradictions: {'; '.join(consistency.contradictions)}.")
    return " ".join(parts)


def _json(scores: LanguageScores) -> dict[str, Any]:
    measures, by_scene = scores.measures()
    explained = scores.explanations
    commands = {
        "truth": scores.commands,
        "own_plan": scores.commands_of_plan,
        "plan_against_truth": scores.plan_commands,
    }
    verdicts = [found.consistent for found in scores.consistency.values()]
    return {
        "measures": measures,
        "by_scene": by_scene,
        "frames": scores.frames,
        "texts": scores.texts,
        "truncated": scores.truncated,
        "cider_interval": scores.interval(),
        "explanations": {
            name: {"protocol": found.protocol, "number": len(found), **found.corpus}
            for name, found in ({**explained.parts, **explained.others} if explained else {}).items()
        },
        "captions": {
            found.name: {"kept": found.kept, "predictions": found.predictions, **found.scores}
            for found in scores.captions
        },
        "questions": {name: asdict(group) | {"value": group.value} for name, group in (scores.questions or {}).items()},
        "commands": {name: None if found is None else asdict(found) for name, found in commands.items()},
        "online": {
            task: {**errors.means(), "read": errors.read, "unread": errors.unread}
            for task, errors in scores.online.items()
        },
        "consistency": {
            "consistent": verdicts.count(True),
            "contradicted": verdicts.count(False),
            "nothing_to_check": verdicts.count(None),
        },
        "samples": {
            token: {"cider": float(value)}
            for token, value in zip(
                explained.tokens if explained else (),
                explained.parts["joined"].sentences["cider"] if explained else np.zeros(0),
                strict=True,
            )
        },
    }
