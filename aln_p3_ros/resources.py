"""Where the package's own files (config/, launch/, rviz/, msg/) lie: in the source tree, or in an installation.

Files belong to the code that uses them. Code that runs from a source tree (an editable install, a symlink install)
takes that tree's files, whatever else is sourced; installed code takes those of the ROS package `aln_p3`. An
environment may hold the messages alone under that name, so a folder counts only when it has what is asked for.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from aln_p3_core.errors import ConfigError

PACKAGE = "aln_p3"


def share_path(*parts: str) -> Path:
    """Path of a file or folder of the package, such as `share_path("config", "driver.yaml")`.

    Raises:
        ConfigError: neither the source tree nor an installed package has it; the message lists where it was sought.
    """
    candidates = [folder.joinpath(*parts) for folder in _share_folders()]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    sought = ", ".join(map(str, candidates)) or "nowhere: AMENT_PREFIX_PATH is empty"
    raise ConfigError(
        f"{'/'.join(parts) or 'the share folder'} of the ROS package {PACKAGE} is not found (sought: {sought}); "
        "source the workspace that it was built in, or run from the source tree"
    )


def _share_folders() -> list[Path]:
    """Folders that may hold the package's files, best first."""
    source_tree = _source_tree(Path(__file__).resolve())
    if source_tree is not None:
        return [source_tree]
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return [prefix / "share" / PACKAGE for prefix in prefixes]


@cache
def _source_tree(module: Path) -> Path | None:
    """The source tree that `module` lies in; None for installed code."""
    tree = module.parents[1]
    return tree if (tree / "package.xml").is_file() and (tree / "msg").is_dir() else None


def is_installed(package: str, executable: str) -> bool:
    """Whether a program of a ROS package can be run as `ros2 run` does."""
    try:
        from ament_index_python.packages import get_package_prefix

        program = Path(get_package_prefix(package)) / "lib" / package / executable
        return program.is_file() and os.access(program, os.X_OK)
    except (LookupError, OSError):
        return False


def config_directory() -> Path:
    """Folder of the YAML files with parameters and topic sets."""
    return share_path("config")


def interface_files() -> list[Path]:
    """The .msg files of this package, sorted by name."""
    return sorted(share_path("msg").glob("*.msg"))
