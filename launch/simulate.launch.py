"""Drives in the embedded world; driver:=true view:=true add the rest of the graph, autopilot:=expert a planner inside.

All arguments: ros2 launch aln_p3 simulate.launch.py --show-args
"""

from launch.launch_description import LaunchDescription

from aln_p3_ros.bringup.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("simulate")
