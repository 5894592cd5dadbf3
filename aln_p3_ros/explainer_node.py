"""explainer_node: what the vehicle does and why, in words. A managed (lifecycle) node in a process of its own.

- configure loads the explainer; a failed load fails the transition, is logged and stays in /diagnostics;
- activate subscribes to the driver's tokens, objects and map (never to images), which makes the driver publish tokens;
- the newest plan is explained in a thread of its own, at its own pace; nobody waits for it;
- the service ~/ask answers a question about the scene that the vehicle is in.

Nothing of the driver depends on this node: it may be slow, fail or be killed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aln_p3.msg import PlannedTrajectory, PredictedObjects, SceneTokens, VectorMap
from aln_p3.srv import Ask
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.task import Future

from aln_p3_ros.explaining.explainer_outputs import ExplainerOutputs, ExplainerReport
from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.explaining.model_loading import limit_process, load_speaker
from aln_p3_ros.explaining.scene_inputs import SceneInputs
from aln_p3_ros.explaining.talker import Question, Reply, Speaker, Talker
from aln_p3_ros.managed_node import ManagedNode
from aln_p3_ros.messages.stamps import to_duration, to_time
from aln_p3_ros.qos import overridable, reliable_qos
from aln_p3_ros.spin import spin_node
from aln_p3_ros.topics import TOPICS

#: Characters; reading a question cannot be broken off.
_MAX_QUESTION = 400
#: s; as the parameter of that name. A timer cannot wait for any number.
_MAX_TIME_LIMIT_S = 600.0
#: ns. Clocks that are merely set do not step back as far.
_JUMP_NS = 500_000_000


class ExplainerNode(ManagedNode[ExplainerSettings, ExplainerReport]):
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
        super().__init__("explainer_node", ExplainerSettings, ExplainerReport, "explainer", **kwargs)
        self._speaker_factory = speaker_factory
        self._own_process = own_process
        self._speaker: Speaker | None = None
        self._outputs: ExplainerOutputs | None = None
        self._talker: Talker | None = None
        self._listening: list[Any] = []
        self._jumps: JumpHandle | None = None
        # A question waits for its answer without keeping the executor: its callback is a coroutine, in a group in
        # which other questions may begin meanwhile.
        self.create_service(Ask, "~/ask", self._on_ask, callback_group=ReentrantCallbackGroup())

    def _start_work(self) -> None:
        """Begins to listen to the driver and to speak."""
        assert self._settings and self._speaker and self._outputs
        talker = Talker(
            self._speaker,
            self._settings,
            now_ns=self._now_ns,
            publish=self._outputs.publish,
            log_error=lambda text: self.get_logger().error(text, throttle_duration_sec=2.0),
        )
        inputs = SceneInputs(talker.show, talker.show_stop, talker.show_plan)
        talker.start()
        self._talker = self._report.talker = talker
        self._report.inputs = inputs

        def forget(_: TimeJump) -> None:
            inputs.forget()
            talker.forget()

        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-_JUMP_NS)),
            post_callback=forget,
        )
        # Plan, objects and map are published before the tokens of their plan and are listened to first.
        self._listen(PlannedTrajectory, "trajectory", inputs.add_plan, depth=5, raw=False)
        self._listen(PredictedObjects, "objects", inputs.add_objects, depth=5)
        self._listen(VectorMap, "map", inputs.add_map, depth=5)
        self._listen(SceneTokens, "scene_tokens", inputs.add_tokens, depth=1)

    def _load(self, settings: ExplainerSettings) -> str:
        if self._own_process:
            limit_process(settings.threads, settings.nice)
        self._speaker = self._speaker_factory(settings)
        self._outputs = ExplainerOutputs(self, self._speaker.model_id)
        self._report.speaker = self._speaker
        return f"{self._speaker.description} ({self._speaker.model_id})"

    def _stop_work(self, wait_s: float) -> None:
        while self._listening:
            self.destroy_subscription(self._listening.pop())
        if self._jumps is not None:
            self._jumps.unregister()
            self._jumps = None
        talker, self._talker = self._talker, None
        self._report.talker = self._report.inputs = None
        # Speech is cut off at the next token; a step of the model may take long on a busy machine.
        if talker is not None and not talker.stop(wait_s):
            self.get_logger().error(f"the explainer is still busy after {wait_s:g} s; its words will be discarded")
            self._left_behind = talker

    def _drop(self) -> None:
        self._report.speaker = None
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._speaker = None

    def _apply(self, settings: ExplainerSettings) -> None:
        talker = self._talker
        if talker is not None:
            talker.settings = settings

    def _listen(self, kind: type, key: str, callback: Callable[[Any], None], *, depth: int, raw: bool = True) -> None:
        self._listening.append(
            self.create_subscription(
                kind,
                TOPICS[key].name,
                callback,
                reliable_qos(depth),
                raw=raw,
                qos_overriding_options=overridable(),
            )
        )

    async def _on_ask(self, request: Ask.Request, response: Ask.Response) -> Ask.Response:
        talker, settings = self._talker, self._settings
        limit_s = float(request.time_limit)
        if talker is None or settings is None:
            response.message = "the explainer is not active"
        elif not request.question.strip():
            response.message = "the question is empty"
        elif len(request.question) > _MAX_QUESTION:
            response.message = f"the question has {len(request.question)} characters, at most {_MAX_QUESTION} are read"
        elif not 0 <= limit_s <= _MAX_TIME_LIMIT_S:
            response.message = f"time_limit must be 0 to {_MAX_TIME_LIMIT_S:g} seconds, got {limit_s:g}"
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


def _fill(response: Ask.Response, reply: Reply) -> None:
    response.success = reply.spoken is not None
    response.plan_id = reply.plan_id
    response.stamp = to_time(reply.stamp_ns)
    response.latency = to_duration(round(reply.seconds * 1e9))
    response.message = reply.problem or "; ".join(reply.warnings)
    if reply.spoken is not None:
        response.answer = reply.spoken.text
        response.truncated = reply.spoken.truncated


def main(args: list[str] | None = None) -> None:
    """Entry point of the executable `explainer_node`."""
    spin_node("explainer_node", lambda **kwargs: ExplainerNode(own_process=True, **kwargs), args)


if __name__ == "__main__":
    main()
