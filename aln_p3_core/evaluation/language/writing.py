"""Lets an explainer speak about the key frames of a data set: `write_texts`.

Scenes are driven in time order through the same files, decoding and memory as on the road, and the explainer reads
the scene's tokens. Every scene's texts are kept in a file that holds as long as weights, settings, code and data stay.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from aln_p3_core.errors import CheckpointError, ConfigError, DataError
from aln_p3_core.evaluation.drive_frames import drive_frames
from aln_p3_core.evaluation.language.intervention import NamedScene
from aln_p3_core.evaluation.language.intervention_suite import SceneInterventions, intervene
from aln_p3_core.evaluation.language.said import (
    AGAIN,
    CommandUse,
    SaidFrame,
    Saying,
    load_interventions,
    load_said,
    save_said,
)
from aln_p3_core.evaluation.language.truths import FrameTruth
from aln_p3_core.evaluation.prediction_files import load_predictions, save_predictions
from aln_p3_core.evaluation.predictions import DriverPredictor, prediction_keys, prediction_of
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.explainer.tasks import Prompt, Task
from aln_p3_core.frame import RouteCommand
from aln_p3_core.scene import DrivingScene
from aln_p3_core.world.recorder.jobs import run_tasks

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.explainer.explainer import Explainer

INTERVENTION = "intervention"
#: Groups of tasks that can be asked for.
TASK_GROUPS: Mapping[str, tuple[Task, ...]] = {
    "explanation": (Task.EXPLANATION,),
    "caption": (Task.CAPTION,),
    "question": (Task.QUESTION,),
    "command": (Task.COMMAND,),
    "online": (Task.COUNT, Task.POSITION, Task.MOTION, Task.PLAN),
    # More explanations, of scenes that were changed (`intervention_suite`).
    INTERVENTION: (),
}
#: What is asked for unless it is named.
DEFAULT_GROUPS = tuple(group for group in TASK_GROUPS if group != INTERVENTION)
_DECIDING = (
    "barbell",
    "explainer",
    "language_model",
    "online_tasks",
    "prompts",
    "scene_context",
    "tasks",
    "token_mixer",
)
# Texts that are written as one batch, and how many tokens they may take. A step costs nearly the same for one text as
# for ten, and a batch lasts as long as its longest text.
_BATCHES = (
    (24, (Task.QUESTION, Task.COMMAND, Task.POSITION, Task.MOTION)),
    (96, (Task.EXPLANATION, Task.CAPTION, Task.COUNT, Task.PLAN)),
)


@dataclass(frozen=True, slots=True)
class WritingSettings:
    """What is asked of a key frame.

    Attributes:
        groups: of TASK_GROUPS. captions: detected objects that are described, best score first.
        questions: of the data set's questions about the frame, evenly spread; 0 for all.
    """

    groups: tuple[str, ...] = DEFAULT_GROUPS
    captions: int = 4
    questions: int = 4

    def __post_init__(self) -> None:
        unknown = sorted(set(self.groups) - set(TASK_GROUPS))
        if unknown or not self.groups:
            raise ConfigError(f"no language task {', '.join(unknown)!r}; choose from {', '.join(TASK_GROUPS)}")

    def asks(self, task: Task) -> bool:
        """Whether a task is asked for."""
        return any(task in TASK_GROUPS[group] for group in self.groups)


@dataclass
class TextWriter:
    """A driver with its explainer. Sent to other processes by pickling; each loads its own.

    Attributes:
        predictor: the driver. explainer: name or file. settings: what is asked.
    """

    predictor: DriverPredictor
    explainer: str | Path
    settings: WritingSettings = field(default_factory=WritingSettings)
    _loaded: Explainer | None = field(default=None, repr=False, compare=False)

    @property
    def speaker(self) -> Explainer:
        """Loaded when first asked for. Raises CheckpointError where it does not belong to the driver."""
        if self._loaded is None:
            from aln_p3_core.explainer.checkpoint import load_explainer

            driver = self.predictor.driver
            self._loaded = load_explainer(self.explainer, driver_hash=driver.checkpoint_hash, device=driver.device)
        return self._loaded

    def identity(self) -> dict[str, Any]:
        """What decides the texts beside driver and data, JSON-ready.

        Raises:
            CheckpointError: for a file that is no explainer, or one of another driver.
        """
        from aln_p3_core.explainer.checkpoint import read_file

        found = read_file(self.explainer)
        driver = self.predictor.driver
        if found.driver_hash != driver.checkpoint_hash:
            raise CheckpointError(
                f"{found.path} reads the tokens of the driver {found.driver_hash[:12]}, not of {self.predictor.source} "
                f"({driver.checkpoint_hash[:12]}): name the explainer that was trained with this driver (--explainer)"
            )
        return {
            "explainer": found.sha256,
            "language_model": found.language_identity,
            "settings": asdict(self.settings),
            "sources": _source_hash(("intervention.py",) if INTERVENTION in self.settings.groups else ()),
        }

    def scene(
        self,
        dataset: NuScenesDataset,
        scene_name: str,
        truths: Mapping[str, FrameTruth],
        on_frame: Callable[[], None] = lambda: None,
    ) -> Written:
        """Texts of the frames in `truths`, in time order; `on_frame` is called after each."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self.predictor.threads)
        try:
            scenes: list[NamedScene] = []
            found = list(self._scene(dataset, scene_name, dict(truths), scenes, on_frame))
            changed = intervene(self.speaker, scene_name, scenes) if scenes else None
        finally:
            torch.set_num_threads(threads)
        return Written(
            [said for said, _ in found],
            [prediction for _, prediction in found],
            [] if changed is None else [changed],
        )

    def _scene(
        self,
        dataset: NuScenesDataset,
        scene_name: str,
        waiting: dict[str, FrameTruth],
        for_interventions: list[NamedScene],
        on_frame: Callable[[], None],
    ) -> Iterator[tuple[SaidFrame, SamplePrediction]]:
        driver = self.predictor.driver
        driver.reset("new scene")
        for frame, _ in drive_frames(dataset, scene_name):
            inference = driver.infer(frame)
            truth = waiting.pop(frame.token, None)
            if truth is not None:
                scene = driver.scene(inference, with_tokens=True)
                said = tuple(self._speak(scene, truth))
                if INTERVENTION in self.settings.groups:
                    for_interventions.append(NamedScene(scene_name, scene))
                yield (
                    SaidFrame(frame.token, scene_name, frame.command.command.name.lower(), said),
                    prediction_of(scene, scene_name),
                )
                on_frame()
            if not waiting:
                return  # nobody needs the rest of the scene

    def _speak(self, scene: DrivingScene, truth: FrameTruth) -> list[Saying]:
        sayings = self._answers(scene, self._asked(scene, truth), "given")
        straight = RouteCommand()
        if scene.plan.command.command is not straight.command:
            withheld = replace(scene, plan=replace(scene.plan, command=straight))
            again = [asked for asked in self._asked(scene, truth) if asked.task in AGAIN]
            sayings += self._answers(withheld, again, "none")
        return sayings

    def _asked(self, scene: DrivingScene, truth: FrameTruth) -> list[_Asked]:
        from aln_p3_core.explainer.online_tasks import online_answer
        from aln_p3_core.explainer.scene_context import agent_rows

        agents, plan = scene.agents, np.asarray(scene.plan.points_model, dtype=np.float64)
        rows = agent_rows(scene, self.speaker.config)
        asked: list[_Asked] = []

        def add(task: Task, right: str | None, **more: Any) -> None:
            if self.settings.asks(task):
                asked.append(_Asked(task, right, **more))

        add(Task.EXPLANATION, truth.explanation)
        add(Task.COMMAND, truth.command)
        for question in truth.questions:
            about = {"num_hop": question.num_hop, "template_type": question.template_type}
            add(Task.QUESTION, question.answer, question=question.question, about=about)
        add(Task.COUNT, online_answer(Task.COUNT, agents, plan))
        add(Task.PLAN, online_answer(Task.PLAN, agents, plan))
        for focus, row in enumerate(rows[: self.settings.captions].tolist()):
            about = {
                "row": row,
                "class": agents.class_names[int(agents.class_ids[row])],
                "score": round(float(agents.scores[row]), 4),
                "center": [round(float(value), 3) for value in agents.centers_model[row]],
                "size_lwh": [round(float(value), 3) for value in agents.sizes_lwh[row]],
                "heading": round(float(agents.headings_model[row]), 4),
            }
            add(Task.CAPTION, None, focus=focus, about=about)
            if focus == 0:  # one object a frame is enough to tell how well places and motions are read
                add(Task.POSITION, online_answer(Task.POSITION, agents, plan, row), focus=focus, about=about)
                add(Task.MOTION, online_answer(Task.MOTION, agents, plan, row), focus=focus, about=about)
        return asked

    def _answers(self, scene: DrivingScene, asked: Sequence[_Asked], command: CommandUse) -> list[Saying]:
        from aln_p3_core.explainer.prompts import prompt_for
        from aln_p3_core.explainer.scene_context import context_from_scene

        context = context_from_scene(scene, self.speaker.config)
        sayings = []
        for limit, tasks in _BATCHES:
            batch = [item for item in asked if item.task in tasks]
            prompts = [Prompt(item.task, prompt_for(item.task, item.question), focus=item.focus) for item in batch]
            answers = self.speaker.generate(context, prompts, max_new_tokens=limit)
            for item, prompt, answer in zip(batch, prompts, answers, strict=True):
                sayings.append(
                    Saying(
                        item.task.value, command, prompt.prompt, answer.text, answer.truncated, item.right, item.about
                    )
                )
        return sayings

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}


