"""Quality of service of our nodes, which users override by parameters.

Every subscription and publisher made with `overridable()` reads the parameters
`qos_overrides.<topic>.<subscription|publisher>.<history|depth|reliability|durability>` at start.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

_POLICIES = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


def sensor_qos(depth: int = 5) -> QoSProfile:
    """For sensor data: the newest counts, a lost one is not sent again."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def reliable_qos(depth: int = 10) -> QoSProfile:
    """For results and state: nothing is lost, late subscribers get nothing old."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def latched_qos(depth: int = 100) -> QoSProfile:
    """For what is said once, such as /tf_static: late subscribers get it too.

    Several nodes may say their part, each with a writer of its own, so a subscriber keeps many.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overridable() -> QoSOverridingOptions:
    """Lets parameters override history, depth, reliability and durability."""
    return QoSOverridingOptions(_POLICIES)
