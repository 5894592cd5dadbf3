"""Polylines [P, 2] in metres: length, resampling, offsets, headings."""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import FloatArray


def arc_lengths(points: FloatArray) -> FloatArray:
    """[P] m along the line, from its first point."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def points_at(points: FloatArray, s: FloatArray) -> FloatArray:
    """Places [..., 2] at arc lengths along a line, clipped to its ends."""
    lengths = arc_lengths(points)
    s = np.clip(s, 0.0, lengths[-1])
    return np.stack([np.interp(s, lengths, points[:, axis]) for axis in (0, 1)], axis=-1)


def heading_at(points: FloatArray, s: float, span: float = 1.0) -> float:
    """Heading, rad, of a line around an arc length (clipped to its ends), over `span` metres to either side."""
    middle = float(np.clip(s, 0.0, arc_lengths(points)[-1]))
    a, b = points_at(points, np.array([middle - span, middle + span]))
    return float(np.arctan2(b[1] - a[1], b[0] - a[0]))


def resample(points: FloatArray, step: float) -> FloatArray:
    """The same line with points about `step` apart; both ends are kept."""
    length = arc_lengths(points)[-1]
    count = max(2, round(length / step) + 1)
    return points_at(points, np.linspace(0.0, length, count))


def without_repeats(points: FloatArray, least: float = 0.01) -> FloatArray:
    """The line without points that repeat the one before (its last point stays)."""
    kept = [points[0]]
    for point in points[1:]:
        if np.hypot(*(point - kept[-1])) > least:
            kept.append(point)
    if len(kept) == 1:
        kept.append(points[-1])
    kept[-1] = points[-1]
    return np.array(kept)


def offset_line(points: FloatArray, left: float) -> FloatArray:
    """The line moved `left` metres to its left, point by point."""
    edge = np.diff(points, axis=0)
    edge /= np.maximum(np.linalg.norm(edge, axis=1, keepdims=True), 1e-9)
    direction = np.concatenate([edge[:1], edge[:-1] + edge[1:], edge[-1:]])
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    # At a corner the point goes further out, so that both sides keep their distance (to twice at most).
    nearest = np.concatenate([edge, edge[-1:]])
    stretch = 1.0 / np.maximum((direction * nearest).sum(axis=1, keepdims=True), 0.5)
    normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    return points + left * stretch * normal
