"""Records topics to an MCAP bag, message bytes as they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import Connection, Qos, QosDurability, QosReliability
from rosbags.rosbag2 import StoragePlugin, Writer

from aln_p3_ros.bags.qos import make_qos
from aln_p3_ros.bags.typestore import know_type, typestore
from aln_p3_ros.bags.writer import check_free
from aln_p3_ros.messages.interfaces import message_class

_DISCOVERY_S = 0.2
_FLUSH_S = 1.0
_DEPTH = 50
#: Recorded only when asked for by name: they say nothing about a drive.
_QUIET_TOPICS = ("/parameter_events",)


class Recorder:
    """Subscribes to topics as they appear and writes what they carry.

    What has been received is on disk a second later, so that a recording whose process was killed can still be
    read (`aln-p3 bag info` and `play` do); a closed one is a complete bag. Stamps of the bag are the times of
    arrival in the node's clock.

    Args:
        node: that subscribes.
        out: folder of the bag.
        topics: names to record; empty: all that are published, now and later.
        force: replace a bag that is there already.

    Raises:
        ConfigError: where something is in the way of the bag.
    """

    def __init__(self, node: Node, out: Path, topics: Sequence[str] = (), *, force: bool = False) -> None:
        check_free(out, force=force)
        if out.exists():
            for file in out.iterdir():
                file.unlink()
            out.rmdir()
        self._node = node
        self._topics = set(topics)
        self._refused: set[str] = set()
        self._connections: dict[str, Connection] = {}
        self._counts: dict[str, int] = {}
        self._early: list[tuple[str, bytes]] = []
        self._writer = Writer(out, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._discover()
        node.create_timer(_DISCOVERY_S, self._discover)
        node.create_timer(_FLUSH_S, self._flush)

    @property
    def counts(self) -> dict[str, int]:
        """Messages received so far, by topic."""
        return dict(sorted(self._counts.items()))

    @property
    def missing(self) -> list[str]:
        """Topics that were asked for and have not appeared."""
        return sorted(self._topics - set(self._connections))

    def close(self) -> None:
        """Finishes the bag. Call when the node does not spin any more."""
        self._writer.close()

    def _discover(self) -> None:
        for topic, kinds in self._node.get_topic_names_and_types():
            if topic in self._connections or topic in self._refused or not self._wanted(topic):
                continue
            endpoints = self._node.get_publishers_info_by_topic(topic)
            if not endpoints:
                continue
            kind = message_class(kinds[0]) if len(kinds) == 1 else None
            if kind is None or not know_type(kinds[0]):
                self._refused.add(topic)
                problem = "has several types" if len(kinds) > 1 else "is of a type that is not installed"
                self._node.get_logger().warning(f"{topic} is not recorded: it {problem} ({', '.join(kinds)})")
                continue
            self._subscribe(topic, kinds[0], kind, endpoints)

    def _wanted(self, topic: str) -> bool:
        if self._topics:
            return topic in self._topics
        hidden = any(part.startswith("_") for part in topic.split("/"))
        return not hidden and topic not in _QUIET_TOPICS

    def _subscribe(self, topic: str, typename: str, kind: Any, endpoints: list[TopicEndpointInfo]) -> None:
        offers = [_offered(endpoint.qos_profile) for endpoint in endpoints]
        self._connections[topic] = self._writer.add_connection(
            topic, typename, typestore=typestore(), offered_qos_profiles=offers
        )
        self._counts[topic] = 0
        self._node.create_subscription(kind, topic, partial(self._receive, topic), _matching(endpoints), raw=True)

    def _receive(self, topic: str, cdr: bytes) -> None:
        self._counts[topic] += 1
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns <= 0:
            # Simulated time has not begun: what came before it is of its first instant.
            self._early.append((topic, cdr))
            return
        for earlier, content in self._early:
            self._writer.write(self._connections[earlier], now_ns, content)
        self._early.clear()
        self._writer.write(self._connections[topic], now_ns, cdr)

    def _flush(self) -> None:
        storage: Any = self._writer.storage
        if storage.chunk.msgs:
            storage.close_chunk()
        storage.bio.flush()


def _offered(profile: QoSProfile) -> Qos:
    """An rclpy profile as a bag notes it. Discovery does not tell the depth; readers take 10 then."""
    best_effort = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return make_qos(
        profile.depth or (1 if latched else 10),
        QosReliability.BEST_EFFORT if best_effort else QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
    )


def _matching(endpoints: list[TopicEndpointInfo]) -> QoSProfile:
    """The strongest profile that every publisher of the topic still matches."""
    profiles = [endpoint.qos_profile for endpoint in endpoints]
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
