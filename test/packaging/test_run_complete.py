"""Tests that are left out: what is told of them, and where they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import run_complete
from run_complete import NO_SHARED_DATA, may_be_left_out, shared_data, summary

TESTS = """
import pytest
from pathlib import Path
from run_complete import shared_data

@pytest.mark.skipif(True, reason="cannot render: no EGL")
def test_marked(): pass
def test_inside(): pytest.skip("cmake is not installed")
def test_shared(): shared_data(Path("/nowhere/data"))
@pytest.mark.skipif(True, reason="no CUDA device")
def test_gpu(): pass
@pytest.mark.xfail
def test_known(): assert False
"""


def run(folder: Path, **environment: str) -> str:
    """Two files, one of which lacks a package, in one process; what pytest says."""
    (folder / "test_some.py").write_text(TESTS)
    (folder / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_package')\n")
    command = [sys.executable, "-m", "pytest", "-p", "run_complete", "-p", "no:cacheprovider", "-ra"]
    command += ["--continue-on-collection-errors"]
    given = {name: value for name, value in os.environ.items() if name != "ALN_P3_TESTS_COMPLETE"}
    given |= {"PYTHONPATH": str(Path(run_complete.__file__).parent), **environment}
    command += ["--rootdir", str(folder), str(folder)]
    return subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, timeout=300).stdout


def test_what_is_left_out_is_told_in_a_line(tmp_path: Path) -> None:
    said = run(tmp_path)
    assert "5 skipped, 1 xfailed" in said and "tests left out: 5, of these 1 without the shared data (" in said


def test_where_everything_is_tested_what_the_set_up_installs_must_be_there(tmp_path: Path) -> None:
    said = run(tmp_path, ALN_P3_TESTS_COMPLETE="1")
    for reason in ("cannot render: no EGL", "cmake is not installed", "could not import 'no_such_package'"):
        assert f"left out, but ALN_P3_TESTS_COMPLETE is set: {reason}" in said.replace("Skipped: ", "")
    assert "1 failed, 2 skipped, 1 xfailed, 2 errors" in said and "tests left out: 2, of these 1 without" in said


def test_what_may_be_missing() -> None:
    assert may_be_left_out("Skipped: no CUDA device") and may_be_left_out(f"{NO_SHARED_DATA} at /x")
    assert not may_be_left_out("no Java here")


def test_nothing_left_out_is_nothing_to_tell() -> None:
    assert summary([]) == "" and summary(["no CUDA device"]) == "tests left out: 1"


def test_shared_data_that_is_there(tmp_path: Path) -> None:
    assert shared_data(tmp_path) == tmp_path
    with pytest.raises(pytest.skip.Exception, match="ALN_P3_SHARED"):
        shared_data(tmp_path / "gone")
