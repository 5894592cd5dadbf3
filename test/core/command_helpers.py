"""The command line of the core, as a user calls it."""

from __future__ import annotations

from click.testing import CliRunner, Result

from aln_p3_core.cli import CORE_COMMANDS, make_cli


def run(*arguments: object) -> Result:
    """Runs `aln-p3 ARGUMENTS` in this process."""
    return CliRunner().invoke(make_cli(CORE_COMMANDS), [str(argument) for argument in arguments])
