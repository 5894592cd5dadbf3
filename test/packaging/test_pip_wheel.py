"""The Python side as an ordinary wheel: what `pip install .` puts into an environment without ROS."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import aln_p3_core

pytestmark = pytest.mark.build


def test_wheel_holds_all_modules_and_nothing_of_the_messages(copy_sources: Callable[[], Path], tmp_path: Path) -> None:
    tree = copy_sources()
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", "wheel", ".", *options, "-w", str(tmp_path)]
    run = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr

    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"aln_p3_core-{aln_p3_core.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        entry_points = archive.read(f"aln_p3_core-{aln_p3_core.__version__}.dist-info/entry_points.txt").decode()
    assert "aln-p3 = aln_p3_ros.cli:main" in entry_points
    packages = ("aln_p3_core", "aln_p3_ros")
    sources = {str(path.relative_to(tree)) for package in packages for path in (tree / package).rglob("*.py")}
    assert sources - files == set()
    assert {f"aln_p3_core/weights/nano.{ending}" for ending in ("safetensors", "md")} <= files
    # A folder or a distribution named aln_p3 would replace the generated messages.
    assert {name.split("/")[0] for name in files} == {*packages, f"aln_p3_core-{aln_p3_core.__version__}.dist-info"}
