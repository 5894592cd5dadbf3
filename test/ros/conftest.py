"""Fixtures of the ROS tests."""

from driver_helpers import ros_context
from replay_helpers import nodes, ros_domain, track_root

__all__ = ["nodes", "ros_context", "ros_domain", "track_root"]
