"""The command line `aln-p3`: one lazily imported click command a file."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Mapping
from typing import Any

import click

from aln_p3_core import __version__
from aln_p3_core.errors import AlnP3Error
from aln_p3_core.interruption import Terminated, exit_code, unwind_at_sigterm

#: Command name -> module that defines `command`. Modules are imported only when needed.
CORE_COMMANDS: dict[str, str] = {
    "plan": "aln_p3_core.commands.plan",
    "explain": "aln_p3_core.commands.explain",
    "bench": "aln_p3_core.commands.bench",
    "check": "aln_p3_core.commands.check",
    "draw": "aln_p3_core.commands.draw",
    "parity": "aln_p3_core.commands.parity",
    "import-vad": "aln_p3_core.commands.import_vad",
    "track": "aln_p3_core.commands.track",
    "recipes": "aln_p3_core.commands.recipes",
    "train": "aln_p3_core.commands.train",
    "evaluate": "aln_p3_core.commands.evaluate",
    "ablate": "aln_p3_core.commands.ablate",
    "export": "aln_p3_core.commands.export",
    "world": "aln_p3_core.commands.world",
}

# A disk or a share of it that is used up.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class LazyGroup(click.Group):
    """A click group that imports a command's module on first use; turns our errors and signals to end into messages."""

    def __init__(self, *args: Any, lazy_commands: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy_commands = dict(lazy_commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._lazy_commands, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self._lazy_commands:
            return importlib.import_module(self._lazy_commands[name]).command
        return super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AlnP3Error as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            where = f" for {error.filename}" if error.filename else ""
            raise click.ClickException(
                f"no room is left{where}: {error.strerror}. Free some space and try again"
            ) from error
        except KeyboardInterrupt as stop:
            click.echo("terminated" if isinstance(stop, Terminated) else "interrupted", err=True)
            raise SystemExit(exit_code(stop)) from None


def make_cli(lazy_commands: Mapping[str, str]) -> LazyGroup:
    """The command group over the given table of commands."""
    group = LazyGroup(
        name="aln-p3",
        lazy_commands=lazy_commands,
        help="ALN-P3: an end-to-end driver for six cameras, and the tools around it.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    return click.version_option(__version__, prog_name="aln-p3")(group)


def main() -> None:
    """Entry point of `python -m aln_p3_core`: the commands that need no ROS."""
    run_cli(CORE_COMMANDS)


def run_cli(commands: Mapping[str, str]) -> None:
    """Runs the command line of this process over a table of commands, and ends the process."""
    unwind_at_sigterm()
    make_cli(commands)(prog_name="aln-p3")
