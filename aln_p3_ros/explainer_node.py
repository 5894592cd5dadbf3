"""explainer_node: what the vehicle does and why, in words. A managed (lifecycle) node in a process of its own.

- configure loads the explainer; a failed load fails the transition, is logged and stays in /diagnostics;
- activate subscribes to the driver's tokens, objects and map (never to images), which makes the driver publish tokens;
- the newest plan is explained in a thread of its own, at its own pace; nobody waits for it;
- the service ~/ask answers a question about the scene that the vehicle is in.

Nothing of the driver depends on this node: it may be slow, fail or be killed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from aln_p3.msg import PredictedObjects, SceneTokens, VectorMap
from aln_p3.srv import Ask
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.task import Future

from aln_p3_core.errors import AlnP3Error
from aln_p3_ros.driving.worker import PeriodicThread
from aln_p3_ros.explaining.explainer_outputs import ExplainerOutputs, ExplainerReport
from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.explaining.model_loading import limit_process, load_speaker
from aln_p3_ros.explaining.scene_inputs import SceneInputs
from aln_p3_ros.explaining.talker import Question, Reply, Speaker, Talker
from aln_p3_ros.messages.stamps import to_duration, to_time
from aln_p3_ros.parameters import SetParametersResult, check_changes, declare_settings, read_settings
from aln_p3_ros.qos import overridable, reliable_qos
from aln_p3_ros.spin import spin_node
from aln_p3_ros.topics import TOPICS

# Speech is cut off at the next token; a step of the model may take this long on a busy machine.
_STOP_WAIT_S, _END_WAIT_S = 30.0, 8.0
RCLError = rclpy_implementation.RCLError
_OK = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE


class ExplainerNode(LifecycleNode):
    """The explainer as a managed node; topics as in `topics.TOPICS`, parameters as in `ExplainerSettings`.

    Args:
        speaker_factory: makes the model from the settings; the real one by default.
        own_process: whether `threads` and `nice` apply: not where a process holds other things as well.
        **kwargs: as for `rclpy.node.Node`.
    """

    def __init__(
        self,
        speaker_factory: Callable[[ExplainerSettings], Speaker] = load_speaker,
        *,
        own_process: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__("explainer_node", **kwargs)
        declare_settings(self, ExplainerSettings)
        self._speaker_factory = speaker_factory
        self._own_process = own_process
        self._settings: ExplainerSettings | None = None
        self._speaker: Speaker | None = None
        self._outputs: ExplainerOutputs | None = None
        self._talker: Talker | None = None
        self._listening: list[Any] = []
        self._report = ExplainerReport(self)
        rate_hz = float(self.get_parameter("diagnostics_rate_hz").value)
        self._reporter = PeriodicThread(self._publish_report, 1.0 / rate_hz, "diagnostics")
        # A question waits for its answer without keeping the executor: its callback is a coroutine, in a group in
        # which other questions may begin meanwhile.
        self.create_service(Ask, "~/ask", self._on_ask, callback_group=ReentrantCallbackGroup())
        self.add_on_set_parameters_callback(self._on_parameters)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the explainer. FAILURE leaves the node unconfigured and says why."""
        self._report.failure = ""
        self._report.doing = "loading the explainer"
        try:
            settings = read_settings(self, ExplainerSettings)
            if self._own_process:
                limit_process(settings.threads, settings.nice)
            self._speaker = self._speaker_factory(settings)
            warnings = getattr(self._speaker, "warnings", ())
            self._outputs = ExplainerOutputs(self, self._speaker.model_id, warnings)
        except Exception as error:
            # Whatever a model file can do wrong must end in words, not in a node that lives on without a model.
            self._release()
            text = str(error) if isinstance(error, AlnP3Error) else f"{type(error).__name__}: {error}"
            self._report.failure = f"configure failed: {text}"
            self._report.doing = ""
            self.get_logger().error(self._report.failure)
            return _FAILURE
        self._settings = settings
        self._report.speaker = self._speaker
        self._report.doing = "configured"
        self.get_logger().info(f"explainer ready: {self._speaker.description} ({self._speaker.model_id})")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to listen to the driver and to speak."""
        assert self._settings and self._speaker and self._outputs
        result = super().on_activate(state)
        if result != _OK:
            return result
        talker = Talker(
            self._speaker,
            self._settings,
            now_ns=self._now_ns,
            publish=self._outputs.publish,
            log_error=lambda text: self.get_logger().error(text, throttle_duration_sec=2.0),
        )
        inputs = SceneInputs(talker.show)
        talker.start()
        self._talker = self._report.talker = talker
        self._report.inputs = inputs
        self._report.doing = "active"
        # Objects and map are published before the tokens of their plan and are listened to first.
        self._listen(PredictedObjects, "objects", inputs.add_objects, depth=5)
        self._listen(VectorMap, "map", inputs.add_map, depth=5)
        self._listen(SceneTokens, "scene_tokens", inputs.add_tokens, depth=1)
        return _OK

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops speaking and listening; the explainer stays loaded."""
        self._stop_talking()
        self._report.doing = "configured"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drops the explainer."""
        self._release()
        self._report.doing = ""
        return _OK

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From any state: stops and drops everything."""
        self._release()
        self._report.doing = "shut down"
        return _OK

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an error in a transition: back to unconfigured."""
        self._release()
        self._report.doing = ""
        return _OK

    def destroy_node(self) -> None:
        """Ends the node's threads first."""
        self._reporter.stop()
        self._stop_talking(_END_WAIT_S)
        super().destroy_node()

    def _listen(self, kind: type, key: str, callback: Callable[[bytes], None], *, depth: int) -> None:
        self._listening.append(
            self.create_subscription(
                kind,
                TOPICS[key].name,
                callback,
                reliable_qos(depth),
                raw=True,
                qos_overriding_options=overridable(),
            )
        )

    def _stop_talking(self, wait_s: float = _STOP_WAIT_S) -> None:
        while self._listening:
            self.destroy_subscription(self._listening.pop())
        talker, self._talker = self._talker, None
        self._report.talker = self._report.inputs = None
        if talker is not None and not talker.stop(wait_s):
            self.get_logger().error(f"the explainer is still busy after {wait_s:g} s; its words will be discarded")

    def _release(self) -> None:
        self._stop_talking()
        self._report.speaker = None
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._speaker = self._settings = None

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    async def _on_ask(self, request: Ask.Request, response: Ask.Response) -> Ask.Response:
        talker, settings = self._talker, self._settings
        limit_s = float(request.time_limit)
        if talker is None or settings is None:
            response.message = "the explainer is not active"
        elif not request.question.strip():
            response.message = "the question is empty"
        elif not (math.isfinite(limit_s) and limit_s >= 0):
            response.message = f"time_limit must be 0 or more seconds, got {limit_s:g}"
        else:
            future: Future = Future()

            def finish(reply: Reply) -> None:
                future.set_result(reply)
                # The executor looks at waiting coroutines when it is awake, not when another thread has finished.
                executor = self.executor
                if executor is not None:
                    executor.wake()

            talker.ask(Question(request.question.strip(), limit_s or settings.ask_time_limit_s, finish))
            _fill(response, await future)
        return response

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        result = check_changes(self, ExplainerSettings, changes, configured=self._settings is not None)
        settings = self._settings
        if not result.successful or settings is None:
            return result
        changed = {change.name: change.value for change in changes if hasattr(settings, change.name)}
        self._settings = dataclasses.replace(settings, **changed)
        talker = self._talker
        if talker is not None:
            talker.settings = self._settings
        return result

    def _publish_report(self) -> None:
        try:
            self._report.publish(self._settings, self._now_ns())
        except RCLError:
            # The context may end at any moment; while it lives, an error is an error.
            if self.context.ok():
                raise


def _fill(response: Ask.Response, reply: Reply) -> None:
    response.success = reply.spoken is not None
    response.plan_id = reply.plan_id
    response.stamp = to_time(reply.stamp_ns)
    response.latency = to_duration(round(reply.seconds * 1e9))
    response.message = reply.problem
    if reply.spoken is not None:
        response.answer = reply.spoken.text
        response.truncated = reply.spoken.truncated


def main(args: list[str] | None = None) -> None:
    """Entry point of the executable `explainer_node`."""
    spin_node("explainer_node", lambda **kwargs: ExplainerNode(own_process=True, **kwargs), args)


if __name__ == "__main__":
    main()
