"""What the managed (lifecycle) nodes with a model have in common: transitions, live parameters, /diagnostics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from aln_p3_core.errors import AlnP3Error, ConfigError
from aln_p3_ros.driving import diagnostics
from aln_p3_ros.driving.worker import PeriodicThread
from aln_p3_ros.messages.stamps import to_time
from aln_p3_ros.parameters import SetParametersResult, changed_settings, check_changes, declare_settings, read_settings
from aln_p3_ros.qos import overridable, reliable_qos
from aln_p3_ros.topics import TOPICS

# How long what runs may take to end: in a transition, and when the process ends.
_STOP_WAIT_S, _END_WAIT_S = 30.0, 8.0
RCLError = rclpy_implementation.RCLError
_OK = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE
_ERROR = TransitionCallbackReturn.ERROR

SettingsT = TypeVar("SettingsT")


class Running(Protocol):
    """A thread that works with the model."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""


class HealthReport(ABC, Generic[SettingsT]):
    """/diagnostics of a managed node, in every lifecycle state, from whatever parts exist at the moment.

    Attributes:
        failure: why configuring or activating failed, or "".
        doing: what the node does now, or "" when it is unconfigured.
    """

    def __init__(self, node: Node) -> None:
        self.failure = ""
        self.doing = ""
        self._name = node.get_name()
        self._hardware_id = str(node.get_parameter("hardware_id").value)
        self._publisher = node.create_publisher(
            DiagnosticArray, TOPICS["diagnostics"].name, reliable_qos(), qos_overriding_options=overridable()
        )

    def publish(self, settings: SettingsT | None, now_ns: int) -> None:
        """Publishes one array."""
        statuses = self._statuses(settings, now_ns)
        self._publisher.publish(diagnostics.diagnostics_message(statuses, to_time(now_ns)))

    @abstractmethod
    def _statuses(self, settings: SettingsT | None, now_ns: int) -> list[DiagnosticStatus]:
        """What is to be told, of the parts that exist at the moment."""

    def _status(self, part: str, level: bytes, message: str, values: dict[str, object]) -> DiagnosticStatus:
        return diagnostics.status(f"{self._name}: {part}", level, message, values, self._hardware_id)


ReportT = TypeVar("ReportT", bound=HealthReport[Any])


