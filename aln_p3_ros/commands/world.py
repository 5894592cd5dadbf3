"""`aln-p3 world`: the core's commands, of which `drive` can go through ROS topics here."""

from __future__ import annotations

from aln_p3_core.commands.world import WORLD_COMMANDS, make_world_group

command = make_world_group({**WORLD_COMMANDS, "drive": "aln_p3_ros.commands.world_drive"})
