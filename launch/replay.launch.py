"""Replays a data set (root:=) or a bag (bag:=); driver:=true view:=true add the rest of the graph.

All arguments: ros2 launch aln_p3 replay.launch.py --show-args
"""

from launch.launch_description import LaunchDescription

from aln_p3_ros.bringup.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("replay")
