"""Runs one node until it is told to end, and ends it cleanly."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from aln_p3_core.errors import AlnP3Error
from aln_p3_ros.driving.worker import busy_threads
from aln_p3_ros.environment import use_dds_profile

NodeT = TypeVar("NodeT", bound=Node)

#: Raised by the making of a node whose parameters do not fit, with words for people.
PARAMETER_ERRORS = (AlnP3Error, InvalidParameterTypeException, InvalidParameterValueException)


def call_on_signals(stop: Callable[[], None]) -> None:
    """Calls `stop` on SIGINT and SIGTERM, instead of rclpy's own handlers.

    Those shut the context down at once, while other threads of the node still publish and wait in it, which ends in
    errors or a crash. A second signal ends the process as an interrupt does.
    """

    def handle(number: int, frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.default_int_handler)
        stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, handle)


def spin_node(
    name: str,
    make_node: Callable[..., NodeT],
    args: list[str] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    until: Callable[[NodeT], bool] = lambda node: False,
    on_failure: Callable[[NodeT, Exception], None] = lambda node, error: None,
) -> NodeT:
    """Makes a node and runs it until SIGINT, SIGTERM, a shutdown of the context, or `until` says so.

    One thread runs all callbacks. With several, a lifecycle transition that takes subscriptions away can do so while
    rclpy's executor is looking at them in another thread, and the executor ends with an error.

    The process ends here when a model is still busy after the node has waited for it: Python's own end would
    take the interpreter away from under it, which aborts the process.

    The process ends with 1 and one line of text when the node cannot be made: a parameter of the wrong type or
    outside its range, a setting that does not fit. It ends with 1, and the error in the log, after an error in a
    callback too: a node whose state nobody knows must not go on.

    Args:
        name: of the program, for that line.
        make_node: called with `parameter_overrides`.
        args: command line; None: the process's own.
        parameters: values that stand where the command line gives none.
        until: looked at ten times a second.
        on_failure: called with the error of a callback before the node is destroyed, to leave things in order.

    Returns:
        The node, destroyed.
    """
    use_dds_profile()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ending = threading.Event()
    call_on_signals(ending.set)
    try:
        node = make_node(parameter_overrides=[Parameter(key, value=value) for key, value in (parameters or {}).items()])
    except PARAMETER_ERRORS as error:
        print(f"{name}: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(1)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    failed = False
    try:
        while not (ending.is_set() or until(node)):
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        # Somebody has shut the context down: nothing went wrong.
        pass
    except Exception as error:
        failed = True
        node.get_logger().fatal(f"{name} ends: a callback failed\n{traceback.format_exc()}")
        _last_words(node, error, on_failure)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    _leave_busy_threads(name, int(failed))
    if failed:
        sys.exit(1)
    return node


def _last_words(node: NodeT, error: Exception, on_failure: Callable[[NodeT, Exception], None]) -> None:
    """Calls `on_failure`; should that fail as well, the node is destroyed all the same."""
    try:
        on_failure(node, error)
    except Exception:
        node.get_logger().fatal(f"nor could it be left in order\n{traceback.format_exc()}")


def _leave_busy_threads(name: str, code: int) -> None:
    """Ends the process without more ado when threads still run that cannot be ended."""
    busy = busy_threads()
    if busy:
        print(f"{name}: ended while still busy: {', '.join(busy)}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
