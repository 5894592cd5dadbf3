"""aln_p3_core: an end-to-end driver and the language model that explains it, without ROS."""

from typing import Any

__version__ = "0.1.0"

#: The names of a user's first hour, imported on first use: `from aln_p3_core import Driver`.
_EXPORTS = {
    "Driver": "aln_p3_core.driver.driver",
    "DrivingFrame": "aln_p3_core.frame",
    "DrivingScene": "aln_p3_core.scene",
    "NuScenesDataset": "aln_p3_core.datasets.nuscenes",
}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        from importlib import import_module

        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
