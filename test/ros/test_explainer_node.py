"""explainer_node over real ROS 2 topics: tokens in, words out, questions and answers, and its managed life."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aln_p3.msg import Explanation, PlannedTrajectory, PredictedObjects, SceneTokens, VectorMap
from aln_p3.srv import Ask
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from driver_helpers import Spinner, change_state, driver_test, values, wait_until
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from speaker_helpers import DRIVER_HASH, PlainSpeaker, rich_scene, save_tiny_explainer, scene_messages
from test_driver_process import parameters as arguments
from test_driver_process import process

from aln_p3_core.errors import CheckpointError
from aln_p3_ros.explainer_node import ExplainerNode
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.qos import reliable_qos
from aln_p3_ros.topics import TOPICS


class DriverSide(Node):
    """Publishes what a driver publishes, listens to what the explainer says, and asks."""

    def __init__(self, context: Context) -> None:
        super().__init__("driver_side", context=context)
        self.outlets = {
            kind: self.create_publisher(kind, TOPICS[key].name, reliable_qos())
            for key, kind in (
                ("trajectory", PlannedTrajectory), ("objects", PredictedObjects), ("map", VectorMap),
                ("scene_tokens", SceneTokens),
            )
        }  # fmt: skip
        self.said: list[Explanation] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.create_subscription(Explanation, TOPICS["explanation"].name, self.said.append, reliable_qos())
        self.create_subscription(DiagnosticArray, TOPICS["diagnostics"].name, self._note, reliable_qos(100))
        self.asking = self.create_client(Ask, "explainer_node/ask")
        self.plans = 0

    def plan(self, stamp_ns: int, plan_id: str, degraded: int, *reasons: str) -> None:
        """Publishes a plan, of which the explainer reads no points."""
        message = PlannedTrajectory(plan_id=plan_id, degraded=degraded, degraded_reasons=list(reasons))
        message.header.stamp = to_time(stamp_ns)
        self.outlets[PlannedTrajectory].publish(message)

    def stop(self, *reasons: str) -> None:
        """Declares a stop."""
        self.plan(int(self.get_clock().now().nanoseconds), "stop", PlannedTrajectory.DEGRADED_STOP, *reasons)

    def send(
        self,
        *,
        without: type | None = None,
        stamp_ns: int | None = None,
        degraded: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> str:
        """Publishes a plan and its scene, seen a little while ago; returns the id of the plan."""
        self.plans += 1
        plan_id = f"run-{self.plans}"
        stamp_ns = int(self.get_clock().now().nanoseconds) - 50_000_000 if stamp_ns is None else stamp_ns
        tokens, objects, vector_map = scene_messages(rich_scene(), plan_id, stamp_ns=stamp_ns, **kwargs)
        level = PlannedTrajectory.DEGRADED_REDUCED if degraded else PlannedTrajectory.DEGRADED_NONE
        if without is not PlannedTrajectory:
            self.plan(stamp_ns, plan_id, level, *degraded)
        for message in (objects, vector_map, tokens):
            if type(message) is not without:
                self.outlets[type(message)].publish(message)
        return plan_id

    def connected(self) -> bool:
        """Whether the explainer listens."""
        return all(outlet.get_subscription_count() for outlet in self.outlets.values())

    def ask(self, question: str, time_limit: float = 0.0) -> Ask.Response:
        """Asks and waits for the answer."""
        wait_until(self.asking.service_is_ready, "the service")
        future = self.asking.call_async(Ask.Request(question=question, time_limit=time_limit))
        wait_until(future.done, "the answer")
        return future.result()

    def _note(self, array: DiagnosticArray) -> None:
        for status in array.status:
            self.statuses[status.name.removeprefix("explainer_node: ")] = status


class ExplainerTest:
    """The explainer node and the driver's side, spinning in one executor."""

    def __init__(self, context: Context, factory: Any = None, **settings: Any) -> None:
        self.speaker = PlainSpeaker()
        given = {"diagnostics_rate_hz": 20.0, "max_age_s": 100.0, **settings}
        self.node = ExplainerNode(
            **({} if factory == "real" else {"speaker_factory": factory or (lambda _: self.speaker)}),
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        )
        self.driver = DriverSide(context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(self.node)
        executor.add_node(self.driver)
        self._spinner = Spinner(executor)

    def change(self, transition: str) -> bool:
        return change_state(self.driver, transition, "explainer_node")

    def activate(self) -> None:
        assert self.change("configure")
        assert self.change("activate")
        wait_until(self.driver.connected, "subscriptions")

    def explained(self, plan_id: str) -> Explanation | None:
        return next((message for message in self.driver.said if message.plan_id == plan_id), None)

    def status(self, part: str, condition: Any) -> DiagnosticStatus:
        """The status of a part, once it fulfils a condition."""
        statuses = self.driver.statuses
        wait_until(lambda: part in statuses and condition(statuses[part]), f"the status of {part}")
        return statuses[part]

    def close(self) -> None:
        self.speaker.gate.set()
        self._spinner.stop()
        self.node.destroy_node()
        self.driver.destroy_node()


@contextmanager
def explainer_test(context: Context, *args: Any, **kwargs: Any) -> Iterator[ExplainerTest]:
    test = ExplainerTest(context, *args, **kwargs)
    try:
        yield test
    finally:
        test.close()


def test_tokens_become_words_about_their_plan(ros_context: Context) -> None:
    with explainer_test(ros_context, captions=3) as test:
        test.activate()
        plan_id = test.driver.send()
        said = wait_until(lambda: test.explained(plan_id), "an explanation")
        assert (said.kind, said.question) == (Explanation.KIND_EXPLANATION, "")
        assert (said.narration, said.reasoning) == ("the car goes straight", "the road is free")
        assert said.text.startswith("Narration:") and said.model_id == test.speaker.model_id
        assert said.consistency == Explanation.CONSISTENT and not said.contradictions and not said.truncated
        assert to_ns(said.latency) == 250_000_000 and to_ns(said.age) >= 50_000_000
        assert said.header.frame_id == "base_link"
        best = rich_scene().agents.query_ids[:3].tolist()
        assert said.caption_query_ids.tolist() == best and said.captions == [f"object {query}" for query in best]
        speaking = test.status("speaking", lambda s: values(s)["explained"] == "1")
        assert speaking.level == DiagnosticStatus.OK and values(speaking)["plan_id"] == plan_id
        assert values(speaking)["errors"] == "0" and float(values(speaking)["age_s"]) > 0
        assert "ms a text" in test.status("latency", lambda s: "total_ms" in values(s)).message
        assert values(test.status("model", lambda s: True))["model_id"] == test.speaker.model_id
        test.speaker.contradictions = ("says it stops, the plan goes on",)
        plan_id = test.driver.send()
        said = wait_until(lambda: test.explained(plan_id), "another explanation")
        assert said.consistency == Explanation.CONTRADICTS
        assert said.contradictions == ["says it stops, the plan goes on"]


def test_only_what_is_whole_and_of_this_driver_is_explained(ros_context: Context) -> None:
    with explainer_test(ros_context, captions=0, check=False) as test:
        test.activate()
        test.status("speaking", lambda s: "no scene tokens" in s.message)
        test.driver.send(without=VectorMap)
        test.status("speaking", lambda s: s.level == DiagnosticStatus.WARN and "map" in s.message)
        test.driver.send(without=PlannedTrajectory)
        test.status("speaking", lambda s: s.level == DiagnosticStatus.WARN and "trajectory" in s.message)
        test.driver.outlets[SceneTokens].publish(b"\0\1\0")
        test.status("speaking", lambda s: "scene tokens that cannot be read: 3 bytes end" in s.message)
        test.driver.send(checkpoint_hash="of another driver")
        refused = test.status("speaking", lambda s: s.level == DiagnosticStatus.ERROR)
        assert "of another driver" in refused.message and DRIVER_HASH in refused.message
        plan_id = test.driver.send()
        said = wait_until(lambda: test.explained(plan_id), "an explanation")
        assert said.consistency == Explanation.NOT_CHECKABLE and not said.captions
        assert [message.plan_id for message in test.driver.said] == [plan_id]
        test.status("speaking", lambda s: s.level == DiagnosticStatus.OK)


def test_a_question_is_answered_while_the_node_goes_on(ros_context: Context) -> None:
    with explainer_test(ros_context) as test:
        assert "not active" in test.driver.ask("anybody there?").message
        test.activate()
        assert "no scene" in test.driver.ask("how many cars?").message
        plan_id = test.driver.send()
        wait_until(lambda: test.explained(plan_id), "an explanation")
        for question, limit, word in (
            ("", 0.0, "empty"),
            ("who?", -1.0, "0 to 600 seconds"),
            ("who?", float("nan"), "nan"),
        ):
            response = test.driver.ask(question, limit)
            assert not response.success and word in response.message
        response = test.driver.ask("how many cars?")
        assert response.success and response.answer == "two, as to how many cars?" and not response.truncated
        assert response.plan_id == plan_id and to_ns(response.stamp) > 0 and to_ns(response.latency) > 0
        told = wait_until(lambda: [m for m in test.driver.said if m.kind == Explanation.KIND_ANSWER], "the answer")[0]
        assert (told.question, told.text, told.narration) == ("how many cars?", response.answer, "")
        # While the answer is waited for, the executor goes on with everything else, another question included.
        test.speaker.gate.clear()
        first = test.driver.asking.call_async(Ask.Request(question="first?", time_limit=100.0))
        second = test.driver.asking.call_async(Ask.Request(question="second?", time_limit=0.1))
        wait_until(second.done, "the end of the second question's time")
        assert not second.result().success and "time limit of 0.1 s" in second.result().message
        test.driver.statuses.clear()
        test.status("model", lambda s: True)
        assert not first.done()
        test.speaker.gate.set()
        wait_until(first.done, "the first answer")
        assert first.result().success and "first?" in first.result().answer
        long = test.driver.ask("how many cars? " * 100)
        assert not long.success and "has 1500 characters, at most 400" in long.message
        assert "0 to 600 seconds" in test.driver.ask("ever?", 3e38).message, "no timer waits as long"
        test.speaker.gate.clear()
        cut = test.driver.ask("and now?", 0.2)
        assert cut.success and cut.truncated and cut.answer == "two"


def test_a_stop_and_a_degraded_plan_are_told(ros_context: Context) -> None:
    with explainer_test(ros_context) as test:
        test.activate()
        plan_id = test.driver.send(degraded=("CAM_BACK is missing",))
        said = wait_until(lambda: test.explained(plan_id), "an explanation")
        assert list(said.warnings) == ["the plan is degraded: CAM_BACK is missing"]
        response = test.driver.ask("how many cars?")
        assert response.success and response.message == "the plan is degraded: CAM_BACK is missing"
        test.driver.stop("no images come", "the speed is unknown")
        wait_until(lambda: test.node._talker._stop_reasons, "the stop")
        response = test.driver.ask("why do you stop?")
        assert not response.success
        assert response.message == "the driver has declared a stop: no images come; the speed is unknown"
        plan_id = test.driver.send()
        said = wait_until(lambda: test.explained(plan_id), "the first words after it")
        assert not said.warnings


def test_diagnostics_say_that_it_fails_and_that_nothing_comes(ros_context: Context) -> None:
    with explainer_test(ros_context, max_age_s=1.0) as test:
        test.activate()
        plan_id = test.driver.send()
        wait_until(lambda: test.explained(plan_id), "an explanation")
        test.status("speaking", lambda s: s.level == DiagnosticStatus.WARN and "the last scene tokens are" in s.message)
        test.speaker.error = RuntimeError("out of memory")
        test.driver.send()
        failing = test.status("speaking", lambda s: s.level == DiagnosticStatus.ERROR)
        assert failing.message == "speaking failed: RuntimeError: out of memory"
        test.speaker.error = None
        test.driver.send()
        test.status("speaking", lambda s: s.level != DiagnosticStatus.ERROR)


def test_a_clock_that_starts_over_leaves_nothing_to_speak_of(ros_context: Context) -> None:
    """As a clip that is played again: what was seen in its first round is no answer in the second."""
    with explainer_test(ros_context, use_sim_time=True) as test:
        clock = test.driver.create_publisher(Clock, "/clock", reliable_qos())
        now = test.node.get_clock().now

        def at(seconds: float) -> int:
            clock.publish(Clock(clock=to_time(round(seconds * 1e9))))
            wait_until(lambda: now().nanoseconds == round(seconds * 1e9), "the clock")
            return round(seconds * 1e9)

        test.activate()
        test.status("speaking", lambda s: "nobody publishes /clock" in s.message)
        wait_until(clock.get_subscription_count, "the clock's listener")
        plan_id = test.driver.send(stamp_ns=at(1000.0))
        wait_until(lambda: test.explained(plan_id), "an explanation")
        at(500.0)
        test.status(
            "speaking", lambda s: s.level == DiagnosticStatus.WARN and "since the clock jumped back" in s.message
        )
        at(1001.0)
        assert "no scene has come yet" in test.driver.ask("how many cars?").message
        plan_id = test.driver.send(stamp_ns=at(1010.0) + 5_000_000_000)
        test.status("speaking", lambda s: "5.0 s in the future" in s.message)
        plan_id = test.driver.send(stamp_ns=at(1020.0))
        wait_until(lambda: test.explained(plan_id), "words of the new time")


def test_a_deactivated_node_is_silent_and_can_speak_again(ros_context: Context) -> None:
    with explainer_test(ros_context) as test:
        test.activate()
        test.speaker.gate.clear()
        test.driver.send()
        wait_until(lambda: test.speaker.scenes, "the beginning")
        asked = test.driver.asking.call_async(Ask.Request(question="still there?", time_limit=100.0))
        wait_until(lambda: test.node._talker.state.gave_way, "the question")
        assert test.change("deactivate")
        wait_until(asked.done, "the end of the question")
        assert not asked.result().success and "stopped" in asked.result().message
        wait_until(lambda: not test.driver.connected(), "the end of the subscriptions")
        assert not test.driver.said
        test.speaker.gate.set()
        assert test.change("activate")
        wait_until(test.driver.connected, "subscriptions")
        plan_id = test.driver.send()
        wait_until(lambda: test.explained(plan_id), "an explanation")
        assert test.change("deactivate") and test.change("cleanup")
        test.status("model", lambda s: s.message == "not configured")


def test_live_parameters_are_taken_over_and_others_refused(ros_context: Context) -> None:
    with explainer_test(ros_context) as test:
        test.activate()

        def change(name: str, value: object) -> str:
            return test.node.set_parameters([Parameter(name, value=value)])[0].reason

        assert "clean up" in change("threads", 2)
        assert "0.1" in change("max_age_s", 0.0)
        assert change("captions", 1) == ""
        plan_id = test.driver.send()
        said = wait_until(lambda: test.explained(plan_id), "an explanation")
        assert len(said.captions) == 1


def test_an_explainer_that_cannot_be_loaded_is_told_of(ros_context: Context, tmp_path: Path) -> None:
    def fails(_: Any) -> Any:
        raise CheckpointError("no explainer 'nano' ships with this release")

    with explainer_test(ros_context, fails) as test:
        assert not test.change("configure")
        failed = test.status("model", lambda s: s.level == DiagnosticStatus.ERROR)
        assert "no explainer 'nano' ships" in failed.message
    with explainer_test(ros_context, "real", explainer=str(tmp_path / "gone.safetensors")) as test:
        assert not test.change("configure")
        assert "gone.safetensors" in test.status("model", lambda s: s.level == DiagnosticStatus.ERROR).message


@pytest.mark.slow
def test_a_killed_explainer_leaves_the_driver_alone(ros_context: Context, tmp_path: Path) -> None:
    """A real explainer in a process of its own speaks and answers beside a driver, and is killed while it speaks."""
    # The tokens of the test's driver: four wide, 50 x 50 cells after pooling.
    path = save_tiny_explainer(tmp_path, driver_width=4, bev_shape=(50, 50))
    settings = {"explainer": str(path), "use_sim_time": "true", "max_age_s": 600.0, "nice": 3, "max_new_tokens": 8}
    manager = ("aln_p3_ros.lifecycle_manager", "-p", "nodes:=['explainer_node']", "-p", "watch_period_s:=0.0")
    with driver_test(ros_context, parameters={"tokens_rate_hz": 50.0}) as test:
        test.activate()
        test.listener.listen("explanation", Explanation)
        said = test.listener.received["explanation"]
        with process("aln_p3_ros.explainer_node", *arguments(settings)) as explainer, process(*manager):
            wait_until(lambda: test.node.count_subscribers("/driver/scene_tokens"), "the explainer", 400.0)
            assert explainer.poll() is None
            assert os.getpriority(os.PRIO_PROCESS, explainer.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 3 or (
                os.getpriority(os.PRIO_PROCESS, explainer.pid) == 3
            )

            def explained() -> bool:
                test.drive()
                return bool(said)

            wait_until(explained, "an explanation", 400.0)
            plans = {message.plan_id: message for message in test.listener.received["trajectory"]}
            assert to_ns(said[0].header.stamp) == to_ns(plans[said[0].plan_id].header.stamp)
            assert said[0].truncated and said[0].text and said[0].model_id.startswith("tiny ")
            client = test.listener.create_client(Ask, "explainer_node/ask")
            wait_until(client.service_is_ready, "the service")
            future = client.call_async(Ask.Request(question="Is there a car?", time_limit=100.0))
            wait_until(future.done, "the answer")
            assert future.result().success and future.result().answer
            test.drive()
            explainer.send_signal(signal.SIGKILL)
            explainer.wait()
        before = len(test.listener.received["trajectory"])
        for _ in range(5):
            trajectory = test.drive()
            assert trajectory.degraded == 0, trajectory.degraded_reasons
        assert len(test.listener.received["trajectory"]) >= before + 5
