"""Centrelines as the arc-and-line paths of the nuScenes map expansion (`arcline_path_3`).

The expansion describes a lane by pieces of three segments each: an arc, a straight or arc, an arc, all with one
radius. Here every piece has a single segment that is not empty: a straight line or a circular arc, fitted to the
centreline's points as long as it stays within a tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aln_p3_core.geometry import FloatArray

#: Farthest that a point of the centreline may lie from the fitted piece, m.
TOLERANCE_M = 0.05
_STRAIGHT_RADIUS_M = 999.999
_MAX_RADIUS_M = 3000.0
_MIN_LENGTH_M = 1e-3


def fit_arcline(points: FloatArray) -> list[dict[str, Any]]:
    """Pieces that follow a polyline [P, 2] (P >= 2) from its first point to its last.

    Returns:
        Rows with `start_pose` and `end_pose` (x, y, heading), `shape`, `radius` and `segment_length`, as the
        devkit's `arcline_path_utils` read them.
    """
    keep = np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > _MIN_LENGTH_M])
    kept = points[keep]
    pieces = []
    first = 0
    while first < len(kept) - 1:
        last = first + 1
        piece = _piece(kept[first : last + 1])
        while last < len(kept) - 1:
            longer = _piece(kept[first : last + 2])
            if longer is None:
                break
            piece, last = longer, last + 1
        assert piece is not None  # two points always have a line
        pieces.append(piece)
        first = last
    return pieces


def _piece(points: FloatArray) -> dict[str, Any] | None:
    """A line or an arc from the first to the last point, or None when it leaves a point too far aside."""
    start, end = points[0], points[-1]
    chord = end - start
    length = float(np.hypot(*chord))
    if length < _MIN_LENGTH_M:
        return None
    direction = chord / length
    offset = points - start
    side = direction[0] * offset[:, 1] - direction[1] * offset[:, 0]
    heading = float(np.arctan2(direction[1], direction[0]))
    if np.abs(side).max() <= TOLERANCE_M / 2:
        return _row(start, end, heading, heading, "LSL", _STRAIGHT_RADIUS_M, [0.0, length, 0.0])
    # The circle through both ends whose height over the chord is that of the point nearest to the middle.
    along = offset @ direction
    middle = int(np.abs(along - length / 2).argmin())
    radius = _signed_radius(start, points[middle], end)
    if abs(radius) > _MAX_RADIUS_M or abs(radius) < length / 2:
        return None
    # Angle that the arc turns through; less than a half circle, since the chord is shorter than the diameter.
    turn = 2 * np.arcsin(length / (2 * radius))
    center = start + radius * np.array([-np.sin(heading - turn / 2), np.cos(heading - turn / 2)])
    if np.abs(np.linalg.norm(points - center, axis=1) - abs(radius)).max() > TOLERANCE_M:
        return None
    if along.min() < -TOLERANCE_M or along.max() > length + TOLERANCE_M:
        return None
    shape = "LSL" if radius > 0 else "RSR"
    arc = [abs(turn * radius), 0.0, 0.0]
    return _row(start, end, heading - turn / 2, heading + turn / 2, shape, abs(radius), arc)


def _signed_radius(a: FloatArray, b: FloatArray, c: FloatArray) -> float:
    """Radius of the circle through three points, positive when it turns left; infinite on a line."""
    ab, bc, ac = b - a, c - b, c - a
    cross = ab[0] * bc[1] - ab[1] * bc[0]
    if abs(cross) < 1e-12:
        return float("inf")
    return float(np.hypot(*ab) * np.hypot(*bc) * np.hypot(*ac) / (2 * cross))


def _row(
    start: FloatArray,
    end: FloatArray,
    start_heading: float,
    end_heading: float,
    shape: str,
    radius: float,
    lengths: list,
) -> dict[str, Any]:
    return {
        "start_pose": [float(start[0]), float(start[1]), float(start_heading)],
        "end_pose": [float(end[0]), float(end[1]), float(end_heading)],
        "shape": shape,
        "radius": float(radius),
        "segment_length": [float(length) for length in lengths],
    }
