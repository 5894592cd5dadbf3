"""The whole command line: the core's commands and those that speak ROS 2."""

from __future__ import annotations

from aln_p3_core.cli import CORE_COMMANDS, run_cli

ROS_COMMANDS: dict[str, str] = {
    "demo": "aln_p3_ros.commands.demo",
    "up": "aln_p3_ros.commands.up",
    "bag": "aln_p3_ros.commands.bag",
    "record": "aln_p3_ros.commands.record",
    "world": "aln_p3_ros.commands.world",
}


def main() -> None:
    """Entry point of the script `aln-p3`."""
    run_cli({**CORE_COMMANDS, **ROS_COMMANDS})
