"""Starts the pictures and markers of what the driver sees and plans; rviz:=true adds RViz.

All arguments: ros2 launch aln_p3 view.launch.py --show-args
"""

from launch.launch_description import LaunchDescription

from aln_p3_ros.bringup.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("view")
