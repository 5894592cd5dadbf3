"""The environment that nodes need: the Fast DDS profile with enough shared memory for six cameras."""

from __future__ import annotations

import os
from collections.abc import Mapping

from aln_p3_core.errors import ConfigError
from aln_p3_ros.resources import share_path

#: Fast DDS reads the profile from either of these (the second since Jazzy's successor).
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def dds_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that make Fast DDS read the shipped profile; none where a profile is set already.

    Raises:
        ConfigError: where the package's files are not installed.
    """
    current = os.environ if environment is None else environment
    if any(current.get(name) for name in _PROFILE_VARIABLES):
        return {}
    profile = str(share_path("config", "fastdds.xml"))
    return dict.fromkeys(_PROFILE_VARIABLES, profile)


def use_dds_profile() -> None:
    """Sets the variables in this process; before `rclpy.init`.

    Where the package's files are not installed (a plain `pip install`), a node runs all the same, with a warning.
    """
    try:
        os.environ.update(dds_environment())
    except ConfigError as error:
        from rclpy.logging import get_logger

        get_logger("environment").warning(
            f"{error}. Going on without the Fast DDS profile: raw images of six cameras may get lost, since its shared "
            f"memory does not hold them; {_PROFILE_VARIABLES[0]} can name a profile"
        )
