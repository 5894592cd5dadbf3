"""Scores of everything that an explainer said with one use of the command: `score_language`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aln_p3_core.datasets.future import STEP_S
from aln_p3_core.datasets.nu_x import Explanation
from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer
from aln_p3_core.evaluation.bootstrap import scene_bootstrap, scene_sums
from aln_p3_core.evaluation.language.captions import CaptionScores, caption_scores
from aln_p3_core.evaluation.language.hint_ad import (
    CommandAccuracy,
    Item,
    command_accuracy,
    explanation_scores,
    released_part,
)
from aln_p3_core.evaluation.language.hint_ad_alignment import (
    AlignmentErrors,
    count_errors,
    motion_errors,
    plan_errors,
    position_errors,
)
from aln_p3_core.evaluation.language.java import find_java
from aln_p3_core.evaluation.language.nuscenes_qa import Accuracy, question_accuracy
from aln_p3_core.evaluation.language.said import CommandUse, SaidFrame, Saying, of_task
from aln_p3_core.evaluation.language.tod3cap import CaptionedBoxes, Tod3capScores, tod3cap_scores
from aln_p3_core.evaluation.language.truths import CaptionTruth
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.explainer.consistency import Consistency, check_consistency
from aln_p3_core.explainer.prompts import command_answer
from aln_p3_core.explainer.tasks import Task, parse_explanation
from aln_p3_core.frame import CommandProvenance, RouteCommand
from aln_p3_core.geometry import FloatArray

SceneSums = dict[str, tuple[float, int]]
_ONLINE: Mapping[Task, Callable[[Sequence[Item]], AlignmentErrors]] = {
    Task.COUNT: count_errors,
    Task.POSITION: position_errors,
    Task.MOTION: motion_errors,
    Task.PLAN: plan_errors,
}
# Names of measures in files of studies, by key of `captions.SCORES`.
_SHORT = {"cider": "cider", "bleu_4": "bleu4", "meteor": "meteor", "rouge_l": "rouge"}
# Scores that are means of sentences: only these can be summed up by scene.
_MEANS = ("cider", "rouge_l")


@dataclass(frozen=True, eq=False)
class Explanations:
    """Driving explanations that can be compared. F = frames.

    Attributes:
        tokens, scenes: [F]. said, true: [F].
        parts: scores of "narration", "reasoning" and "joined", protocol `raw`, whole texts.
        others: other ways to cut them, by name; those of the released code leave texts out.
    """

    tokens: tuple[str, ...]
    scenes: tuple[str, ...]
    said: tuple[Explanation, ...]
    true: tuple[Explanation, ...]
    parts: Mapping[str, CaptionScores]
    others: Mapping[str, CaptionScores]


@dataclass(frozen=True, eq=False)
class LanguageScores:
    """All scores of one explainer with one use of the command; None for what was not asked for, or has no truth.

    Attributes:
        command_source: whose plan was read: that of a command that was "given", of the "ground truth" where the data
            set gives none, "given or ground truth" where it gives some; "none" where the command was withheld.
        questions, asked_scenes, hits: accuracy by group; scene of each question and whether its answer was right.
        commands, commands_of_plan: against the truth, and against the driver's own plan.
        plan_commands: what the plan itself does against the truth.
        online: errors by value of `Task`.
        captions: m@kIoU in both forms. described: the boxes with their captions.
        consistency: of every explanation with the plan that it was read from, by token.
        truncated: share of texts that were cut off at their limit.
    """

    command: CommandUse
    command_source: str
    frames: int
    texts: int
    truncated: float
    explanations: Explanations | None
    questions: Mapping[str, Accuracy] | None
    asked_scenes: tuple[str, ...]
    asked: tuple[QuestionAnswer, ...]
    hits: tuple[bool, ...]
    command_scenes: tuple[str, ...]
    command_hits: tuple[bool, ...]
    commands: CommandAccuracy | None
    commands_of_plan: CommandAccuracy | None
    plan_commands: CommandAccuracy | None
    online: Mapping[str, AlignmentErrors]
    captions: tuple[Tod3capScores, ...]
    described_scenes: tuple[str, ...]
    consistency: Mapping[str, Consistency]
    consistency_scenes: tuple[str, ...]

    def measures(self) -> tuple[dict[str, float], dict[str, SceneSums]]:
        """Named values (fractions; CIDEr 0..10), and sums and counts by scene of those that are means."""
        values: dict[str, float | None] = {}
        scenes: dict[str, SceneSums] = {}

        def mean(name: str, each: Sequence[float] | FloatArray, of_scene: Sequence[str]) -> None:
            known = np.asarray(each, dtype=np.float64)
            if np.isfinite(known).any():
                values[name], scenes[name] = float(np.nanmean(known)), scene_sums(known, of_scene)

        for part, title in (("joined", "explanation"), ("narration", "narration"), ("reasoning", "reasoning")):
            if self.explanations is None:
                continue
            found = self.explanations.parts[part]
            for key, short in _SHORT.items():
                values[f"{title}_{short}"] = found.corpus[key]
                if key in _MEANS:
                    scenes[f"{title}_{short}"] = scene_sums(found.sentences[key], self.explanations.scenes)
        hops = np.array([question.num_hop for question in self.asked])
        for name, hop in (("qa_accuracy", None), ("qa_accuracy_hop0", 0), ("qa_accuracy_hop1", 1)):
            right = np.array(self.hits, dtype=np.float64)
            mean(name, right if hop is None else np.where(hops == hop, right, np.nan), self.asked_scenes)
        mean("command_accuracy", np.array(self.command_hits, dtype=np.float64), self.command_scenes)
        mean("consistency", self._consistent(), self.consistency_scenes)
        for found_captions in self.captions:
            if found_captions.name == "m@0.25IoU_3d":
                each = np.full(len(self.described_scenes), np.nan)
                each[found_captions.counted_rows] = 0.0
                if found_captions.unmultiplied is not None:
                    each[found_captions.kept_rows] = found_captions.unmultiplied.sentences["cider"]
                mean("caption_cider", each, self.described_scenes)
        return {name: value for name, value in values.items() if value is not None}, scenes

    def _consistent(self) -> FloatArray:
        """[F] 1 or 0; NaN where nothing could be checked."""
        verdicts = [found.consistent for found in self.consistency.values()]
        return np.array([np.nan if verdict is None else float(verdict) for verdict in verdicts])

    def interval(self, part: str = "joined", key: str = "cider") -> tuple[float, float] | None:
        """What holds a mean score of explanations in 95 % of resamplings of scenes; None where it is not known."""
        if self.explanations is None:
            return None
        band = scene_bootstrap(self.explanations.parts[part].sentences[key], self.explanations.scenes)
        low, high = float(band.low), float(band.high)
        return (low, high) if np.isfinite([low, high]).all() else None


def score_language(
    frames: Sequence[SaidFrame],
    command: CommandUse,
    predictions: Mapping[str, SamplePrediction],
    speeds: Mapping[str, float],
    true_captions: CaptionTruth | None = None,
) -> LanguageScores:
    """Scores texts.

    Args:
        frames: with their texts. command: which ones.
        predictions: of the driver by token: its plans and what it sees. speeds: of the ego by token, m/s.
        true_captions: of these frames; None leaves captions out.

    Raises:
        ConfigError: without pycocoevalcap. DataError: where a Java program fails.
    """
    asked = [(f, s) for f, s in of_task(frames, Task.QUESTION, command) if s.truth is not None]
    questions = tuple(_question(saying) for _, saying in asked)
    plans = {token: _plan(found, command) for token, found in predictions.items()}
    commands = of_task(frames, Task.COMMAND, command)
    told = [(f, s) for f, s in commands if s.truth is not None]
    of_plan = {frame.token: command_answer(plans[frame.token], STEP_S) for frame, _ in commands}
    every = [saying for frame in frames for task in Task for saying in frame.of(task, command)]
    consistency = explanations_consistency(frames, command, predictions, speeds)
    captions, described_scenes = _captions(frames, true_captions) if command == "given" else ((), ())
    return LanguageScores(
        command=command,
        command_source=_command_source(command, [predictions[frame.token] for frame in frames]),
        frames=len(frames),
        texts=len(every),
        truncated=float(np.mean([saying.truncated for saying in every])) if every else float("nan"),
        explanations=_explanations(frames, command),
        questions=question_accuracy(questions, [s.answer for _, s in asked]) if asked else None,
        asked_scenes=tuple(frame.scene for frame, _ in asked),
        asked=questions,
        hits=tuple(saying.answer == saying.truth for _, saying in asked),
        command_scenes=tuple(frame.scene for frame, _ in told),
        command_hits=tuple(_same_command(saying) for _, saying in told),
        commands=command_accuracy([str(s.truth) for _, s in told], [s.answer for _, s in told]),
        commands_of_plan=command_accuracy([of_plan[f.token] for f, _ in commands], [s.answer for _, s in commands]),
        plan_commands=command_accuracy([str(s.truth) for _, s in told], [of_plan[f.token] for f, _ in told]),
        online={
            task.value: errors([Item(s.prompt, s.answer, str(s.truth)) for _, s in found])
            for task, errors in _ONLINE.items()
            if (found := of_task(frames, task, command))
        },
        captions=captions,
        described_scenes=described_scenes,
        consistency=consistency,
        consistency_scenes=tuple(f.scene for f in frames if f.token in consistency),
    )


def explanations_consistency(
    frames: Sequence[SaidFrame],
    command: CommandUse,
    predictions: Mapping[str, SamplePrediction],
    speeds: Mapping[str, float],
    texts: Mapping[str, Explanation] | None = None,
) -> dict[str, Consistency]:
    """Consistency of explanations with the plan of that command and with what the driver sees, by token.

    `texts`: judged in place of what was said.
    """
    found = {}
    for frame, saying in of_task(frames, Task.EXPLANATION, command):
        prediction = predictions[frame.token]
        told = Explanation(*parse_explanation(saying.answer)) if texts is None else texts.get(frame.token)
        if told is None:
            continue
        # Words in another form than "Narration: ... Reasoning: ..." are judged as a whole.
        narration = told.narration or ("" if told.reasoning or texts is not None else saying.answer)
        found[frame.token] = check_consistency(
            narration,
            told.reasoning,
            _plan(prediction, command),
            prediction.agents,
            prediction.map_elements,
            speeds.get(frame.token),
        )
    return found


def _explanations(frames: Sequence[SaidFrame], command: CommandUse) -> Explanations | None:
    rows = [(f, s) for f, s in of_task(frames, Task.EXPLANATION, command) if s.truth is not None]
    if not rows:
        return None
    said = tuple(Explanation(*parse_explanation(s.answer)) for _, s in rows)
    true = tuple(Explanation(*parse_explanation(str(s.truth))) for _, s in rows)
    others: dict[str, CaptionScores] = {}
    if find_java() is not None:
        others["joined, ptb"] = explanation_scores(true, said, "ptb")["joined"]
    items = [Item(s.prompt, s.answer, str(s.truth)) for _, s in rows]
    for part in ("Narration", "Reasoning"):
        references, answers = released_part(items, part)
        if references:
            name = f"{part.lower()}, as Hint-AD cuts it"
            others[name] = caption_scores(references, answers, "raw", meteor="optional")
    return Explanations(
        tokens=tuple(f.token for f, _ in rows),
        scenes=tuple(f.scene for f, _ in rows),
        said=said,
        true=true,
        parts=explanation_scores(true, said, meteor="optional"),
        others=others,
    )


def _captions(
    frames: Sequence[SaidFrame], true: CaptionTruth | None
) -> tuple[tuple[Tod3capScores, ...], tuple[str, ...]]:
    rows = of_task(frames, Task.CAPTION)
    if true is None or not rows:
        return (), ()
    boxes = CaptionedBoxes(
        samples=[frame.token for frame, _ in rows],
        centers=np.array([saying.about["center"] for _, saying in rows], dtype=np.float64),
        sizes_lwh=np.array([saying.about["size_lwh"] for _, saying in rows], dtype=np.float64),
        headings=np.array([saying.about["heading"] for _, saying in rows], dtype=np.float64),
        texts=[saying.answer for _, saying in rows],
    )
    stored: dict[str, list[dict[str, Any]]] = {}
    for frame, saying in rows:
        row = true.released.stored_row(frame.token, saying.about, saying.answer)
        stored.setdefault(frame.token, []).append(row)
    released = tod3cap_scores(true.released.predicted(stored), true.released.boxes, "released", meteor="optional")
    real = tod3cap_scores(boxes, true.boxes, "3d", meteor="optional")
    return (*released, *real), tuple(frame.scene for frame, _ in rows)


def _question(saying: Saying) -> QuestionAnswer:
    about: Mapping[str, Any] = saying.about
    return QuestionAnswer(saying.prompt, str(saying.truth), int(about["num_hop"]), str(about["template_type"]))


def _plan(prediction: SamplePrediction, command: CommandUse) -> FloatArray:
    return (prediction if command == "given" else prediction.with_command(RouteCommand())).plan_model


def _command_source(command: CommandUse, predictions: Sequence[SamplePrediction]) -> str:
    if command == "none":
        return command
    sources = {prediction.command.provenance for prediction in predictions}
    if CommandProvenance.GROUND_TRUTH not in sources:
        return "given"
    return "given or ground truth" if CommandProvenance.GIVEN in sources else "ground truth"


def _same_command(saying: Saying) -> bool:
    found = command_accuracy([str(saying.truth)], [saying.answer])
    return found is not None and found.both == 1.0
