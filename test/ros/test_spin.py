"""A node that cannot be made ends its process with one line of text."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "diagnostics_rate_hz:=0.1"], "diagnostics_rate_hz"),
        (["-p", "max_missing_cameras:=many"], "max_missing_cameras"),
    ],
)
def test_bad_parameters_end_the_process(ros_domain: int, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "aln_p3_ros.driver_node", "--ros-args", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 1
    assert words in result.stderr and "Traceback" not in result.stderr
