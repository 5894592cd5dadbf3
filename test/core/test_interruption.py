"""Ctrl-C and SIGTERM end a command in order: what it began is undone, one line is said, the exit code tells which."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aln_p3_core.interruption import Terminated, noted_signals, raise_noted

#: A command that keeps a file while it works, and is sent a signal meanwhile; `world` around it as in real life.
PROGRAM = """
import os, signal, sys, time, types
from pathlib import Path
import click
from aln_p3_core import cli

@click.command()
@click.argument("file", type=Path)
@click.argument("number", type=int)
def command(file, number):
    try:
        file.touch()
        if os.fork() == 0:
            # A worker, which its parent ends, knows nothing of the command.
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGTERM
        os.kill(os.getpid(), number)
        time.sleep(60)
    finally:
        file.unlink()

# As at a terminal: jobs that a shell began in the background ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.modules["work"] = types.SimpleNamespace(command=command)
sys.modules["world"] = types.SimpleNamespace(command=cli.LazyGroup("world", lazy_commands={"work": "work"}))
cli.run_cli({"world": "world"})
"""


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_command_that_is_stopped_says_so_and_leaves_nothing(
    tmp_path: Path, number: int, code: int, said: str
) -> None:
    file = tmp_path / "unfinished"
    command = [sys.executable, "-c", PROGRAM, "world", "work", str(file), str(int(number))]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr == f"{said}\n"
    assert not file.exists()


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_noted_signals_wait_until_they_are_asked_for(number: int, kind: type[BaseException]) -> None:
    before = [signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)]
    with noted_signals() as received:
        raise_noted(received)
        os.kill(os.getpid(), number)
        assert received == [number]
    assert [signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)] == before
    with pytest.raises(KeyboardInterrupt) as raised:
        raise_noted(received)
    assert raised.type is kind
