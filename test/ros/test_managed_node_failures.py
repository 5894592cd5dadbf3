"""What every managed node does about its own failures: it says why, and lives on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from driver_helpers import WAIT_S, StraightModel
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from aln_p3_ros.driver_node import DriverNode
from aln_p3_ros.managed_node import HealthReport, ManagedNode, RCLError
from aln_p3_ros.parameters import setting
from aln_p3_ros.topics import TOPICS

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
INACTIVE = "inactive"


@dataclass(frozen=True)
class Settings:
    diagnostics_rate_hz: float = setting(50.0, "Rate of /diagnostics, Hz.")
    hardware_id: str = setting("test", "Hardware id in diagnostics.")


class Report(HealthReport[Settings]):
    def _statuses(self, settings: Settings | None, now_ns: int) -> list[DiagnosticStatus]:
        return [self._status("all", b"\x00", self.failure or self.doing, {})]


class Worker(ManagedNode[Settings, Report]):
    """Starts when `broken` is "", stops unless `burst` has words for it, and notes what it is asked for."""

    def __init__(self, **kwargs: Any) -> None:
        self.broken = ""
        self.burst: list[str] = []
        self.asked: list[str] = []
        super().__init__("worker", Settings, Report, "thing", **kwargs)

    def _load(self, settings: Settings) -> str:
        return "a thing"

    def _start_work(self) -> None:
        self.asked.append("start")
        if self.broken:
            raise ValueError(self.broken)

    def _stop_work(self, wait_s: float) -> None:
        self.asked.append("stop")
        if self.burst:
            raise RuntimeError(self.burst.pop())

    def _drop(self) -> None:
        self.asked.append("drop")

    def _apply(self, settings: Settings) -> None:
        return


@pytest.fixture
def worker(ros_context: Context) -> Iterator[Worker]:
    node = Worker(context=ros_context)
    yield node
    node.destroy_node()


def test_a_node_that_cannot_be_activated_stays_inactive_and_says_why(worker: Worker) -> None:
    assert worker.trigger_configure() == SUCCESS
    worker.broken = "no such quality"
    assert worker.trigger_activate() == FAILURE
    assert worker._state_machine.current_state[1] == INACTIVE
    assert worker._report.failure == "activate failed: ValueError: no such quality"
    # What it loaded stays, what it had begun ends.
    assert worker.asked == ["start", "stop"]
    worker.broken = ""
    assert worker.trigger_activate() == SUCCESS
    assert worker._report.failure == "" and worker._report.doing == "active"


@pytest.mark.parametrize("transition", ["deactivate", "cleanup"])
def test_an_error_on_the_way_down_is_told_and_leaves_the_node_unconfigured(worker: Worker, transition: str) -> None:
    assert worker.trigger_configure() == SUCCESS
    if transition == "deactivate":
        assert worker.trigger_activate() == SUCCESS
    worker.burst = ["a handle is gone"]
    assert getattr(worker, f"trigger_{transition}")() == TransitionCallbackReturn.ERROR
    assert worker._state_machine.current_state[1] == "unconfigured"
    assert worker._report.failure == f"{transition} failed: RuntimeError: a handle is gone"
    assert worker.asked[-1] == "drop"
    assert worker.trigger_configure() == SUCCESS and worker._report.failure == ""


def test_one_failed_report_does_not_end_the_reports(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    fail = iter([TypeError("None"), RCLError("a failed publication")])

    def publish(settings: Settings | None, now_ns: int) -> None:
        if error := next(fail, None):
            raise error
        told.set()

    monkeypatch.setattr(worker._report, "publish", publish)
    assert told.wait(WAIT_S)


def test_a_misspelt_quality_of_service_is_told(ros_context: Context) -> None:
    topic = TOPICS["camera_compressed"].name.format(camera="cam_back")
    override = Parameter(f"qos_overrides.{topic}.subscription.reliability", value="relaible")
    node = DriverNode(
        driver_factory=lambda settings: StraightModel(), context=ros_context, parameter_overrides=[override]
    )
    try:
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == FAILURE
        assert node._state_machine.current_state[1] == INACTIVE
        assert node._report.failure.startswith("activate failed:") and "relaible" in node._report.failure
        assert node._loop is None
        [status, *_] = node._report._statuses(node._settings, 0)
        assert status.level == DiagnosticStatus.ERROR and status.message == node._report.failure
    finally:
        node.destroy_node()
