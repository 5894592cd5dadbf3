"""What the set-up needs from the system: a Python of the right version, compilers, headers.

Runs under whatever Python starts the set-up (3.8 or newer), so it uses the standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from setup_progress import Progress, SetupError

#: Versions that all dependencies have wheels for, best first.
PYTHON_VERSIONS = ("3.12", "3.11")
#: Program -> Debian package.
PROGRAMS = {"cmake": "cmake", "ninja": "ninja-build", "g++": "g++"}
#: Debian packages that the cameras of the embedded world need: OpenGL without a screen, Mesa's software included.
GRAPHICS_PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri", "libx11-6", "libxext6", "libxrender1")

_PROBE = (
    "import importlib.util as u, pathlib, sys, sysconfig;"
    "header = pathlib.Path(sysconfig.get_path('include'), 'Python.h');"
    "print('%d.%d' % sys.version_info[:2], sys.executable, header.is_file(), u.find_spec('ensurepip') is not None)"
)


@dataclass(frozen=True)
class Python:
    """A Python interpreter.

    Attributes:
        executable: its path.
        version: such as 3.11.
        has_headers: Python.h is there: the messages are compiled against it.
        has_venv: it can make virtual environments.
    """

    executable: str
    version: str
    has_headers: bool
    has_venv: bool


def probe_python(command: str, environment: Mapping[str, str]) -> Python | None:
    """What `command` is, or None when it is not a Python that runs."""
    try:
        run = subprocess.run(
            [command, "-I", "-c", _PROBE],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        version, rest = run.stdout.strip().split(" ", 1)
        executable, headers, venv = rest.rsplit(" ", 2)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return Python(executable, version, headers == "True", venv == "True")


def find_python(wanted: str, environment: Mapping[str, str]) -> Python | None:
    """The interpreter to make the environment with: `wanted` (PYTHON=), else the first that fits.

    Raises:
        SetupError: `wanted` is given and is not Python 3.11 or 3.12.
    """
    if wanted:
        python = probe_python(wanted, environment)
        if python is None or python.version not in PYTHON_VERSIONS:
            found = f"is Python {python.version}" if python else "does not run"
            raise SetupError(f"PYTHON={wanted} {found}", "give a Python 3.11 or 3.12, such as PYTHON=python3.12")
        return python
    for candidate in (sys.executable, "python3", *(f"python{version}" for version in PYTHON_VERSIONS)):
        python = probe_python(candidate, environment)
        if python is not None and python.version in PYTHON_VERSIONS:
            return python
    return None


def missing_packages(python: Python | None) -> list[str]:
    """Debian packages that have to be installed before the set-up can go on."""
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if python is None:
        # Debian 12 and Ubuntu 22.04 name it so; Ubuntu 24.04 has 3.12 as python3 and never comes here.
        return [*packages, "python3.11", "python3.11-dev", "python3.11-venv"]
    if not python.has_headers:
        packages.append(f"python{python.version}-dev")
    if not python.has_venv:
        packages.append(f"python{python.version}-venv")
    return packages


def can_install() -> bool:
    """Whether system packages can be installed here without asking anybody."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(packages: list[str], progress: Progress, environment: Mapping[str, str], directory: Path) -> None:
    """Installs Debian packages, as root.

    Raises:
        SetupError: not root, or no apt-get here; the advice is the line to run.
    """
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise SetupError(
            f"these are missing: {' '.join(packages)}",
            "they are named as Debian and Ubuntu name them; install them with your system's package manager, "
            "then run the same make command again",
        )
    if os.geteuid() != 0:
        raise SetupError(
            "system packages are missing", f"run this line, then the same make command again:\n    sudo {line}"
        )
    apt = {**environment, "DEBIAN_FRONTEND": "noninteractive"}
    advice = f"run it by hand and see what it says: apt-get update && {line}"
    progress.run(["apt-get", "-q", "update"], advice, apt, directory)
    progress.run(line.split(), advice, apt, directory)
