"""The plan for other stacks: Autoware's trajectory and Ackermann commands, where their message packages are installed.

All arguments: ros2 launch aln_p3 adapter.launch.py --show-args
"""

from launch.launch_description import LaunchDescription

from aln_p3_ros.bringup.launching import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description("adapter")