class ManagedNode(LifecycleNode, ABC, Generic[SettingsT, ReportT]):
    """A managed node that loads a model when it is configured and works in threads of its own while it is active.

    A subclass says how: `_load`, `_start_work`, `_stop_work`, `_drop`, `_apply`. What does not end in time it leaves in
    `_left_behind`.

    Args:
        name: of the node.
        settings_type: dataclass of its parameters, with `diagnostics_rate_hz`.
        make_report: its diagnostics, once the parameters are declared.
        what: is loaded, in words.
        **kwargs: as for `rclpy.node.Node`.
    """

    def __init__(
        self,
        name: str,
        settings_type: type[SettingsT],
        make_report: Callable[[Node], ReportT],
        what: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        declare_settings(self, settings_type)
        self._settings_type = settings_type
        self._what = what
        self._settings: SettingsT | None = None
        self._left_behind: Running | None = None
        self._report = make_report(self)
        rate_hz = float(self.get_parameter("diagnostics_rate_hz").value)
        self._reporter = PeriodicThread(self._publish_report, 1.0 / rate_hz, "diagnostics")
        self.add_on_set_parameters_callback(self._on_parameters)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads what the node works with. FAILURE leaves the node unconfigured and says why."""
        self._report.failure = ""
        self._report.doing = f"loading the {self._what}"
        try:
            settings = read_settings(self, self._settings_type)
            loaded = self._load(settings)
        except Exception as error:
            # Whatever a model file can do wrong must end in words, not in a node that lives on without a model.
            self._release()
            self._report.doing = ""
            return self._failed("configure", error)
        self._settings = settings
        self._report.doing = "configured"
        self.get_logger().info(f"{self._what} ready: {loaded}")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to work. FAILURE leaves the node inactive and says why: while a thread of the time before still works,
        too, for two must not use one model."""
        self._report.failure = ""
        if self._left_behind is not None and self._left_behind.alive:
            self._report.failure = f"not activated: the {self._what} is still busy with what it began before"
            self.get_logger().error(self._report.failure)
            return _FAILURE
        self._left_behind = None
        result = super().on_activate(state)
        if result != _OK:
            return result
        try:
            self._start_work()
        except Exception as error:
            # rclpy would go on without a word, and on_error drop the model.
            self._stop_work(_STOP_WAIT_S)
            super().on_deactivate(state)
            return self._failed("activate", error)
        self._report.doing = "active"
        return _OK

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops working; the model stays loaded. ERROR, told as a failure is, when that cannot be done."""
        try:
            self._stop_work(_STOP_WAIT_S)
            result = super().on_deactivate(state)
        except Exception as error:
            # rclpy would go to on_error without a word.
            self._failed("deactivate", error)
            return _ERROR
        self._report.doing = "configured"
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drops all that was loaded. ERROR as in deactivating."""
        try:
            self._release()
        except Exception as error:
            self._failed("cleanup", error)
            return _ERROR
        self._report.failure = self._report.doing = ""
        return _OK

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From any state: stops and drops everything."""
        self._release()
        self._report.doing = "shut down"
        return _OK

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an error in a transition: back to unconfigured; the report keeps why."""
        self._release()
        self._report.doing = ""
        return _OK

    def destroy_node(self) -> None:
        """Ends the node's threads first."""
        self._reporter.stop()
        self._stop_work(_END_WAIT_S)
        super().destroy_node()

    @abstractmethod
    def _load(self, settings: SettingsT) -> str:
        """Makes all parts, and names the model in a few words. What it raises fails the transition."""

    @abstractmethod
    def _start_work(self) -> None:
        """Starts what runs while the node is active. What it raises fails the transition, after `_stop_work`."""

    @abstractmethod
    def _stop_work(self, wait_s: float) -> None:
        """Ends what runs while the node is active; from any state."""

    @abstractmethod
    def _drop(self) -> None:
        """Takes away what `_load` made, where it has come to that."""

    @abstractmethod
    def _apply(self, settings: SettingsT) -> None:
        """Hands changed settings to the parts. A ConfigError refuses the change."""

    def _on_change_state(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        """Refuses what does not lead out of the present state: rclpy's own callback raises there, which would end the
        executor, and with it the process, for a second manager's or a repeated request."""
        asked = request.transition
        known = self._state_machine.available_transitions
        if any(asked.label == label if asked.label else asked.id == number for number, label, *_ in known):
            return self._change_state(request, response)
        state = self._state_machine.current_state[1]
        choices = ", ".join(f"{label} ({number})" for number, label, *_ in known) or "none"
        wanted = asked.label or f"number {asked.id}"
        self.get_logger().warning(f"transition {wanted} refused: from state {state!r} there are {choices}")
        response.success = False
        return response

    def _failed(self, what: str, error: Exception) -> TransitionCallbackReturn:
        """Logs why a transition failed, and keeps it for /diagnostics."""
        text = str(error) if isinstance(error, AlnP3Error) else f"{type(error).__name__}: {error}"
        self._report.failure = f"{what} failed: {text}"
        self.get_logger().error(self._report.failure)
        return _FAILURE

    def _release(self) -> None:
        self._stop_work(_STOP_WAIT_S)
        self._drop()
        self._settings = None

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        result = check_changes(self, self._settings_type, changes, configured=self._settings is not None)
        if not result.successful or self._settings is None:
            return result
        settings = changed_settings(self._settings, changes)
        try:
            self._apply(settings)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        return result

    def _publish_report(self) -> None:
        try:
            self._report.publish(self._settings, self._now_ns())
        except RCLError:
            # The context may end at any moment; while it lives, an error is an error, which the thread logs.
            if self.context.ok():
                raise
