"""What all commands share: how they end, and what their help says."""

from __future__ import annotations

import errno

import click
import pytest
from click.testing import CliRunner
from command_helpers import run

from aln_p3_core import cli
from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.errors import DataError


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/a.onnx"),
            1,
            "Error: no room is left for out/a.onnx: No space left on device. Free some space and try again\n",
        ),
        (DataError("samples/a.jpg is empty; copy it again"), 1, "Error: samples/a.jpg is empty; copy it again\n"),
    ],
)
def test_a_command_that_is_broken_off_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, told: str
) -> None:
    @click.command()
    def command() -> None:
        raise error

    module = type("module", (), {"command": command})
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: module)
    result = CliRunner().invoke(make_cli({"work": "module"}), ["work"])
    assert (result.exit_code, result.output) == (code, told)


@pytest.mark.parametrize("name", [name for name in CORE_COMMANDS if name != "world"])
def test_every_help_has_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0 and f"  aln-p3 {name}" in result.output, result.output
