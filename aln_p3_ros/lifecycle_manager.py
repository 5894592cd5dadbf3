"""lifecycle_manager: brings managed nodes to active, and says so when one of them fails.

Small on purpose: it configures and activates the named nodes one after the other, watches that they stay active, and
ends with exit code 1 when that cannot be done, so that what started it (a launch file, `aln-p3 up`) can end too.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from aln_p3_core.errors import ConfigError
from aln_p3_ros.environment import use_dds_profile
from aln_p3_ros.parameters import check_changes, declare_settings, read_settings, setting
from aln_p3_ros.qos import reliable_qos
from aln_p3_ros.spin import PARAMETER_ERRORS, call_on_signals
from aln_p3_ros.topics import TOPICS

_POLL_S = 0.02
# After this time without an answer a question is asked again.
_ASK_AGAIN_S = 3.0
# How long diagnostics get to tell why a transition failed.
_REASON_WAIT_S = 1.5
_PRIMARY = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
    State.PRIMARY_STATE_FINALIZED,
)
# Steps that lead from a state to active.
_NEXT = {
    State.PRIMARY_STATE_UNCONFIGURED: (Transition.TRANSITION_CONFIGURE, "configure"),
    State.PRIMARY_STATE_INACTIVE: (Transition.TRANSITION_ACTIVATE, "activate"),
}


@dataclass(frozen=True)
class ManagerSettings:
    """Settings of `lifecycle_manager`."""

    nodes: tuple[str, ...] = setting((), "Names of the managed nodes, in the order in which they become active.")
    service_timeout_s: float = setting(60.0, "How long a node may take to appear, s.", minimum=0.1, maximum=3600.0)
    transition_timeout_s: float = setting(
        300.0, "How long one transition may take (a model is loaded in it), s.", minimum=0.1, maximum=3600.0
    )
    attempts: int = setting(2, "How often a failed transition is tried.", minimum=1, maximum=100)
    retry_delay_s: float = setting(1.0, "Pause between two attempts, s.", minimum=0.0, maximum=60.0)
    watch_period_s: float = setting(2.0, "How often the nodes' states are looked at, s; 0: never.", minimum=0.0,
                                    maximum=60.0)  # fmt: skip
    exit_on_failure: bool = setting(True, "End with exit code 1 when a node cannot be made or kept active.")


class LifecycleManager(Node):
    """Brings nodes to active. Its methods block, so something else has to spin it.

    Attributes:
        settings: as the parameters say.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("lifecycle_manager", **kwargs)
        declare_settings(self, ManagerSettings)
        self.settings = read_settings(self, ManagerSettings)
        if not self.settings.nodes:
            self.destroy_node()
            raise ConfigError("lifecycle_manager: the parameter 'nodes' must name at least one node")
        self.add_on_set_parameters_callback(
            lambda changes: check_changes(self, ManagerSettings, changes, configured=True)
        )
        self._stopped = threading.Event()
        self._reasons: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, TOPICS["diagnostics"].name, self._on_diagnostics, reliable_qos())
        self._states = {name: self.create_client(GetState, f"{name}/get_state") for name in self.settings.nodes}
        self._changes = {name: self.create_client(ChangeState, f"{name}/change_state") for name in self.settings.nodes}

    def stop(self) -> None:
        """Ends whatever waits."""
        self._stopped.set()

    def bring_up(self) -> str:
        """Brings all nodes to active, in order. Returns "" or what went wrong with the first that failed."""
        for name in self.settings.nodes:
            problem = self._bring_up(name)
            if problem or self._stopped.is_set():
                return problem
            self.get_logger().info(f"{name} is active")
        return ""

    def watch(self) -> str:
        """Returns, when a node is no longer active, which and why; "" when stopped."""
        while self.settings.watch_period_s > 0 and not self._stopped.wait(self.settings.watch_period_s):
            for name in self.settings.nodes:
                state = self._state(name, self.settings.service_timeout_s)
                if state != State.PRIMARY_STATE_ACTIVE and not self._stopped.is_set():
                    return f"{name} is no longer active" if state is not None else f"{name} does not answer any more"
        self.wait_for_stop()
        return ""

    def wait_for_stop(self) -> None:
        """Waits until somebody calls `stop`."""
        self._stopped.wait()

    def _bring_up(self, name: str) -> str:
        timeout_s = self.settings.service_timeout_s
        if self._state(name, timeout_s) is None:
            if self._stopped.is_set():
                return ""
            return f"{name} has not appeared within {timeout_s:g} s; is it running, under this name?"
        failures = 0
        while not self._stopped.is_set():
            state = self._state(name, timeout_s)
            if state == State.PRIMARY_STATE_ACTIVE:
                return ""
            if state is None:
                return "" if self._stopped.is_set() else f"{name} does not answer within {timeout_s:g} s"
            if state not in _NEXT:
                return f"{name} cannot be brought to active from state {state}"
            transition, word = _NEXT[state]
            self._reasons.pop(name, None)
            if self._change(name, transition, state):
                continue
            failures += 1
            reason = self._reason(name)
            if failures >= self.settings.attempts:
                return f"{name} did not {word} ({failures} attempts): {reason}"
            self.get_logger().warning(f"{name} did not {word}: {reason}; trying again")
            self._stopped.wait(self.settings.retry_delay_s)
        return ""

    def _state(self, name: str, timeout_s: float) -> int | None:
        """The node's state. Asked for again: an answer can get lost while two processes discover each other.

        Asked for even where the service does not count as ready: what a node of the same name has left behind when
        it was killed keeps it from counting as that.
        """
        deadline = time.monotonic() + timeout_s
        while not self._stopped.is_set() and (left_s := deadline - time.monotonic()) > 0:
            self._wait(self._states[name].service_is_ready, min(left_s, _ASK_AGAIN_S))
            future = self._states[name].call_async(GetState.Request())
            answered = self._wait(future.done, min(left_s, _ASK_AGAIN_S))
            if answered:
                return int(future.result().current_state.id)
            self._states[name].remove_pending_request(future)
        return None

    def _change(self, name: str, transition: int, state: int) -> bool:
        """Asks for a transition; a lost answer is made up for by looking at the state."""
        client = self._changes[name]
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        deadline = time.monotonic() + self.settings.transition_timeout_s
        try:
            while not self._stopped.is_set() and (left_s := deadline - time.monotonic()) > 0:
                if self._wait(future.done, min(left_s, _ASK_AGAIN_S)):
                    return bool(future.result().success)
                # A node answers this only after the transition has ended.
                now = self._state(name, min(left_s, _ASK_AGAIN_S))
                if now in _PRIMARY and not future.done():
                    return now != state
            return False
        finally:
            client.remove_pending_request(future)

    def _wait(self, done: Any, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline or self._stopped.wait(_POLL_S):
                return bool(done())
        return True

    def _reason(self, name: str) -> str:
        self._wait(lambda: name in self._reasons, _REASON_WAIT_S)
        return self._reasons.get(name, "its log says why")

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node = status.name.partition(":")[0]
            if status.level == DiagnosticStatus.ERROR:
                for name in self.settings.nodes:
                    if name.rpartition("/")[2] == node:
                        self._reasons[name] = status.message


def main(args: list[str] | None = None) -> None:
    """Entry point of the executable `lifecycle_manager`."""
    use_dds_profile()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        manager = LifecycleManager()
    except PARAMETER_ERRORS as error:
        print(f"lifecycle_manager: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(1)
    call_on_signals(manager.stop)
    executor = SingleThreadedExecutor()
    executor.add_node(manager)
    ending = threading.Event()
    spinner = threading.Thread(target=_spin, args=(executor, ending), name="spin")
    spinner.start()
    problem = ""
    try:
        problem = manager.bring_up() or manager.watch()
        if problem and rclpy.ok():
            manager.get_logger().error(problem)
            if not manager.settings.exit_on_failure:
                problem = ""
                manager.wait_for_stop()
    finally:
        ending.set()
        # Without the join the process would abort while the executor still looks at the node.
        spinner.join()
        executor.shutdown()
        manager.destroy_node()
        rclpy.try_shutdown()
    sys.exit(1 if problem else 0)


def _spin(executor: SingleThreadedExecutor, ending: threading.Event) -> None:
    try:
        while not ending.is_set():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        # How the context ends it.
        return


if __name__ == "__main__":
    main()
