"""Where the package's own files lie: in the source tree, or in the share folder of an installation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from aln_p3_core.errors import ConfigError


@cache
def package_share() -> Path:
    """Folder that holds msg/, config/, launch/ and rviz/.

    Raises:
        ConfigError: when neither the source tree nor an installed ROS package is found.
    """
    source_tree = Path(__file__).resolve().parents[1]
    if (source_tree / "package.xml").is_file() and (source_tree / "msg").is_dir():
        return source_tree
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError as error:
        raise ConfigError("the files of the ROS package aln_p3 are not installed; run from its source tree") from error
    try:
        return Path(get_package_share_directory("aln_p3"))
    except PackageNotFoundError as error:
        raise ConfigError(
            "the ROS package aln_p3 is not in AMENT_PREFIX_PATH; source the workspace it was built in"
        ) from error


def config_directory() -> Path:
    """Folder of the YAML files with parameters and topic sets."""
    return package_share() / "config"


def interface_files() -> list[Path]:
    """The .msg files of this package, sorted by name."""
    return sorted((package_share() / "msg").glob("*.msg"))
