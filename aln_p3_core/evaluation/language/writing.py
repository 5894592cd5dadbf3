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
from aln_p3_core.evaluation.predictions import DriverPredictor, grouped, prediction_keys, prediction_of
from aln_p3_core.evaluation.sample_facts import ego_speeds
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.explainer.tasks import Prompt, Task
from aln_p3_core.frame import RouteCommand
from aln_p3_core.runtime.threads import cpu_threads
from aln_p3_core.scene import DrivingScene
from aln_p3_core.world.recorder.jobs import run_tasks

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.explainer.explainer import Explainer
    from aln_p3_core.explainer.scene_context import SceneContext
    from aln_p3_core.explainer.tasks import Answer

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
# What else decides which object an intervention masks, and what its texts are read as.
_DECIDING_INTERVENTIONS = (
    "cause_check",
    "consistency",
    "consistency_settings",
    "consistency_types",
    "keyword_reader",
    "keyword_words",
    "plan_check",
    "plan_motion",
    "seen",
    "statement",
)
# How many tokens a text may take. A step costs nearly the same for one text as for ten, and a batch lasts as long as
# its longest text: those of one kind go together.
_LIMITS = {
    Task.QUESTION: 24,
    Task.COMMAND: 24,
    Task.POSITION: 24,
    Task.MOTION: 24,
    Task.COUNT: 96,
    Task.PLAN: 96,
    Task.CAPTION: 96,
    Task.EXPLANATION: 96,
}
# Texts of a batch.
_BATCH_CPU, _BATCH_GPU = 16, 256
# Scenes that are written about together: what is lost when somebody breaks off.
_GROUP_CPU = 4


