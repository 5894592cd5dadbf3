"""`aln-p3 world`: the embedded world's own commands, each imported only when it is called."""

from __future__ import annotations

from importlib.util import find_spec

from aln_p3_core.cli import LazyGroup

#: Command name -> module that defines `command`.
WORLD_COMMANDS: dict[str, str] = {
    "look": "aln_p3_core.commands.world_look",
    "drive": "aln_p3_core.commands.world_drive",
    "film": "aln_p3_core.commands.world_film",
    "bench": "aln_p3_core.commands.world_bench",
    "record": "aln_p3_core.commands.world_record",
    "stats": "aln_p3_core.commands.world_stats",
}


def make_world_group(commands: dict[str, str]) -> LazyGroup:
    """The group `world` over a table such as `WORLD_COMMANDS`."""
    return LazyGroup(
        name="world",
        lazy_commands=commands,
        help="An embedded place to drive, learn and be tested in: look at it, drive in it, record it.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


command = make_world_group({name: module for name, module in WORLD_COMMANDS.items() if find_spec(module)})
