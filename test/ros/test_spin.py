"""A node that cannot be made ends its process with one line of text, one whose callback fails in good order."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from aln_p3.msg import PlannedTrajectory
from driver_helpers import driver_test, wait_until
from rclpy.context import Context
from rclpy.node import Node

from aln_p3_ros import driver_node, spin


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "diagnostics_rate_hz:=0.1"], "diagnostics_rate_hz"),
        (["-p", "max_missing_cameras:=many"], "max_missing_cameras"),
    ],
)
def test_bad_parameters_end_the_process(ros_domain: int, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "aln_p3_ros.driver_node", "--ros-args", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 1
    assert words in result.stderr and "Traceback" not in result.stderr


class BrokenNode(Node):
    """A node whose timer fails."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("broken_node", **kwargs)
        self.ended = False
        self.create_timer(0.01, self._fail)

    def destroy_node(self) -> None:
        self.ended = True
        super().destroy_node()

    def _fail(self) -> None:
        raise ValueError("odd")


@pytest.mark.parametrize("last_words_fail", [False, True])
def test_an_error_in_a_callback_ends_the_node_in_good_order(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], last_words_fail: bool
) -> None:
    monkeypatch.setattr(spin, "call_on_signals", lambda stop: None)
    heard: list[tuple[BrokenNode, bool, str]] = []

    def last_words(node: BrokenNode, error: Exception) -> None:
        heard.append((node, node.ended, str(error)))
        if last_words_fail:
            raise RuntimeError("nor this")

    with pytest.raises(SystemExit) as ended:
        spin.spin_node("broken", BrokenNode, [], on_failure=last_words)
    assert ended.value.code == 1
    ((node, ended_before, text),) = heard
    assert text == "odd" and not ended_before and node.ended
    said = capfd.readouterr().err
    assert "ValueError: odd" in said and ("RuntimeError: nor this" in said) == last_words_fail


def test_the_last_words_of_the_driver_are_a_stop(ros_context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(driver_node, "spin_node", lambda *args, **kwargs: given.update(kwargs))
    driver_node.main()
    with driver_test(ros_context) as test:
        given["on_failure"](test.node, ValueError("odd"))  # not active: there is nothing to say
        test.activate()
        test.drive(2)
        given["on_failure"](test.node, ValueError("odd"))
        stop = wait_until(
            lambda: [m for m in test.listener.received["trajectory"] if m.degraded == PlannedTrajectory.DEGRADED_STOP],
            "the stop",
        )[0]
        assert stop.degraded_reasons[0] == "the node failed: ValueError: odd"


def test_a_model_that_is_still_busy_does_not_abort_the_process(ros_domain: int) -> None:
    script = """
        import torch
        from rclpy.node import Node
        from aln_p3_ros.driving.worker import LatestWorker
        from aln_p3_ros.spin import spin_node

        def work(job):
            while True:
                torch.ones(300, 300) @ torch.ones(300, 300)

        class Busy(Node):
            def __init__(self, **kwargs):
                super().__init__("busy", **kwargs)
                self.worker = LatestWorker(work, lambda job, error: None, "planning")
                self.worker.start()
                self.worker.submit(1)

            def destroy_node(self):
                assert not self.worker.stop(0.1)
                super().destroy_node()

        spin_node("busy", Busy, until=lambda node: node.worker.busy_s > 0.5)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "busy: ended while still busy: planning"
