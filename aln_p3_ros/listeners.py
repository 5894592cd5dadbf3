"""Waits, before the first picture is sent, for those who want to see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from rclpy.node import Node

from aln_p3_ros.topics import TOPICS

#: A node that listens to some of the images only (a rig with fewer cameras) has made all its subscriptions when no
#: new one appears for this long.
_SETTLED_S = 3.0


class Listened(Protocol):
    """Whoever knows the subscribers of its topics."""

    def listeners(self, topics: Sequence[str]) -> set[tuple[str, str]]:
        """(topic, name of a node that subscribes to it)."""


def await_listeners(
    node: Node,
    outlet: Listened,
    image_topics: Sequence[str],
    *,
    wait_for_nodes: Sequence[str],
    timeout_s: float,
    closing: threading.Event,
) -> None:
    """Returns when the named nodes (any, on every image topic, when none is named) subscribe, or after a time.

    Args:
        node: that publishes; warns in its log when it goes on without them.
        outlet: knows who listens.
        image_topics: topics of the pictures.
        wait_for_nodes: names of the nodes to wait for.
        timeout_s: longest wait, wall clock; 0 does not wait, and does not warn.
        closing: ends the wait at once.
    """
    # Not in the node's clock: with use_sim_time it would wait for its own /clock.
    start = changed = time.monotonic()
    before: set[tuple[str, str]] = set()
    while not closing.wait(0.02) and node.context.ok():
        listeners, now = outlet.listeners(image_topics), time.monotonic()
        if listeners != before:
            before, changed = listeners, now
        missing = _missing(listeners, image_topics, wait_for_nodes)
        if not missing and (_complete(listeners, image_topics, wait_for_nodes) or now - changed > _SETTLED_S):
            return
        if now - start >= timeout_s:
            if missing and timeout_s > 0:
                node.get_logger().warning(f"{missing}; playing all the same")
            return


def _complete(listeners: set[tuple[str, str]], image_topics: Sequence[str], wait_for_nodes: Sequence[str]) -> bool:
    """Whether each node that is waited for listens to all cameras: it subscribes to one after the other."""
    # A bag may hold pictures beside its cameras.
    folder = TOPICS["camera_image"].name.partition("{camera}")[0]
    cameras = [topic for topic in image_topics if topic.startswith(folder)] or image_topics
    return all((topic, name) in listeners for name in wait_for_nodes for topic in cameras)


def _missing(listeners: set[tuple[str, str]], image_topics: Sequence[str], wait_for_nodes: Sequence[str]) -> str:
    """Who does not listen to the images yet, in words; "" when nothing is missing."""
    if wait_for_nodes:
        nodes = set(wait_for_nodes) - {name for _, name in listeners}
        return f"{', '.join(sorted(nodes))} did not subscribe to the images" if nodes else ""
    topics = set(image_topics) - {topic for topic, _ in listeners}
    return f"nobody subscribes to {', '.join(sorted(topics))}" if topics else ""
