"""Publishes a timeline's messages through rclpy, without decoding them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rosgraph_msgs.msg import Clock

from aln_p3_ros.bags.qos import offered_qos, publisher_qos
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.topics import TOPICS

if TYPE_CHECKING:
    from rclpy.node import Node

    from aln_p3_ros.replay.timeline import TimelineTopic


_DRAIN_S = 3.0


class HasTopics(Protocol):
    """A timeline, or whoever else knows its topics."""

    @property
    def topics(self) -> Sequence[TimelineTopic]: ...


class RosOutlet:
    """Publishers for every topic of a source, with the quality of service that it asks for.

    Topics whose message package is not installed are left out with a warning that names them.

    Args:
        node: that publishes.
        source: what will be played.
        with_clock: whether recorded time goes to /clock.
    """

    def __init__(self, node: Node, source: HasTopics, *, with_clock: bool) -> None:
        self._node = node
        self._publishers: dict[str, Any] = {}
        for topic in source.topics:
            kind = message_class(topic.type)
            if kind is None:
                node.get_logger().warning(
                    f"{topic.name} is left out: its type {topic.type} is not installed; install the package "
                    f"{topic.type.split('/')[0]} to have it"
                )
                continue
            self._publishers[topic.name] = node.create_publisher(kind, topic.name, publisher_qos(topic.qos))
        clock = TOPICS["clock"]
        qos = publisher_qos([offered_qos(clock.quality)])
        self._clock = node.create_publisher(Clock, clock.name, qos) if with_clock else None

    def publish(self, topic: str, cdr: bytes | memoryview) -> None:
        """Publishes the CDR bytes of a message."""
        publisher = self._publishers.get(topic)
        if publisher is not None:
            self._send(publisher, bytes(cdr))

    def publish_clock(self, stamp_ns: int) -> None:
        """Publishes recorded time."""
        if self._clock is not None:
            seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
            self._send(self._clock, Clock(clock=Time(sec=seconds, nanosec=nanoseconds)))

    def listeners(self, topics: Sequence[str]) -> set[tuple[str, str]]:
        """(topic, name of a node that subscribes to it) of the topics given, where a subscriber has been matched."""
        found = set()
        for topic in topics:
            publisher = self._publishers.get(topic)
            if publisher is not None and publisher.get_subscription_count():
                # Remapping may have given the topic another name than the timeline's.
                endpoints = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
                found |= {(topic, endpoint.node_name) for endpoint in endpoints}
        return found

    def drain(self) -> None:
        """Waits, within bounds, until subscribers have the last messages; ending earlier would lose them."""
        deadline = time.monotonic() + _DRAIN_S
        for publisher in self._publishers.values():
            remaining = max(deadline - time.monotonic(), 0.0)
            if self._node.context.ok():
                publisher.wait_for_all_acked(Duration(seconds=remaining))

    def _send(self, publisher: Any, message: Any) -> None:
        try:
            publisher.publish(message)
        except Exception:
            # An interrupt ends the context under the player's thread; anything else is a fault.
            if self._node.context.ok():
                raise
