"""A process that is killed outright leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Its child writes to the pipe that this test reads from, which ends when both have.
_PARENT = """
import os, signal, subprocess, sys
from aln_p3_core.child_processes import die_with_parent
child = subprocess.Popen(["sleep", "1000"], preexec_fn=die_with_parent)
print("begun", flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells processes of their parent's end")
def test_a_child_ends_with_its_parent() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"begun\n"
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b"", "comes when the child has ended too"
