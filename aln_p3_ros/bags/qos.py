"""Quality of service as bags write it, and as rclpy wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from aln_p3_ros.topics import Quality

if TYPE_CHECKING:
    from rclpy.qos import QoSProfile

#: How rosbag2 writes a time limit that is not set.
_UNLIMITED = QosTime(9223372036, 854775807)

_DEPTH_AND_POLICY = {
    Quality.SENSOR: (10, QosReliability.RELIABLE, QosDurability.VOLATILE),
    Quality.STATE: (100, QosReliability.RELIABLE, QosDurability.VOLATILE),
    Quality.LATCHED: (1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL),
    Quality.CLOCK: (1, QosReliability.RELIABLE, QosDurability.VOLATILE),
}


def offered_qos(quality: Quality) -> Qos:
    """What a publisher of this quality offers, as a bag notes it."""
    depth, reliability, durability = _DEPTH_AND_POLICY[quality]
    return make_qos(depth, reliability, durability)


def make_qos(depth: int, reliability: QosReliability, durability: QosDurability) -> Qos:
    """Keep-last profile without deadlines."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        reliability,
        durability,
        _UNLIMITED,
        _UNLIMITED,
        QosLiveliness.AUTOMATIC,
        _UNLIMITED,
        False,
    )


def is_latched(offered: Sequence[Qos]) -> bool:
    """Whether late subscribers are owed the last message."""
    return any(q.durability == QosDurability.TRANSIENT_LOCAL for q in offered)


def publisher_qos(offered: Sequence[Qos]) -> QoSProfile:
    """The rclpy profile with which recorded messages are offered again.

    With several recorded publishers on a topic, the strongest offer is taken. Values that the bag does not know
    (an old bag, "system default") become reliable, volatile, keep last 10. Latched topics keep at least as
    many messages as there were publishers, since each had one of its own.
    """
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    best_effort = bool(offered) and all(q.reliability == QosReliability.BEST_EFFORT for q in offered)
    depths = [q.depth for q in offered if q.history == QosHistory.KEEP_LAST and q.depth > 0]
    depth = max([*depths, len(offered)], default=10) if depths else 10
    keep_all = any(q.history == QosHistory.KEEP_ALL for q in offered)
    return QoSProfile(
        history=HistoryPolicy.KEEP_ALL if keep_all else HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if is_latched(offered) else DurabilityPolicy.VOLATILE,
    )
