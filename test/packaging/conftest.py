"""Fixtures of the build tests: copies of the source tree, and the environment that holds the ament wheels."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

#: What is no source: environments, outputs and caches.
NO_SOURCES = (".*", "__pycache__", "*.egg-info", "build", "install", "log", "out")


@pytest.fixture
def copy_sources(tmp_path: Path) -> Callable[[], Path]:
    """A function that copies the source tree into the test's folder and returns the copy."""

    def copy() -> Path:
        target = tmp_path / "tree"
        shutil.copytree(REPOSITORY, target, ignore=shutil.ignore_patterns(*NO_SOURCES))
        return target

    return copy


@pytest.fixture(scope="session")
def wheels_prefix() -> Path:
    """The running environment, where it has the ament wheels and the tools that build messages."""
    prefix = Path(sys.prefix)
    if not (prefix / "share" / "ament_cmake" / "package.xml").is_file():
        pytest.skip(f"no ament wheels in {prefix}; make setup installs them")
    for program in ("cmake", "ninja", "g++"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    return prefix
