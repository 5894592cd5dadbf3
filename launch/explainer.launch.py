"""Starts the explainer beside a driver: scene tokens in, words out.

All arguments: ros2 launch aln_p3 explainer.launch.py --show-args
"""

from launch.launch_description import LaunchDescription

from aln_p3_ros.bringup.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("explainer")
