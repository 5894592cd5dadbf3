"""Generates, builds and installs the messages and services into the environment of the running Python.

Usage: python scripts/build_interfaces.py [--build-dir DIR]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def build_environment(prefix: Path) -> dict[str, str]:
    """The environment in which CMake finds the ROS 2 wheels of the virtual environment at `prefix`."""
    environment = dict(os.environ)
    environment["PATH"] = f"{prefix / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment["VIRTUAL_ENV"] = str(prefix)
    environment["AMENT_PREFIX_PATH"] = str(prefix)
    environment["CMAKE_PREFIX_PATH"] = str(prefix)
    # A sourced distribution would put its own generators before those of the wheels.
    environment.pop("PYTHONPATH", None)
    return environment


def build_interfaces(source: Path, build: Path, prefix: Path) -> None:
    """Builds the interfaces of the package at `source` in `build` and installs them into `prefix`.

    Raises:
        subprocess.CalledProcessError: CMake or the compiler failed; their output has gone to stdout and stderr.
    """
    environment = build_environment(prefix)
    subprocess.run(
        [
            "cmake",
            *("-S", str(source), "-B", str(build), "-G", "Ninja"),
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DPython3_EXECUTABLE={prefix / 'bin' / 'python3'}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            "-DALN_P3_INTERFACES_ONLY=ON",
        ],
        env=environment,
        check=True,
    )
    subprocess.run(["cmake", "--build", str(build), "--target", "install"], env=environment, check=True)


def main() -> int:
    """Builds into the running environment."""
    parser = argparse.ArgumentParser(description="Build the messages and services into this Python environment.")
    parser.add_argument("--build-dir", type=Path, default=REPOSITORY / "build" / "interfaces")
    arguments = parser.parse_args()
    build_interfaces(REPOSITORY, arguments.build_dir, Path(sys.prefix))
    return 0


if __name__ == "__main__":
    sys.exit(main())
