"""Fixtures of the ROS tests."""

from adapter_helpers import built_messages, foreign_messages
from driver_helpers import ros_context
from replay_helpers import nodes, ros_domain, track_root

__all__ = ["built_messages", "foreign_messages", "nodes", "ros_context", "ros_domain", "track_root"]
