from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from consistency_helpers import made_agents, made_plan, made_scene

from aln_p3_core.evaluation.language.intervention import (
    NamedScene,
    cells_under_box,
    flip_commands,
    mask_causes,
    said_direction,
    with_plan,
    without_agent,
)
from aln_p3_core.explainer.plan_motion import plan_motion
from aln_p3_core.explainer.scene_context import SceneContext, context_from_scene
from aln_p3_core.explainer.settings import EXPLAINERS, ExplainerConfig
from aln_p3_core.explainer.tasks import Answer, Prompt, Task, explanation_answer

_RANGE = (-15.0, -30.0, 15.0, 30.0)
_PLANS = (made_plan(6.0, turned=-1.2), made_plan(6.0, turned=1.2), made_plan(6.0))
_CAR, _BUS, _FAR = ("car", 0.0, 12.0, 0.0, 0.0), ("bus", 0.5, 20.0, 0.0, 0.0), ("truck", 9.0, -20.0, 0.0, 0.0)


class RuleSpeaker:
    """Says where the plan in its context turns and names the first agent that is there: what a good explainer does.

    A `blind` one says the same of every scene.
    """

    def __init__(self, *, blind: bool = False) -> None:
        self.config: ExplainerConfig = replace(EXPLAINERS["nano"], max_agents=4)
        self.blind = blind
        self.batches: list[int] = []

    def generate(self, context: SceneContext, prompts: Sequence[Prompt], *, max_new_tokens: int = 64) -> list[Answer]:
        assert all(prompt.task is Task.EXPLANATION and prompt.focus == -1 for prompt in prompts)
        self.batches.append(len(prompts))
        return [Answer(self._say(context, prompt.scene), False) for prompt in prompts]

    def _say(self, context: SceneContext, scene: int) -> str:
        turned = plan_motion(context.plan_BT2[scene].numpy(), None, 0.5).turned
        rows = context.agent_valid_BA[scene].nonzero()[:, 0].tolist()
        first = 0 if self.blind else next((int(context.agents_BAD[scene, row, 0]) - 1 for row in rows), -1)
        if self.blind or abs(turned) < 0.3:
            narration = "the car keeps its speed"
        else:
            narration = f"the car turns {'left' if turned > 0 else 'right'}"
        reason = {0: "a car has stopped ahead", 1: "a bus has stopped ahead"}.get(first, "the road ahead is clear")
        return explanation_answer(narration, f"because {reason}")


def scenes(count: int = 4) -> list[NamedScene]:
    agents = made_agents(_CAR, _BUS, _FAR)
    return [NamedScene(f"drive-{i % 2}", made_scene(agents, _PLANS, token=f"scene-{i}"), 6.0) for i in range(count)]


def test_who_reads_the_scene_changes_the_text_with_its_cause() -> None:
    found = mask_causes(RuleSpeaker(), scenes())
    assert found.changed.mean == found.unnamed.mean == 1.0
    assert found.control_changed.mean == found.control_unnamed.mean == 0.0
    assert found.changed_more.mean == found.unnamed_more.mean == 1.0 == found.unnamed_more.low
    assert found.scenes == len(found.texts) == 4
    assert found.as_json()["changed"] == {"mean": 1.0, "low": 1.0, "high": 1.0} and found.as_json()["texts"] == 4
    one = found.texts[0]
    assert (one.row, "car" in one.text, "bus" in one.masked) == (0, True, True)
    assert one.control_row in (1, 2) and one.control == one.text


def test_who_says_what_is_usually_said_does_not() -> None:
    found = mask_causes(RuleSpeaker(blind=True), scenes(), form="bev")
    assert found.changed.mean == found.unnamed.mean == found.changed_more.mean == 0.0
    flipped = flip_commands(RuleSpeaker(blind=True), scenes())
    assert (flipped.before.mean, flipped.follows.mean, flipped.together.mean, flipped.changed.mean) == (1, 0, 0, 0)


def test_scenes_without_a_named_agent_or_another_one_are_left_out() -> None:
    alone = [NamedScene("a", made_scene(made_agents(_CAR), _PLANS))]
    elsewhere = [NamedScene("a", made_scene(made_agents(_FAR, _FAR), _PLANS))]
    doubtful = [NamedScene("a", made_scene(made_agents(_CAR, _FAR, score=0.1), _PLANS))]
    for nothing in (alone, elsewhere, doubtful):
        found = mask_causes(RuleSpeaker(), nothing)
        assert found.texts == () and found.scenes == 1 and np.isnan(found.changed.mean)


def test_a_free_road_names_nobody_though_somebody_is_there() -> None:
    class Careless(RuleSpeaker):
        def _say(self, context: SceneContext, scene: int) -> str:
            return explanation_answer("the car keeps its speed", "because the road ahead is free")

    assert not mask_causes(Careless(), scenes()).texts


