"""Which camera goes where in the mosaic: by where it looks, seen from the driver's seat."""

from __future__ import annotations

import math

import numpy as np

from aln_p3_core.frame import DrivingFrame

#: More cameras side by side than this would be too small to read.
_MAX_COLUMNS = 4


def camera_rows(frame: DrivingFrame) -> list[list[str]]:
    """Rows of camera names, left to right.

    Cameras that look forward (within 95 degrees) come first, from left to right. Those that look back come
    below, from left to right as well: back left, back, back right, as in nuScenes' own pictures. A row of
    more than four cameras is broken in two.
    """
    headings = {name: _heading(frame, name) for name in frame.cameras}
    front = sorted((name for name in frame.cameras if abs(headings[name]) <= 95), key=lambda name: -headings[name])
    back = sorted((name for name in frame.cameras if abs(headings[name]) > 95), key=lambda name: headings[name] % 360)
    rows: list[list[str]] = []
    for side in (front, back):
        parts = math.ceil(len(side) / _MAX_COLUMNS)
        size = math.ceil(len(side) / parts) if parts else 0
        rows += [side[i * size : (i + 1) * size] for i in range(parts)]
    return rows


def camera_title(name: str) -> str:
    """Camera name as it is written in a picture: CAM_FRONT_LEFT -> front left."""
    return name.lower().removeprefix("cam_").removeprefix("camera_").replace("_", " ")


def _heading(frame: DrivingFrame, name: str) -> float:
    """Degrees to the left of straight ahead, -180..180; for a lost camera, which has no calibration, by its name."""
    if name in frame.views:
        x, y = frame.views[name].calibration.T_ego_cam[:2, 2]
        return float(np.degrees(np.arctan2(y, x)))
    words = set(name.lower().replace("-", "_").split("_"))
    back = bool(words & {"back", "rear"})
    side = ("left" in words) - ("right" in words)
    if not side:
        return 180.0 if back else 0.0
    return side * (110.0 if back else 55.0 if "front" in words else 90.0)
