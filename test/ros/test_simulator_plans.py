"""Plans as messages, there and back, and the inbox where they arrive."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory

from aln_p3_core.errors import InvalidFrameError
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.world.planners.planner import EgoPlan, as_sent
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.simulator.plans import PlanInbox, message_from_plan, plan_from_message

COMMAND = RouteCommand(Command.LEFT, CommandProvenance.GIVEN)


def curve(stamp_s: float = 0.15000000000000002, step_s: float = 0.2) -> EgoPlan:
    times = step_s * np.arange(1, 16)
    headings = 0.3 * times
    points = np.stack([8 * times, 0.4 * times**2], axis=1)
    return EgoPlan(stamp_s, times, points, headings)


def sent(stamp_ns: int, x: float = 1.0) -> PlannedTrajectory:
    plan = EgoPlan(0.0, np.array([0.5]), np.array([[x, 0.0]]), np.zeros(1))
    return message_from_plan(plan, stamp_ns, COMMAND, "plan", "test")


def test_a_plan_that_was_sent_is_the_plan_as_sent_to_the_last_bit() -> None:
    plan = curve()
    message = message_from_plan(plan, 150_000_000, COMMAND, "plan-7", "expert")
    back, expected = as_sent(plan_from_message(message, 0.15)), as_sent(plan)
    assert back.stamp_s == expected.stamp_s == 0.15
    for name in ("times_s", "points_ego", "headings_ego"):
        assert getattr(back, name).tobytes() == getattr(expected, name).tobytes(), name
    assert (message.plan_id, message.checkpoint_hash, message.header.frame_id) == ("plan-7", "expert", "base_link")
    assert message.command.command == message.command.LEFT
    assert to_ns(message.header.stamp) == 150_000_000
    # Speed and curvature along the curve.
    assert message.points[3].longitudinal_velocity == pytest.approx(8.0, rel=0.05)
    assert message.points[3].heading_rate == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda m: setattr(m.header, "frame_id", "map"), "frame 'map'"),
        (lambda m: setattr(m, "points", []), "no points"),
        (lambda m: setattr(m, "points", list(reversed(m.points))), "do not rise"),
        (lambda m: setattr(m.points[2].pose.position, "y", float("nan")), "finite numbers"),
        (lambda m: setattr(m.points[2].pose.orientation, "z", float("inf")), "a pose of the trajectory is none"),
        (lambda m: setattr(m.points[2].pose.orientation, "w", 0.1), "a pose of the trajectory is none"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(harm, words) -> None:
    message = message_from_plan(curve(), 0, COMMAND, "plan", "test")
    harm(message)
    with pytest.raises(InvalidFrameError, match=words):
        plan_from_message(message, 0.0)


def test_the_newest_plan_is_taken_once_and_older_ones_are_dropped() -> None:
    inbox = PlanInbox()
    assert inbox.take() is None
    inbox.put(sent(200, 2.0))
    inbox.put(sent(100, 1.0))
    taken = inbox.take()
    assert taken is not None
    assert taken.points[0].pose.position.x == 2.0
    assert inbox.take() is None
    inbox.put(sent(300))
    inbox.clear()
    assert inbox.take() is None
    inbox.put(sent(100))
    assert inbox.take() is not None, "after a new start older stamps count"


def test_waiting_ends_with_the_plan_of_the_instant_and_no_other() -> None:
    inbox = PlanInbox()
    inbox.put(sent(100))
    assert inbox.wait_for(200, 0.01) is None
    threading.Timer(0.05, inbox.put, [sent(200)]).start()
    message = inbox.wait_for(200, 30.0)
    assert message is not None
    assert to_ns(message.header.stamp) == 200
    assert inbox.wait_for(200, 0.01, lambda m: m.degraded == PlannedTrajectory.DEGRADED_STOP) is None
    inbox.put(sent(300))
    started = time.monotonic()
    assert inbox.wait_for(200, 30.0) is None, "it will not come any more"
    assert time.monotonic() - started < 10


def test_closing_ends_the_wait() -> None:
    inbox = PlanInbox()
    threading.Timer(0.05, inbox.close).start()
    started = time.monotonic()
    assert inbox.wait_for(1, 30.0) is None
    assert time.monotonic() - started < 10