def test_the_control_is_the_same_in_every_run_and_texts_come_in_batches() -> None:
    speaker = RuleSpeaker()
    rows = [text.control_row for text in mask_causes(speaker, scenes(9), batch=4).texts]
    assert rows == [text.control_row for text in mask_causes(RuleSpeaker(), scenes(9)).texts]
    assert set(rows) == {1, 2} and speaker.batches == [4, 4, 1, 4, 4, 4, 4, 2]


def test_a_flipped_command_is_followed() -> None:
    found = flip_commands(RuleSpeaker(), scenes())
    assert (found.before.mean, found.follows.mean, found.together.mean, found.changed.mean) == (1, 1, 1, 1)
    one = found.texts[0]
    assert (one.plan, one.said, abs(one.other_plan), one.said_flipped) == (0, 0, 1, one.other_plan)
    same = [NamedScene("a", made_scene(made_agents(_CAR), (made_plan(6.0),) * 3))]
    assert flip_commands(RuleSpeaker(), same).texts == ()


def test_a_masked_agent_is_gone_from_the_context_and_nothing_else() -> None:
    scene = scenes(1)[0].scene
    context = context_from_scene(scene, RuleSpeaker().config)
    masked = without_agent(context, 1)
    assert masked.agent_valid_BA.tolist() == [[True, False, True]] and context.agent_valid_BA.all()
    for name in ("agents_BAD", "motion_BAM2D", "agent_boxes_BA10"):
        now, before = getattr(masked, name), getattr(context, name)
        assert not now[0, 1].any() and torch.equal(now[0, [0, 2]], before[0, [0, 2]]) and before[0, 1].any(), name
    assert torch.equal(masked.bev_BRSD, context.bev_BRSD) and torch.equal(masked.plan_BT2, context.plan_BT2)
    harder = without_agent(context, 0, form="bev")
    changed = (harder.bev_BRSD != context.bev_BRSD).any(dim=-1)[0]
    # A car 12 m ahead, 2 m by 4 m: cells are 2.5 m by 3 m.
    assert changed.nonzero().tolist() == [[13, 5], [13, 6], [14, 5], [14, 6]]
    torch.testing.assert_close(harder.bev_BRSD[0, 13, 5], context.bev_BRSD[0].mean(dim=(0, 1)))


@pytest.mark.parametrize("heading", [0.0, 0.7, np.pi / 2, 2.5, -1.0])
def test_cells_under_a_turned_box(heading: float) -> None:
    box = np.array([2.0, 8.0, 0.0, 6.0, 2.0, 1.5, np.sin(heading), np.cos(heading), 0.0, 0.0])
    rows, columns = cells_under_box(box, (120, 60), _RANGE)
    x, y = -15 + 0.5 * (columns + 0.5), -30 + 0.5 * (rows + 0.5)
    assert 0.25 * len(rows) == pytest.approx(7.0 * 3.0, rel=0.15)
    assert np.mean(x) == pytest.approx(2.0, abs=0.2) and np.mean(y) == pytest.approx(8.0, abs=0.2)
    corner = 2.0 + 3.3 * np.cos(heading), 8.0 + 3.3 * np.sin(heading)
    assert np.hypot(x - corner[0], y - corner[1]).min() < 0.4


def test_small_boxes_and_boxes_outside_the_map() -> None:
    small = np.array([1.2, 3.1, 0.0, 0.1, 0.1, 1.0, 0.0, 1.0, 0.0, 0.0])
    rows, columns = cells_under_box(small, (20, 12), _RANGE)
    assert (rows.tolist(), columns.tolist()) == ([11], [6])
    outside = small.copy()
    outside[:2] = 20.0, 60.0
    assert not len(cells_under_box(outside, (20, 12), _RANGE)[0])


def test_another_plan_takes_the_place_of_the_plan_and_nothing_else() -> None:
    context = context_from_scene(scenes(1)[0].scene, RuleSpeaker().config)
    other = with_plan(context, _PLANS[1])
    torch.testing.assert_close(other.plan_BT2[0], torch.from_numpy(_PLANS[1].astype(np.float32)))
    assert not torch.allclose(other.plan_BT2, context.plan_BT2) and torch.equal(other.agents_BAD, context.agents_BAD)


@pytest.mark.parametrize(
    ("narration", "way"),
    [("the car turns left", 1), ("the car stops in a right curve", -1), ("it goes straight on", 0), ("banana", 0),
     ("the car changes lanes", 0), ("the car changes to the right lane", -1)],
)  # fmt: skip
def test_direction_of_a_text(narration: str, way: int) -> None:
    assert said_direction(explanation_answer(narration, "because it is so")) == way
