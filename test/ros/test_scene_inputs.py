"""What the explainer puts together: the messages of one plan, whatever else comes, or comes damaged."""

from __future__ import annotations

from typing import Any

import pytest
from aln_p3.msg import PlannedTrajectory
from rclpy.serialization import serialize_message
from speaker_helpers import rich_scene, scene_messages

from aln_p3_ros.explaining.scene_inputs import RawScene, SceneInputs, head_of
from aln_p3_ros.messages.stamps import to_time

STAMP_NS = 1_700_000_000_123_456_789


class Heard:
    """Inputs, and what they have handed over."""

    def __init__(self) -> None:
        self.scenes: list[RawScene] = []
        self.stops: list[str] = []
        self.plans: list[int] = []
        self.inputs = SceneInputs(self.scenes.append, self.stops.append, self.plans.append)

    def plan(self, plan_id: str, *reasons: str, stamp_ns: int = STAMP_NS) -> None:
        message = PlannedTrajectory(plan_id=plan_id, degraded=int(bool(reasons)), degraded_reasons=list(reasons))
        message.header.stamp = to_time(stamp_ns)
        self.inputs.add_plan(message)

    def ids(self) -> list[str]:
        return [head_of(scene.tokens)[1] for scene in self.scenes]


def data_of(plan_id: str, stamp_ns: int = STAMP_NS, **kwargs: Any) -> list[bytes]:
    """Tokens, objects and map as they arrive."""
    messages = scene_messages(rich_scene(), plan_id, stamp_ns=stamp_ns, **kwargs)
    return [serialize_message(message) for message in messages]


@pytest.mark.parametrize("plan_id", ["", "a", "18f2-1", "18f2c-12345"])
def test_stamp_and_plan_id_are_read_without_unpacking(plan_id: str) -> None:
    for data in data_of(plan_id):
        assert head_of(data) == (STAMP_NS, plan_id)


def test_nothing_is_whole_before_it_is_known_whether_the_plan_is_degraded() -> None:
    """Tokens may overtake their plan, or it may be lost: words about it would not say what it was made without."""
    heard = Heard()
    tokens, objects, vector_map = data_of("a-1")
    heard.inputs.add_objects(objects)
    heard.inputs.add_map(vector_map)
    heard.inputs.add_tokens(tokens)
    assert not heard.scenes and heard.inputs.missing == "trajectory"
    heard.plan("a-1", "CAM_BACK is missing")
    assert heard.ids() == ["a-1"] and heard.scenes[0].degraded == ("CAM_BACK is missing",)
    assert heard.inputs.missing == ""


def test_what_bears_the_same_stamp_is_not_of_the_same_plan() -> None:
    """A clip that is played again, or a driver that starts anew on it, gives the same stamps."""
    heard = Heard()
    tokens, objects, vector_map = data_of("a-1")
    heard.plan("a-1")
    heard.inputs.add_objects(objects)
    heard.inputs.add_map(vector_map)
    heard.inputs.add_tokens(tokens)
    tokens, objects, vector_map = data_of("b-1")
    heard.inputs.add_tokens(tokens)
    assert heard.ids() == ["a-1"] and heard.inputs.missing == "trajectory and objects and map"
    heard.plan("b-1")
    heard.inputs.add_objects(objects)
    heard.inputs.add_map(vector_map)
    assert heard.ids() == ["a-1", "b-1"]
    assert heard.scenes[1].read().tokens.plan_id == "b-1"


@pytest.mark.parametrize("length", [0, 1, 3, 6, 11, 20, 30])
def test_what_ends_too_early_is_counted(length: int) -> None:
    heard = Heard()
    tokens, objects, vector_map = data_of("a-1")
    heard.inputs.add_tokens(tokens[:length])
    heard.inputs.add_objects(objects[:length])
    heard.inputs.add_map(vector_map[:length])
    assert heard.inputs.unreadable == 3 and heard.inputs.problem.startswith("map that cannot be read: ")
    heard.plan("a-1")
    for add, data in ((heard.inputs.add_objects, objects), (heard.inputs.add_map, vector_map)):
        add(data)
    heard.inputs.add_tokens(tokens)
    assert heard.ids() == ["a-1"] and not heard.inputs.problem


def test_a_jump_leaves_nothing_of_the_time_before() -> None:
    heard = Heard()
    tokens, objects, vector_map = data_of("a-1")
    heard.plan("a-1")
    heard.inputs.add_tokens(tokens)
    heard.inputs.add_objects(objects)
    heard.inputs.forget()
    assert heard.inputs.newest_ns == 0 and heard.inputs.received == 1 and not heard.inputs.missing
    heard.inputs.add_map(vector_map)
    assert not heard.scenes


def test_a_declared_stop_has_no_scene() -> None:
    heard = Heard()
    heard.inputs.add_plan(
        PlannedTrajectory(degraded=PlannedTrajectory.DEGRADED_STOP, degraded_reasons=["no images", "no speed"])
    )
    assert heard.stops == ["no images; no speed"] and not heard.plans
