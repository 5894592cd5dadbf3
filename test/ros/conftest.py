"""Fixtures of the ROS tests."""

from replay_helpers import nodes, ros_domain, track_root

__all__ = ["nodes", "ros_domain", "track_root"]
