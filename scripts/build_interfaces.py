"""Generates, builds and installs the messages and services into the environment of the running Python.

Beside those of this package it builds the stand-in interfaces of third_party_interfaces/, where the real ones are
missing.

Usage: python scripts/build_interfaces.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parents[1]


def build_environment(prefix: Path, packages_from: Path | None = None) -> dict[str, str]:
    """The environment in which CMake finds the ROS 2 wheels.

    Args:
        prefix: the virtual environment whose Python builds.
        packages_from: where the wheels are, if not in `prefix`.
    """
    wheels = packages_from or prefix
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join(
        [str(prefix / "bin"), str(wheels / "bin"), environment.get("PATH", os.defpath)]
    )
    environment["VIRTUAL_ENV"] = str(prefix)
    environment["AMENT_PREFIX_PATH"] = str(wheels)
    environment["CMAKE_PREFIX_PATH"] = str(wheels)
    # A sourced distribution would put its own generators before those of the wheels.
    environment.pop("PYTHONPATH", None)
    return environment


def build_interfaces(source: Path, build: Path, prefix: Path, packages_from: Path | None = None) -> None:
    """Builds the interfaces of the package at `source` in `build` and installs them into `prefix`.

    Args:
        source: a ROS package.
        build: build folder, made where it is missing.
        prefix: virtual environment to install into; its Python is the one that the messages are built for.
        packages_from: where the ROS 2 wheels are, if not in `prefix`.

    Raises:
        subprocess.CalledProcessError: CMake or the compiler failed; their output has gone to stdout and stderr.
    """
    environment = build_environment(prefix, packages_from)
    options = {
        "CMAKE_INSTALL_PREFIX": prefix,
        "Python3_EXECUTABLE": prefix / "bin" / "python3",
        "CMAKE_BUILD_TYPE": "Release",
        "BUILD_TESTING": "OFF",
    }
    definitions = [f"-D{name}={value}" for name, value in options.items()]
    command = ["cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", *definitions]
    subprocess.run(command, env=environment, check=True)
    subprocess.run(["cmake", "--build", str(build), "--target", "install"], env=environment, check=True)


def has_real_package(prefix: Path, stand_in: Path) -> bool:
    """Whether the package that `stand_in` stands in for is installed below `prefix`, in another version."""
    installed = prefix / "share" / stand_in.name / "package.xml"
    return installed.is_file() and _version(installed) != _version(stand_in / "package.xml")


def _version(package_xml: Path) -> str:
    return ElementTree.parse(package_xml).findtext("version", "").strip()


def main() -> int:
    """Builds into the running environment."""
    prefix = Path(sys.prefix)
    stand_ins = sorted(path.parent for path in (REPOSITORY / "third_party_interfaces").glob("*/package.xml"))
    for source in [*(path for path in stand_ins if not has_real_package(prefix, path)), REPOSITORY]:
        name = "aln_p3" if source == REPOSITORY else source.name
        build_interfaces(source, prefix / "build" / name, prefix)
    return 0


if __name__ == "__main__":
    sys.exit(main())
