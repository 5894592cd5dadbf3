"""Where the files of a root's expansions belong."""

from __future__ import annotations

from pathlib import Path


def map_file(root: Path, location: str) -> Path:
    """The map expansion of a location, which need not be there."""
    return root / "maps" / "expansion" / f"{location}.json"


def can_bus_file(root: Path, scene: str) -> Path:
    """The pose messages of a scene, which need not be there."""
    return root / "can_bus" / f"{scene}_pose.json"
