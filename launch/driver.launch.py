"""Starts the driver and brings it to active: camera topics in, trajectory out.

All arguments: ros2 launch aln_p3 driver.launch.py --show-args
"""

from launch.launch_description import LaunchDescription

from aln_p3_ros.bringup.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("driver")