@dataclass(frozen=True, slots=True)
class WritingSettings:
    """What is asked of a key frame.

    Attributes:
        groups: of TASK_GROUPS. captions: detected objects that are described, best score first; 0 for all that the
            explainer reads (`scene_context.agent_rows`).
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
            "sources": _source_hash(INTERVENTION in self.settings.groups),
        }

    @property
    def group(self) -> int:
        """Scenes that are written about together."""
        return self.predictor.group if self.predictor.group > 1 else _GROUP_CPU

    def scenes(
        self,
        dataset: NuScenesDataset,
        truths: Mapping[str, Mapping[str, FrameTruth]],
        on_frame: Callable[[], None] = lambda: None,
    ) -> dict[str, Written]:
        """Texts of frames in time order, by scene.

        Args:
            dataset: of the scenes.
            truths: of the frames, by scene and token.
            on_frame: called once a frame, as the texts are written.
        """
        with cpu_threads(self.predictor.threads):
            met = list(self._meet(dataset, truths))
            sayings = self._speak(met, on_frame)
            changed = self._intervene(dataset, met)
        written = {name: Written([], [], [changed[name]] if name in changed else []) for name in truths}
        for one, said in zip(met, sayings, strict=True):
            command = one.scene.plan.command.command.name.lower()
            written[one.name].frames.append(SaidFrame(one.scene.token, one.name, command, tuple(said)))
            written[one.name].predictions.append(prediction_of(one.scene, one.name))
        return written

    def _meet(self, dataset: NuScenesDataset, truths: Mapping[str, Mapping[str, FrameTruth]]) -> Iterator[_Met]:
        """Drives to the frames that are asked about; nobody needs the rest of a scene."""
        until = {name: max(wanted, key=dataset.scene_tokens(name).index) for name, wanted in truths.items() if wanted}
        for name, inference, is_key_frame in self.predictor.drive(dataset, list(until), until):
            truth = truths[name].get(inference.frame.token) if is_key_frame else None
            if truth is not None:
                scene = self.predictor.driver.scene(inference, with_tokens=True)
                if truth.route is not None:
                    scene = replace(scene, plan=replace(scene.plan, command=truth.route))
                yield _Met(name, scene, truth)

    def _intervene(self, dataset: NuScenesDataset, met: Sequence[_Met]) -> dict[str, SceneInterventions]:
        if INTERVENTION not in self.settings.groups:
            return {}
        scenes: dict[str, list[NamedScene]] = {}
        speeds = {name: ego_speeds(dataset, name) for name in dict.fromkeys(one.name for one in met)}
        for one in met:
            speed = speeds[one.name].get(one.scene.token)
            scenes.setdefault(one.name, []).append(NamedScene(one.name, one.scene, speed))
        low_x, low_y, _, high_x, high_y, _ = self.predictor.driver.config.point_cloud_range
        bev_range = (low_x, low_y, high_x, high_y)
        # The same texts as in the chapter's other tables, judged with the same speeds.
        limit = _LIMITS[Task.EXPLANATION]
        return {name: intervene(self.speaker, name, named, bev_range, limit) for name, named in scenes.items()}

    def _speak(self, met: Sequence[_Met], on_frame: Callable[[], None]) -> list[list[Saying]]:
        """Sayings of every frame: with its command, then with the command withheld."""
        contexts: list[SceneContext] = []
        wanted: list[_Wanted] = []
        for place, one in enumerate(met):
            straight = RouteCommand()
            asked = self._asked(one.scene, one.truth)
            wanted += [_Wanted(place, len(contexts), "given", item) for item in asked]
            contexts.append(self._context(one.scene))
            if one.scene.plan.command.command is not straight.command:
                withheld = replace(one.scene, plan=replace(one.scene.plan, command=straight))
                again = [item for item in self._asked(withheld, one.truth) if item.task in AGAIN]
                wanted += [_Wanted(place, len(contexts), "none", item) for item in again]
                contexts.append(self._context(withheld))
        told = 0

        def on_share(share: float) -> None:
            nonlocal told
            while told < round(share * len(met)):
                on_frame()
                told += 1

        answers = self._answers(contexts, wanted, on_share)
        on_share(1.0)
        sayings: list[list[Saying]] = [[] for _ in met]
        for one_wanted, (prompt, answer) in zip(wanted, answers, strict=True):
            item = one_wanted.asked
            sayings[one_wanted.place].append(
                Saying(
                    item.task.value, one_wanted.command, prompt, answer.text, answer.truncated, item.right, item.about
                )
            )
        return sayings

    def _context(self, scene: DrivingScene) -> SceneContext:
        from aln_p3_core.explainer.scene_context import context_from_scene

        return context_from_scene(scene, self.speaker.config)

    def _answers(
        self, contexts: Sequence[SceneContext], wanted: Sequence[_Wanted], on_share: Callable[[float], None]
    ) -> list[tuple[str, Answer]]:
        """Prompt and answer of each; texts of a kind and of like length are written together. `on_share` is called with
        the share that is done."""
        from aln_p3_core.explainer.prompts import prompt_for
        from aln_p3_core.explainer.scene_context import join_contexts

        size = _BATCH_CPU if self.speaker.device.type == "cpu" else _BATCH_GPU
        prompts = [prompt_for(one.asked.task, one.asked.question) for one in wanted]
        order = sorted(range(len(wanted)), key=lambda i: (list(_LIMITS).index(wanted[i].asked.task), i))
        answers: dict[int, tuple[str, Answer]] = {}
        for limit in sorted(set(_LIMITS.values())):
            chosen = [i for i in order if _LIMITS[wanted[i].asked.task] == limit]
            for first in range(0, len(chosen), size):
                batch = chosen[first : first + size]
                scenes = sorted({wanted[i].context for i in batch})
                rows = {scene: row for row, scene in enumerate(scenes)}
                given = self.speaker.generate(
                    join_contexts([contexts[scene] for scene in scenes]),
                    [
                        Prompt(wanted[i].asked.task, prompts[i], rows[wanted[i].context], wanted[i].asked.focus)
                        for i in batch
                    ],
                    max_new_tokens=limit,
                )
                answers |= {i: (prompts[i], answer) for i, answer in zip(batch, given, strict=True)}
                on_share(len(answers) / len(wanted))
        return [answers[i] for i in range(len(wanted))]

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
        for focus, row in enumerate(rows[: self.settings.captions or None].tolist()):
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}


@dataclass(frozen=True, slots=True)
class Written:
    """Texts of key frames, and what the driver saw and planned there, in the same order; interventions by scene."""

    frames: list[SaidFrame]
    predictions: list[SamplePrediction]
    interventions: list[SceneInterventions]


@dataclass(frozen=True, slots=True)
class _Met:
    """A frame that is asked about."""

    name: str
    scene: DrivingScene
    truth: FrameTruth


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A text that is wanted: of which frame, read from which context, under which use of the command."""

    place: int
    context: int
    command: CommandUse
    asked: _Asked


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

    def ended(names: Sequence[str], problem: str | None) -> None:
        if problem is not None:
            problems.update(dict.fromkeys(names, problem))

    total = sum(len(by_scene[name]) for name in waiting)
    with tqdm(total=total, desc=label, unit="frame", file=sys.stderr, disable=not progress or not waiting) as bar:
        work = _WriteScenes(writer, dataset, by_scene, files, keys)
        groups = grouped(waiting, min(writer.group, -(-len(waiting) // jobs)) if waiting else 1)
        run_tasks(groups, work, jobs, on_progress=lambda: bar.update() and None, on_end=ended)
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
class _WriteScenes:
    """Writes the texts of a group of scenes, each into its file."""

    writer: TextWriter
    dataset: NuScenesDataset
    truths: Mapping[str, Mapping[str, FrameTruth]]
    files: Mapping[str, Path]
    keys: Mapping[str, str]

    def __call__(self, task: Sequence[str], on_progress: Callable[[], None]) -> None:
        found = self.writer.scenes(self.dataset, {name: self.truths[name] for name in task}, on_progress)
        for name, written in found.items():
            save_predictions(self.files[name].with_suffix(".npz"), self.keys[name], written.predictions)
            changed = written.interventions[0] if written.interventions else None
            save_said(self.files[name], self.keys[name], written.frames, changed)


def _source_hash(intervening: bool) -> str:
    """Of the code that decides the texts; what judges them lies beside it and does not count.

    `intervening`: what decides the interventions counts too.
    """
    here = Path(__file__)
    explainer = here.parents[2] / "explainer"
    files = [*(explainer / f"{name}.py" for name in _DECIDING), here]
    if intervening:
        files += [here.with_name("intervention.py"), *(explainer / f"{name}.py" for name in _DECIDING_INTERVENTIONS)]
        files += sorted((here.parents[2] / "world" / "language").glob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
