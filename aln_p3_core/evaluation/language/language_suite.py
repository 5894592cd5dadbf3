"""What explainers say, as a chapter of the report: written, scored, and the best and worst of it with a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.evaluation.language.intervention_suite import intervention_json, intervention_tables
from aln_p3_core.evaluation.language.language_tables import Found, language_tables
from aln_p3_core.evaluation.language.priors import (
    OTHER_FRAME,
    accuracies_json,
    moved,
    prior_texts,
    priors_of,
    scores_json,
)
from aln_p3_core.evaluation.language.said import CommandUse, SaidFrame, spread
from aln_p3_core.evaluation.language.scores import LanguageScores, explanations_consistency, score_language
from aln_p3_core.evaluation.language.truths import frame_truths, true_captions
from aln_p3_core.evaluation.language.writing import TextWriter, WritingSettings, Written, write_texts
from aln_p3_core.evaluation.report_blocks import Block, Gallery, Picture, Section
from aln_p3_core.evaluation.report_cases import choose_cases, draw_case
from aln_p3_core.evaluation.sample_facts import SampleFacts, facts_of
from aln_p3_core.explainer.tasks import Task

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets
    from aln_p3_core.evaluation.open_loop import OpenLoop
    from aln_p3_core.evaluation.sample_prediction import SamplePrediction
    from aln_p3_core.explainer.consistency import Consistency

#: Folder of the texts in a report: a folder a driver, a file a scene.
TEXTS_FOLDER = "texts"
#: Pictures of each kind.
CASES = 3
_USES: tuple[CommandUse, ...] = ("given", "none")


def language_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON: by driver and use of the command ("given", "none") `command` (under "given"
    it may be the "ground truth"), `measures` (fractions; CIDEr 0..10) and `by_scene` (sum and count of those that are
    means), and the scores in full; "priors" beside them.

    Raises:
        ConfigError: without pycocoevalcap. CheckpointError: for an explainer of another driver.
        DataError: for a root without texts, or a folder that is named for its training texts and has none.
    """
    request, dataset = open_loop.request, open_loop.dataset
    settings = WritingSettings(
        groups=request.language_tasks, captions=request.language_captions, questions=request.language_questions
    )
    tokens = spread(open_loop.tokens, request.language_samples)
    truths = frame_truths(dataset, tokens, request.split, settings.questions, request.texts)
    known = prior_texts(dataset, request.split, request.texts, request.train_texts)
    targets = open_loop.targets_of(tokens)
    facts = facts_of(dataset, tuple(dict.fromkeys(map(dataset.scene_of, tokens))), targets)
    captions = None
    if settings.asks(Task.CAPTION):
        captions = true_captions(dataset, targets, tokens, request.split, request.texts)
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
        found[subject.label] = {use: score_language(own.frames, use, by_token(own), speeds, captions) for use in _USES}
    if not found:
        return Section("Language", "No explainer: nothing was written."), {}
    # All explainers were asked the same about the same frames.
    priors = priors_of(found[next(iter(found))]["given"], known)
    blocks: list[Block] = list(language_tables(found, priors, _other_consistency(written, speeds, found)))
    blocks += intervention_tables({label: own.interventions for label, own in written.items()})
    for label, own in written.items():
        blocks += _cases(dataset, label, own, found[label]["given"], facts, targets)
    results: dict[str, dict[str, Any]] = {
        label: {use: _json(scores) for use, scores in by_command.items()} for label, by_command in found.items()
    }
    for label, own in written.items():
        results[label]["priors"] = priors.to_json()
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
    peeking = (
        " Command ground truth: where the data set gives no command the explainer reads the plan for the one that the "
        "true path fulfils, as in training and in published evaluations of VAD; it tells which way the car will go."
        if any("ground truth" in scores["given"].command_source for scores in found.values())
        else ""
    )
    return (
        f"What the explainer says about {len(tokens)} of {len(open_loop.tokens)} key frames, evenly spread. "
        f"{'; '.join(told)}.{peeking} Command withheld: the explainer reads the plan for straight on. All texts lie in "
        f"{TEXTS_FOLDER}/."
    )


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
        for name, texts in (("true text", true), (OTHER_FRAME, moved(true))):
            told = dict(zip(explained.tokens, texts, strict=True))
            rows[f"{name}, plan of {label}"] = explanations_consistency(
                own.frames, "given", by_token(own), speeds, told
            )
    return rows


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
        "command": scores.command_source,
        "measures": measures,
        "by_scene": by_scene,
        "frames": scores.frames,
        "texts": scores.texts,
        "truncated": scores.truncated,
        "cider_interval": scores.interval(),
        "explanations": scores_json({**explained.parts, **explained.others} if explained else {}),
        "captions": {
            found.name: {"kept": found.kept, "predictions": found.predictions, **found.scores}
            for found in scores.captions
        },
        "questions": accuracies_json(scores.questions or {}),
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
