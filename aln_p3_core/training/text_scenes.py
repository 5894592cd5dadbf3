"""From a driver's outputs and the texts of its frames to what the explainer reads and learns, and what is aligned.

The explainer sees the objects that it would see on the road: those that the driver detects, best first. Captioned
objects are found among the queries by the driver's own Hungarian assignment of its last decoder layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.scene_builder import agents_of_sample
from aln_p3_core.explainer.online_tasks import online_answer
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.explainer.tasks import ONLINE_TASKS, Task, TextSample
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import Agents
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.frame_texts import AgentCaption, FrameTexts, TextItem
from aln_p3_core.training.text_settings import TextSettings


@dataclass(slots=True)
class TextPair:
    """An object with words about it, for the alignments.

    Attributes:
        scene, row: of the batch, and of the scene's agents.
        caption: of the annotated object that the driver's assignment gives it; "" where there is none.
        motion: words about its motion; "" where there are none.
        sample: place among the samples of the text with these words; -1 where none is learnt.
    """

    scene: int
    row: int
    caption: str = ""
    motion: str = ""
    sample: int = -1


@dataclass(slots=True)
class TextScenes:
    """What is read and learnt of a batch. B scenes, A agents.

    Attributes:
        query_ids_BA: long, decoder query of each agent; 0 where there is none.
        known_BA: bool, which rows are agents.
        seen_BA: bool, those of them that are detected: texts about a whole scene see no others.
        samples: texts to learn.
        pairs: objects with words.
        explanations: of each scene; "" where there is none.
        explained_by: of each scene, place of its explanation among the samples; -1 where none is learnt.
    """

    query_ids_BA: Tensor
    known_BA: Tensor
    seen_BA: Tensor
    samples: list[TextSample] = field(default_factory=list)
    pairs: list[TextPair] = field(default_factory=list)
    explanations: list[str] = field(default_factory=list)
    explained_by: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Scene:
    """One scene: its detections, queries of the explainer's rows (`seen` first of them), and captions by row."""

    agents: Agents
    detections: list[int]
    queries: list[int]
    captions: dict[int, AgentCaption]
    plan_T2: FloatArray

    @property
    def seen(self) -> range:
        return range(len(self.detections))


@torch.no_grad()
def text_scenes(
    outputs: DriverOutputs,
    texts: Sequence[FrameTexts],
    targets: Sequence[FrameTargets],
    matched_BQ: Tensor,
    driver: DriverConfig,
    explainer: ExplainerConfig,
    settings: TextSettings,
) -> TextScenes:
    """
    Args:
        outputs: of the driver.
        texts, targets: of each sample.
        matched_BQ: int64, target agent that each query answers for, or -1 (`Assignment.agent_LBQ` of the last layer).
        driver, explainer: recipes.
        settings: of the texts.
    """
    matched = matched_BQ.cpu().numpy()
    plans_B3T2 = outputs.plan_offsets_B3T2.float().cumsum(dim=-2).cpu().numpy()
    centers_BQ2 = outputs.agent_boxes_LBQ10[-1, ..., :2].float().cpu().numpy()
    scenes = []
    for number, (said, target) in enumerate(zip(texts, targets, strict=True)):
        agents = agents_of_sample(driver, outputs, number)
        detections = np.flatnonzero(agents.scores >= explainer.agent_score)[: explainer.max_agents]
        queries = agents.query_ids[detections].tolist()
        captions: dict[int, AgentCaption] = {}
        truths_A2 = target.agent_boxes_A10[:, :2].cpu().numpy()
        for caption in said.captions:
            answering = np.flatnonzero(matched[number] == caption.agent)
            if not len(answering) or _too_far(centers_BQ2[number, answering[0]], truths_A2[caption.agent], settings):
                continue
            query = int(answering[0])
            if query not in queries:
                queries.append(query)
            captions[queries.index(query)] = caption
        scenes.append(_Scene(agents, detections.tolist(), queries, captions, plans_B3T2[number, int(target.command)]))
    found = _padded(scenes, outputs.plan_offsets_B3T2.device)
    for number, (said, scene) in enumerate(zip(texts, scenes, strict=True)):
        _add_texts(found, number, said, scene)
    return found


def _too_far(query_2: FloatArray, truth_2: FloatArray, settings: TextSettings) -> bool:
    limit = settings.match_distance_m
    return limit > 0 and float(np.linalg.norm(query_2 - truth_2)) > limit


def _padded(scenes: Sequence[_Scene], device: torch.device) -> TextScenes:
    width = max(1, *(len(scene.queries) for scene in scenes))
    query_ids = np.zeros((len(scenes), width), np.int64)
    known, seen = np.zeros((2, len(scenes), width), bool)
    for number, scene in enumerate(scenes):
        query_ids[number, : len(scene.queries)] = scene.queries
        known[number, : len(scene.queries)] = True
        seen[number, : len(scene.detections)] = True
    tensors = [torch.from_numpy(array).to(device) for array in (query_ids, known, seen)]
    return TextScenes(tensors[0], tensors[1], tensors[2])


def _add_texts(found: TextScenes, number: int, said: FrameTexts, scene: _Scene) -> None:
    """Samples, pairs and explanation of one scene."""
    pairs = {row: TextPair(number, row, caption.text, caption.motion) for row, caption in scene.captions.items()}
    captioned = [row for row in scene.captions if row in scene.seen]
    explained_by = -1
    for item in said.items:
        row, answer = -1, item.answer
        if item.task is Task.CAPTION:
            if not captioned:
                continue
            row = captioned.pop(int(item.pick * len(captioned)))
            answer = scene.captions[row].text
        elif item.task in ONLINE_TASKS:
            row, answer = _online(item, scene)
        if not answer:
            continue
        if item.task is Task.EXPLANATION:
            explained_by = len(found.samples)
        part = ""
        if item.task in (Task.CAPTION, Task.MOTION):
            pair = pairs.setdefault(row, TextPair(number, row))
            # Of two texts about one object, the one about nothing but its motion. A caption tells colour and place as
            # well, by which an object could be found without its motion: only the words about that are read.
            if pair.sample < 0 or item.task is Task.MOTION:
                pair.sample = len(found.samples)
                pair.motion = answer if item.task is Task.MOTION else pair.motion
            part = pair.motion if item.task is Task.CAPTION else ""
        found.samples.append(TextSample(item.task, item.prompt, answer, number, row, part))
    found.pairs += pairs.values()
    found.explanations.append(said.explanation)
    found.explained_by.append(explained_by)


def _online(item: TextItem, scene: _Scene) -> tuple[int, str]:
    """Row and answer of a text that puts the driver's own predictions into words; "" where there is nothing to say."""
    if item.task in (Task.COUNT, Task.PLAN):
        return -1, online_answer(item.task, scene.agents, scene.plan_T2)
    if not scene.detections:
        return -1, ""
    row = int(item.pick * len(scene.detections))
    return row, online_answer(item.task, scene.agents, scene.plan_T2, scene.detections[row])
