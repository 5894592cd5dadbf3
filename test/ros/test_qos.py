"""Quality of service: parameters override it."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Empty

from aln_p3_ros.qos import latched_qos, overridable, reliable_qos, sensor_qos


@pytest.mark.parametrize(
    ("profile", "reliability", "durability"),
    [
        (sensor_qos(), ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
        (reliable_qos(), ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        (latched_qos(), ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
    ],
)
def test_profiles(profile: QoSProfile, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> None:
    assert (profile.reliability, profile.durability) == (reliability, durability)


def test_parameters_override_it_and_twice_is_no_error(ros_context: Context) -> None:
    overrides = {
        "qos_overrides./images.subscription.reliability": "reliable",
        "qos_overrides./images.subscription.depth": 2,
    }
    node = rclpy.create_node(
        "qos_node",
        context=ros_context,
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
    )
    for _ in range(2):
        # As a lifecycle node does that is configured twice.
        subscription = node.create_subscription(
            Empty, "/images", lambda message: None, sensor_qos(), qos_overriding_options=overridable()
        )
        info = node.get_subscriptions_info_by_topic("/images")[0]
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert subscription.qos_profile.depth == 2
        node.destroy_subscription(subscription)
    node.destroy_node()
