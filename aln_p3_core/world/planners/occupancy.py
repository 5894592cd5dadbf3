"""Which stretch of a path is taken, by whom, and when: exact for oriented boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH
from aln_p3_core.world.planners.drive_path import DrivePath
from aln_p3_core.world.planners.forecast import Forecasts

_EGO_HALF = np.array(EGO_SIZE_LWH[:2]) / 2
#: m between two tried places of the ego on its path.
_SAMPLE_M = 0.75
#: Every so many of them are looked at first. Nobody whose middle is farther from the path than this touches it, m.
_COARSE = 6
_REACH_M = 12.0


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Stretches of a path at which the ego would touch somebody. H = hypotheses, T = steps of the forecast.

    Attributes:
        first, last: [H, T] m along the path of the rear axle; inf and -inf where it touches nobody.
        along: [H, T] m/s, speed of the other one along the path there.
    """

    first: FloatArray
    last: FloatArray
    along: FloatArray

    @property
    def any(self) -> NDArray[np.bool_]:
        """[H] whether a hypothesis ever touches the path."""
        return np.isfinite(self.first).any(axis=1)


def occupancy(path: DrivePath, forecasts: Forecasts, margins: FloatArray, length_m: float) -> Occupancy:
    """Intersects forecasts with the ego's body swept along a path.

    Args:
        path: of the rear axle.
        forecasts: of others.
        margins: [H] m added to the ego's half width for each.
        length_m: how far along the path to look.
    """
    hypotheses, steps = forecasts.speeds.shape
    first = np.full((hypotheses, steps), np.inf)
    last = np.full((hypotheses, steps), -np.inf)
    along = np.zeros((hypotheses, steps))
    s = np.arange(0.0, min(length_m, float(path.s[-1])), _SAMPLE_M)
    places, headings = path.at(s)
    direction = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    middles = places + EGO_CENTER_AHEAD_M * direction
    # Those that stand are looked at once.
    moving = np.flatnonzero(forecasts.moving)
    still = np.flatnonzero(~forecasts.moving)
    rows = np.concatenate([np.repeat(moving, steps), still])
    step = np.concatenate([np.tile(np.arange(steps), len(moving)), np.zeros(len(still), int)])
    pair, sample = _close(forecasts, rows, step, middles, margins)
    if not len(pair):
        return Occupancy(first, last, along)
    row, at = rows[pair], step[pair]
    hit = _touches(
        forecasts.positions[row, at] - middles[sample],
        direction[sample],
        forecasts.headings[row, at],
        forecasts.sizes[row] / 2,
        margins[row],
    )
    row, at, sample = row[hit], at[hit], sample[hit]
    # Who stands beside the car already is not touched by driving on; only what really comes nearer counts.
    beside = np.isin(row, row[(sample == 0) & ~forecasts.moving[row]])
    if beside.any():
        real = _touches(
            forecasts.positions[row, at] - middles[sample],
            direction[sample],
            forecasts.headings[row, at],
            forecasts.sizes[row] / 2,
            np.zeros(len(row)),
        )
        really = np.isin(row, row[(sample == 0) & real])
        kept = ~beside | (real & ~really)
        row, at, sample = row[kept], at[kept], sample[kept]
    np.minimum.at(first, (row, at), s[sample] - 0.5 * _SAMPLE_M)
    np.maximum.at(last, (row, at), s[sample] + 0.5 * _SAMPLE_M)
    nose = np.stack([np.cos(forecasts.headings[row, at]), np.sin(forecasts.headings[row, at])], axis=-1)
    along[row, at] = forecasts.speeds[row, at] * (nose * direction[sample]).sum(axis=1)
    first[still] = first[still, :1]
    last[still] = last[still, :1]
    return Occupancy(first, last, along)


def _close(
    forecasts: Forecasts, rows: NDArray[np.int64], step: NDArray[np.int64], middles: FloatArray, margins: FloatArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (row of `rows`, sample of the path) that are near enough to touch."""
    centers = forecasts.positions[rows, step]
    reach = np.hypot(*_EGO_HALF) + np.hypot(*(forecasts.sizes / 2).T) + margins
    coarse = middles[::_COARSE]
    near = np.zeros(len(centers), bool)
    inside = (centers > middles.min(axis=0) - _REACH_M) & (centers < middles.max(axis=0) + _REACH_M)
    kept = np.flatnonzero(inside.all(axis=1))
    near[kept] = _within(centers[kept], coarse, reach[rows[kept]] + _COARSE * _SAMPLE_M).any(axis=1)
    kept = np.flatnonzero(near)
    pair, sample = np.nonzero(_within(centers[kept], middles, reach[rows[kept]]))
    return kept[pair], sample


def _within(centers: FloatArray, places: FloatArray, reach: FloatArray) -> NDArray[np.bool_]:
    """[R, S] whether each of R places is within its reach [R] of S others."""
    x = centers[:, 0, None] - places[:, 0]
    y = centers[:, 1, None] - places[:, 1]
    within: NDArray[np.bool_] = x * x + y * y < reach[:, None] ** 2
    return within


def _touches(
    offset: FloatArray, direction: FloatArray, headings: FloatArray, half: FloatArray, margin: FloatArray
) -> NDArray[np.bool_]:
    """Separating axes of the ego's box (widened by `margin`) and another box, `offset` from middle to middle."""
    nose = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    cos = np.abs((nose * direction).sum(axis=1))
    sin = np.abs(direction[:, 0] * nose[:, 1] - direction[:, 1] * nose[:, 0])
    length, width = _EGO_HALF[0], _EGO_HALF[1] + margin
    ahead = np.abs((offset * direction).sum(axis=1))
    aside = np.abs(direction[:, 0] * offset[:, 1] - direction[:, 1] * offset[:, 0])
    theirs = np.abs((offset * nose).sum(axis=1))
    across = np.abs(nose[:, 0] * offset[:, 1] - nose[:, 1] * offset[:, 0])
    touching: NDArray[np.bool_] = (
        (ahead < length + cos * half[:, 0] + sin * half[:, 1])
        & (aside < width + sin * half[:, 0] + cos * half[:, 1])
        & (theirs < half[:, 0] + cos * length + sin * width)
        & (across < half[:, 1] + sin * length + cos * width)
    )
    return touching
