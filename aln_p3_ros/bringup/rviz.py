"""What RViz shows: the shipped file, in the frames of the graph."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from aln_p3_ros.resources import share_path
from aln_p3_ros.topics import BASE_FRAME, ODOM_FRAME


def rviz_file(odom_frame: str = ODOM_FRAME, base_frame: str = BASE_FRAME) -> Path:
    """The file for `rviz2 -d`: the shipped one, or a copy of it in other frames, which lasts as long as this process.

    Args:
        odom_frame: frame fixed to the ground.
        base_frame: frame of the vehicle, which grid and camera follow.
    """
    shipped = share_path("rviz", "aln_p3.rviz")
    frames = {ODOM_FRAME: odom_frame, BASE_FRAME: base_frame}
    if all(name == default for default, name in frames.items()):
        return shipped
    import yaml

    tree = _in_frames(yaml.safe_load(shipped.read_text(encoding="utf-8")), frames)
    names = "_".join(name.replace("/", "_") for name in frames.values())
    path = Path(_folder().name) / f"{names}.rviz"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def _in_frames(tree: Any, frames: dict[str, str]) -> Any:
    if isinstance(tree, list):
        return [_in_frames(entry, frames) for entry in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: frames.get(value, value)
        if key.endswith(" Frame") and isinstance(value, str)
        else _in_frames(value, frames)
        for key, value in tree.items()
    }


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Kept until the process ends: RViz reads its file some time after it was started."""
    return tempfile.TemporaryDirectory(prefix="aln_p3_rviz_")
