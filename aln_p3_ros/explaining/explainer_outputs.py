"""What leaves the explainer node, and its health."""

from __future__ import annotations

from aln_p3.msg import Explanation
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode

from aln_p3_core.explainer.speaking import Spoken
from aln_p3_ros.driving import diagnostics
from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.explaining.scene_inputs import HeardScene, SceneInputs
from aln_p3_ros.explaining.talker import AHEAD_S, Speaker, Talker
from aln_p3_ros.managed_node import HealthReport
from aln_p3_ros.messages.explanation import explanation_message
from aln_p3_ros.messages.stamps import to_duration, to_ns
from aln_p3_ros.qos import overridable, reliable_qos
from aln_p3_ros.topics import TOPICS

#: So many plans in a row that became too old are no accident.
_DROPS_TO_WARN = 3


class ExplainerOutputs:
    """The node's publisher of explanations; it speaks only while the node is active.

    Args:
        node: owner.
        model_id: of the explainer.
    """

    def __init__(self, node: LifecycleNode, model_id: str) -> None:
        self._node = node
        self._model_id = model_id
        self._publisher = node.create_lifecycle_publisher(
            Explanation,
            TOPICS["explanation"].name,
            reliable_qos(),
            qos_overriding_options=overridable(),
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )

    def destroy(self) -> None:
        """Takes the publisher away."""
        self._node.destroy_lifecycle_publisher(self._publisher)

    def publish(self, heard: HeardScene, spoken: Spoken, question: str) -> None:
        """Publishes words about a scene; `question` is "" for an explanation."""
        message = explanation_message(
            spoken,
            heard.tokens.header,
            plan_id=heard.tokens.plan_id,
            model_id=self._model_id,
            question=question,
            warnings=heard.warnings,
        )
        now_ns = int(self._node.get_clock().now().nanoseconds)
        message.age = to_duration(now_ns - to_ns(message.header.stamp))
        self._publisher.publish(message)


class ExplainerReport(HealthReport[ExplainerSettings]):
    """The explainer node's health.

    Attributes:
        speaker, inputs, talker: parts that exist at the moment, else None.
    """

    def __init__(self, node: LifecycleNode) -> None:
        super().__init__(node)
        self.speaker: Speaker | None = None
        self.inputs: SceneInputs | None = None
        self.talker: Talker | None = None

    def _statuses(self, settings: ExplainerSettings | None, now_ns: int) -> list[DiagnosticStatus]:
        statuses = [self._model_status(settings)]
        talker, inputs = self.talker, self.inputs
        if talker is not None and inputs is not None:
            name = f"{self._name}: latency"
            statuses += [
                self._speaking_status(talker, inputs, now_ns),
                diagnostics.latency_status(name, talker.latency, {}, self._hardware_id, unit="text"),
            ]
        return statuses

    def _model_status(self, settings: ExplainerSettings | None) -> DiagnosticStatus:
        speaker = self.speaker
        if self.failure:
            return self._status("model", diagnostics.ERROR, self.failure, {})
        if speaker is None or settings is None:
            return self._status("model", diagnostics.STALE, self.doing or "not configured", {})
        values: dict[str, object] = {
            "model_id": speaker.model_id,
            "driver": speaker.driver_hash,
            "threads": settings.threads,
            "nice": settings.nice,
        }
        return self._status("model", diagnostics.OK, f"{self.doing}: {speaker.description}", values)

    def _speaking_status(self, talker: Talker, inputs: SceneInputs, now_ns: int) -> DiagnosticStatus:
        state = talker.state
        values: dict[str, object] = {
            "rate_hz": talker.rate_hz,
            "explained": state.explained,
            "answered": state.answered,
            "tokens_received": inputs.received,
            "unreadable": inputs.unreadable,
            "dropped_passed_over": state.passed_over,
            "dropped_too_old": state.too_old,
            "dropped_outdated": state.outdated,
            "dropped_gave_way": state.gave_way,
            "dropped_stopped": state.stopped,
            "contradictions": state.contradictions,
            "errors": state.errors,
            "last_error": state.last_error,
            "plan_id": state.plan_id,
            "age_s": state.age_s,
        }
        if state.refused:
            return self._status("speaking", diagnostics.ERROR, state.refused, values)
        if state.failing:
            return self._status("speaking", diagnostics.ERROR, f"speaking failed: {state.last_error}", values)
        if doubt := _doubt(talker, inputs, now_ns):
            return self._status("speaking", diagnostics.WARN, doubt, values)
        return self._status("speaking", diagnostics.OK, f"{state.explained} plans explained", values)


def _doubt(talker: Talker, inputs: SceneInputs, now_ns: int) -> str:
    """Why no words come, or none of what the vehicle does now; "" when they do."""
    state, limit_s, newest_ns = talker.state, talker.settings.max_age_s, inputs.newest_ns
    if now_ns == 0:
        return "the clock has not begun: use_sim_time is set, and nobody publishes /clock"
    if inputs.problem:
        return f"{inputs.problem}: is the driver of another version of this package?"
    if not newest_ns:
        since = " since the clock jumped back" if inputs.received else ""
        return f"no scene tokens have come{since}: is the driver active?"
    if missing := inputs.missing:
        return f"the {missing} of the newest tokens' plan have not come"
    silent_s = (now_ns - newest_ns) * 1e-9
    if silent_s > limit_s:
        return (
            f"the last scene tokens are {silent_s:.1f} s old: the driver does not plan, has declared a stop, or "
            "follows another clock (use_sim_time)"
        )
    if silent_s < -AHEAD_S:
        ahead = f"the last scene tokens lie {-silent_s:.1f} s in the future"
        return f"{ahead}: the driver follows another clock (use_sim_time)"
    if state.dropped_in_a_row >= (_DROPS_TO_WARN if state.explained else 1):
        return (
            f"plans are older than {limit_s:g} s before they are explained: raise max_age_s, or lower captions and "
            "max_new_tokens"
        )
    return ""
