"""Runs one node until it is told to end, and ends it cleanly."""

from __future__ import annotations

import sys
from collections.abc import Callable

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from aln_p3_core.errors import AlnP3Error
from aln_p3_ros.environment import use_dds_profile


def spin_node(make_node: Callable[[], Node], args: list[str] | None = None) -> None:
    """Makes a node and runs it until SIGINT, SIGTERM or a shutdown of the context.

    One thread runs all callbacks. With several, a lifecycle transition that takes subscriptions away can do so while
    rclpy's executor is looking at them in another thread, and the executor ends with an error.

    The process ends with 1 and one line of text when the node cannot be made: a parameter of the wrong type or
    outside its range, a setting that does not fit.
    """
    use_dds_profile()
    rclpy.init(args=args)
    try:
        node = make_node()
    except (AlnP3Error, InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(1)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        # How a node is asked to end: nothing went wrong.
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
