"""What the explainer reads and learns of a batch: detections, captions by the driver's assignment, its own words."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch
from loss_helpers import CONFIG, make_targets, perfect_outputs, permuted

from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.scene_builder import agents_of_sample
from aln_p3_core.explainer.online_tasks import online_answer
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.frame_texts import AgentCaption, FrameTexts, TextItem
from aln_p3_core.training.matching import match
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import LossSettings
from aln_p3_core.training.text_scenes import TextScenes, text_scenes
from aln_p3_core.training.text_settings import TextSettings

TARGETS = [make_targets(seed=seed) for seed in range(2)]
CAPTIONS = tuple(AgentCaption(agent, f"object {agent}", f"drives {agent}") for agent in (3, 1))


def texts(*items: TextItem) -> FrameTexts:
    return FrameTexts(items, CAPTIONS, "Narration: it goes. Reasoning: so.")


def without_gradient(outputs: DriverOutputs) -> DriverOutputs:
    return replace(outputs, **{f.name: getattr(outputs, f.name).detach() for f in fields(outputs)})


def scenes_of(
    outputs: DriverOutputs, said: list[FrameTexts], targets: list[FrameTargets] = TARGETS, **changes: Any
) -> TextScenes:
    matched = match(outputs, pad_targets(targets), LossSettings()).agent_LBQ[-1]
    explainer = ExplainerConfig(name="small", max_agents=4, agent_score=0.5)
    return text_scenes(outputs, said, targets, matched, CONFIG, explainer, replace(TextSettings(), **changes))


def test_a_caption_goes_to_the_query_that_answers_for_its_object() -> None:
    outputs = perfect_outputs(TARGETS)
    caption = TextItem(Task.CAPTION, "what?", pick=0.0)
    found = scenes_of(outputs, [texts(caption, caption, caption)] * 2)
    # Query i answers for target i; five are detected, of which four fit.
    for scene in range(2):
        pairs = {pair.caption: int(found.query_ids_BA[scene, pair.row]) for pair in found.pairs if pair.scene == scene}
        assert pairs == {"object 3": 3, "object 1": 1}
        assert int(found.seen_BA[scene].sum()) == 4
    for sample in found.samples:
        query = int(found.query_ids_BA[sample.scene, sample.focus])
        assert sample.answer == f"object {query}" and found.seen_BA[sample.scene, sample.focus]
    # No caption twice, and none of an object that is not seen.
    assert len({(s.scene, s.answer) for s in found.samples}) == len(found.samples) <= 4


def test_the_assignment_decides_which_query_it_is_and_not_the_order_of_the_objects() -> None:
    """Annotated objects in another order than the queries that answer for them."""
    outputs = perfect_outputs(TARGETS)
    mixed = [permuted(target, seed=5) for target in TARGETS]
    found = scenes_of(outputs, [texts()] * 2, mixed)
    assert len(found.pairs) == 4
    moved = False
    for pair in found.pairs:
        truth_2 = mixed[pair.scene].agent_boxes_A10[int(pair.caption.split()[-1]), :2]
        query = int(found.query_ids_BA[pair.scene, pair.row])
        torch.testing.assert_close(outputs.agent_boxes_LBQ10[-1, pair.scene, query, :2].detach(), truth_2)
        moved |= query != int(pair.caption.split()[-1])
    assert moved


def test_an_object_that_the_driver_misses_is_no_pair() -> None:
    outputs = perfect_outputs(TARGETS)
    with torch.no_grad():
        outputs.agent_boxes_LBQ10[:, 0, 3, 0] += 5.0
    far = scenes_of(outputs, [texts()] * 2, match_distance_m=4.0)
    assert [pair.caption for pair in far.pairs if pair.scene == 0] == ["object 1"]
    assert len(scenes_of(outputs, [texts()] * 2, match_distance_m=0.0).pairs) == 4


def test_an_unseen_object_is_aligned_but_no_text_about_it_is_learnt() -> None:
    outputs = perfect_outputs(TARGETS)
    with torch.no_grad():
        outputs.agent_logits_LBQC[:, 0, 3] = -3.0
    found = scenes_of(outputs, [texts(*[TextItem(Task.CAPTION, "what?")] * 3)] * 2)
    row = next(pair.row for pair in found.pairs if pair.scene == 0 and pair.caption == "object 3")
    assert found.known_BA[0, row] and not found.seen_BA[0, row] and int(found.query_ids_BA[0, row]) == 3
    assert "object 3" not in [sample.answer for sample in found.samples if sample.scene == 0]


def test_online_answers_are_the_drivers_own_words() -> None:
    outputs = without_gradient(perfect_outputs(TARGETS))
    items = [TextItem(task, "?", pick=0.5) for task in (Task.COUNT, Task.PLAN, Task.POSITION, Task.MOTION)]
    found = scenes_of(outputs, [texts(*items)] * 2)
    assert len(found.samples) == 8
    for sample in found.samples:
        agents = agents_of_sample(CONFIG, outputs, sample.scene)
        plan_T2 = outputs.plan_offsets_B3T2[sample.scene, int(TARGETS[sample.scene].command)].detach().cumsum(0).numpy()
        row = -1
        if sample.focus >= 0:
            row = agents.query_ids.tolist().index(int(found.query_ids_BA[sample.scene, sample.focus]))
        assert sample.answer == online_answer(sample.task, agents, plan_T2, row)
        assert (sample.focus >= 0) == (sample.task in (Task.POSITION, Task.MOTION))
    told = {(s.scene, s.focus): place for place, s in enumerate(found.samples) if s.task is Task.MOTION}
    motions = {(pair.scene, pair.row): pair for pair in found.pairs if pair.sample >= 0}
    assert {key: pair.sample for key, pair in motions.items()} == told
    assert all(pair.motion == found.samples[pair.sample].answer for pair in motions.values())


def test_frames_know_their_explanation_and_the_text_that_says_it() -> None:
    outputs = perfect_outputs(TARGETS)
    question = TextItem(Task.QUESTION, "how many?", "2")
    said = [texts(question, TextItem(Task.EXPLANATION, "why?", "Narration: it goes. Reasoning: so.")), FrameTexts()]
    found = scenes_of(outputs, said)
    assert found.explained_by == [1, -1] and found.explanations == ["Narration: it goes. Reasoning: so.", ""]
    assert [sample.scene for sample in found.samples] == [0, 0]


def test_a_batch_where_nothing_is_detected_and_nothing_said() -> None:
    outputs = perfect_outputs(TARGETS)
    with torch.no_grad():
        outputs.agent_logits_LBQC.fill_(-9.0)
    items = (TextItem(Task.POSITION, "?"), TextItem(Task.CAPTION, "?"))
    found = scenes_of(outputs, [FrameTexts(items)] * 2)
    assert not found.samples and not found.pairs and not found.known_BA.any() and found.known_BA.shape == (2, 1)
