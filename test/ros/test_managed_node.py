"""Lifecycle requests that do not fit are answered, not fatal; one model has one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from driver_helpers import StraightModel, wait_until
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from speaker_helpers import PlainSpeaker, raw_scene

from aln_p3_ros import managed_node
from aln_p3_ros.driver_node import DriverNode
from aln_p3_ros.explainer_node import ExplainerNode
from aln_p3_ros.managed_node import ManagedNode

IDS = sorted(value for name in dir(Transition) if name.startswith("TRANSITION_")
             and isinstance(value := getattr(Transition, name), int))  # fmt: skip
#: State -> transitions that lead there from the beginning; and number and goal of each that leads out of it.
WAYS: dict[str, tuple[str, ...]] = {
    "unconfigured": (),
    "inactive": ("configure",),
    "active": ("configure", "activate"),
    "finalized": ("unconfigured_shutdown",),
}
EXITS: dict[str, dict[int, str]] = {
    "unconfigured": {1: "inactive", 5: "finalized"},
    "inactive": {2: "unconfigured", 3: "active", 6: "finalized"},
    "active": {4: "inactive", 7: "finalized"},
    "finalized": {},
}


@pytest.fixture
def node(ros_context: Context) -> Iterator[DriverNode]:
    node = DriverNode(driver_factory=StraightModel, context=ros_context)
    yield node
    node.destroy_node()


def ask(node: ManagedNode, number: int = 0, label: str = "") -> bool:
    """What the service does with a request."""
    request = ChangeState.Request(transition=Transition(id=number, label=label))
    return bool(node._service_change_state.callback(request, ChangeState.Response()).success)


def state_of(node: ManagedNode) -> str:
    return str(node._state_machine.current_state[1])


def lead_to(node: ManagedNode, state: str) -> None:
    for transition in WAYS[state]:
        assert ask(node, getattr(Transition, f"TRANSITION_{transition.upper()}"))
    assert state_of(node) == state


@pytest.mark.parametrize("state", list(WAYS))
def test_a_transition_that_does_not_fit_the_state_is_refused(node: DriverNode, state: str) -> None:
    lead_to(node, state)
    for number in [*IDS, 99]:
        if number not in EXITS[state]:
            assert not ask(node, number), number
            assert state_of(node) == state
    assert not ask(node, label="no such transition") and state_of(node) == state


@pytest.mark.parametrize(
    ("state", "number", "goal"), [(state, *item) for state, goals in EXITS.items() for item in goals.items()]
)
def test_a_transition_that_fits_the_state_is_made(node: DriverNode, state: str, number: int, goal: str) -> None:
    lead_to(node, state)
    assert ask(node, number) and state_of(node) == goal


def test_a_label_counts_more_than_a_number(node: DriverNode) -> None:
    lead_to(node, "inactive")
    assert not ask(node, number=3, label="deactivate")
    assert ask(node, number=4, label="activate") and state_of(node) == "active"


def test_a_model_that_is_still_busy_gets_no_second_thread(node: DriverNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_node, "_STOP_WAIT_S", 0.05)
    lead_to(node, "active")
    gate, old = threading.Event(), node._loop.worker
    old._work = lambda job: gate.wait(60.0)
    old.submit(object())
    wait_until(lambda: old.busy_s, "the model at work")
    assert ask(node, Transition.TRANSITION_DEACTIVATE)
    assert not ask(node, Transition.TRANSITION_ACTIVATE)
    assert state_of(node) == "inactive" and node._loop is None
    assert "still busy" in node._report._statuses(None, 0)[0].message, "said in diagnostics"
    gate.set()
    wait_until(lambda: not old.alive, "the end of the old thread")
    assert ask(node, Transition.TRANSITION_ACTIVATE) and state_of(node) == "active"
    assert node._report.failure == ""


def test_nor_does_an_explainer_that_is_still_busy(ros_context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_node, "_STOP_WAIT_S", 0.05)
    speaker = PlainSpeaker()
    node = ExplainerNode(speaker_factory=lambda settings: speaker, context=ros_context)
    try:
        lead_to(node, "active")
        speaker.deaf = True
        speaker.gate.clear()
        old = node._talker
        old.show(raw_scene(node._now_ns()))
        wait_until(lambda: speaker.scenes, "the beginning")
        assert ask(node, Transition.TRANSITION_DEACTIVATE)
        assert not ask(node, Transition.TRANSITION_ACTIVATE) and state_of(node) == "inactive"
        speaker.gate.set()
        wait_until(lambda: not old.alive, "the end of the old thread")
        assert ask(node, Transition.TRANSITION_ACTIVATE)
    finally:
        speaker.gate.set()
        node.destroy_node()