@dataclass(frozen=True, slots=True)
class Written:
    """Texts of key frames, and what the driver saw and planned there, in the same order; interventions by scene."""

    frames: list[SaidFrame]
    predictions: list[SamplePrediction]
    interventions: list[SceneInterventions]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A text that is wanted, with what would be right."""

    task: Task
    right: str | None
    question: str = ""
    focus: int = -1
    about: Mapping[str, Any] = field(default_factory=dict)


def write_texts(
    writer: TextWriter,
    dataset: NuScenesDataset,
    tokens: Sequence[str],
    truths: Mapping[str, FrameTruth],
    folder: Path,
    jobs: int = 1,
    *,
    label: str = "texts",
    fresh: bool = False,
    progress: bool = True,
) -> Written:
    """Texts of key frames, in the order of the scenes and of time, kept in `folder`: a scene's texts as .json, and
    what the driver saw as .npz.

    Args:
        writer: who speaks. dataset: of the frames. tokens: of the frames. truths: by token.
        folder: files that are there and still hold are taken.
        jobs: processes that share the scenes. label: of the progress bar. fresh: writes everything again.

    Raises:
        DataError: naming the scenes that could not be written about, and why.
        CheckpointError: for an explainer of another driver.
    """
    by_scene: dict[str, dict[str, FrameTruth]] = {}
    for token in tokens:
        by_scene.setdefault(dataset.scene_of(token), {})[token] = truths[token]
    folder.mkdir(parents=True, exist_ok=True)
    common = json.dumps(writer.identity(), sort_keys=True)
    keys = {
        name: hashlib.sha256(f"{key} {common} {by_scene[name]!r}".encode()).hexdigest()
        for name, key in prediction_keys(writer.predictor, dataset, list(by_scene)).items()
    }
    files = {name: folder / f"{name}.json" for name in by_scene}
    found: dict[str, Written] = {}
    for name in () if fresh else by_scene:
        kept = _load(files[name], keys[name])
        if kept is not None:
            found[name] = kept
    waiting = [name for name in by_scene if name not in found]
    problems: dict[str, str] = {}

    def ended(name: str, problem: str | None) -> None:
        if problem is not None:
            problems[name] = problem

    total = sum(len(by_scene[name]) for name in waiting)
    with tqdm(total=total, desc=label, unit="frame", file=sys.stderr, disable=not progress or not waiting) as bar:
        work = _WriteScene(writer, dataset, by_scene, files, keys)
        run_tasks(waiting, work, jobs, on_progress=lambda: bar.update() and None, on_end=ended)
    if problems:
        told = "; ".join(f"{name}: {text.strip().splitlines()[-1]}" for name, text in problems.items())
        raise DataError(f"{len(problems)} of {len(by_scene)} scenes could not be written about: {told}")
    for name in waiting:
        kept = _load(files[name], keys[name])
        if kept is None:
            raise DataError(f"{files[name]} cannot be read back; is the disk full? Free some space and try again")
        found[name] = kept
    every = [found[name] for name in by_scene]
    return Written(
        [frame for written in every for frame in written.frames],
        [prediction for written in every for prediction in written.predictions],
        [changed for written in every for changed in written.interventions],
    )


def _load(path: Path, key: str) -> Written | None:
    frames, predictions = load_said(path, key), load_predictions(path.with_suffix(".npz"), key)
    changed = load_interventions(path)
    return None if frames is None or predictions is None else Written(frames, predictions, [changed] if changed else [])


@dataclass(frozen=True)
class _WriteScene:
    """Writes one scene's texts into its file."""

    writer: TextWriter
    dataset: NuScenesDataset
    truths: Mapping[str, Mapping[str, FrameTruth]]
    files: Mapping[str, Path]
    keys: Mapping[str, str]

    def __call__(self, task: str, on_progress: Callable[[], None]) -> None:
        written = self.writer.scene(self.dataset, task, self.truths[task], on_progress)
        save_predictions(self.files[task].with_suffix(".npz"), self.keys[task], written.predictions)
        changed = written.interventions[0] if written.interventions else None
        save_said(self.files[task], self.keys[task], written.frames, changed)


def _source_hash(more: tuple[str, ...] = ()) -> str:
    """Of the code that decides the texts; what judges them lies beside it and does not count.

    `more`: files of this folder that count too.
    """
    here = Path(__file__)
    explainer = here.parents[2] / "explainer"
    digest = hashlib.sha256()
    for file in (*(explainer / f"{name}.py" for name in _DECIDING), here, *map(here.with_name, more)):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
