"""Makes the kinked centrelines of maps into paths that a car can follow."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.lines import arc_lengths, points_at

#: Spacing of path points, m.
PATH_STEP_M = 0.5
#: Straight and gently bent stretches are smoothed over the first length, m, tight ones over the second.
_GENTLE_M = 6.0
_TIGHT_M = 1.2
#: Where the two differ by this, m, the stretch counts as tight (and half of it at a third of that).
_TIGHT_DIFFERENCE_M = 0.15
#: Tighter curves than this, 1/m, are widened: the car can steer 0.26 and needs room to correct.
_MAX_CURVATURE = 0.19
_WIDENING_ROUNDS = 40


def smooth_path(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A smooth path near a polyline.

    Args:
        points: [P, 2] the line, m.

    Returns:
        The path [Q, 2], evenly spaced by about `PATH_STEP_M`, and the arc length on `points` [Q], m, that each of its
        points stands for. Ends stay where they are.
    """
    length = float(arc_lengths(points)[-1])
    source = np.linspace(0.0, length, max(3, round(length / PATH_STEP_M) + 1))
    raw = points_at(points, source)
    step = length / (len(source) - 1)
    gentle, tight = _blurred(raw, _GENTLE_M / step), _blurred(raw, _TIGHT_M / step)
    difference = np.linalg.norm(gentle - tight, axis=1)
    weight = np.clip(difference / _TIGHT_DIFFERENCE_M, 0.0, 1.0)
    weight = gaussian_filter1d(weight, 4.0 / step, mode="nearest")[:, None]
    path = _blurred(weight * tight + (1 - weight) * gentle, 1.0 / step)
    for _ in range(_WIDENING_ROUNDS):
        excess = np.clip(np.abs(_curvature(path)) / _MAX_CURVATURE - 0.95, 0.0, 0.2) * 5.0
        if excess.max() < 0.25:
            break
        spread = np.clip(3.0 * gaussian_filter1d(excess, 1.5 / step, mode="nearest"), 0.0, 1.0)[:, None]
        path = path + spread * (_blurred(path, 1.0 / step) - path)
    # Smoothing moved the points along the path, too: space them evenly again.
    s = arc_lengths(path)
    even = np.linspace(0.0, s[-1], max(3, round(s[-1] / PATH_STEP_M) + 1))
    return points_at(path, even), np.interp(even, s, source)


def _blurred(points: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur along the line; beyond its ends the line is taken to go on as it came, turned half around."""
    pad = min(len(points) - 1, int(np.ceil(4 * sigma)))
    before = 2 * points[0] - points[pad:0:-1]
    after = 2 * points[-1] - points[-2 : -2 - pad : -1]
    whole = np.concatenate([before, points, after])
    return gaussian_filter1d(whole, sigma, axis=0, mode="nearest")[pad : pad + len(points)]


def _curvature(points: FloatArray) -> FloatArray:
    first = np.gradient(points, axis=0)
    second = np.gradient(first, axis=0)
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return cross / np.maximum(np.linalg.norm(first, axis=1) ** 3, 1e-9)
