"""How sure a mean is: bootstrap over scenes, since the samples of a scene are no independent draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aln_p3_core.geometry import FloatArray


@dataclass(frozen=True, eq=False)
class Band:
    """Means over samples, and the range that holds them in 95 % of resamplings of the scenes.

    Attributes:
        mean, low, high: of the shape of one sample; NaN where nothing was measured. With a single scene low and high
            are NaN: it says nothing about others.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray


def scene_bootstrap(
    values: ArrayLike, scenes: Sequence[str], *, resamplings: int = 1000, share: float = 0.95, seed: int = 0
) -> Band:
    """Mean and band of [S, ...] values; NaN ones do not count.

    Args:
        values: one row a sample.
        scenes: [S] the scene of each.
        resamplings: draws of as many scenes as there are, with repetition.
        share: of the draws that the band holds.
        seed: of the draws.
    """
    array = np.asarray(values, dtype=np.float64)
    known = np.isfinite(array)
    names, group = np.unique(np.asarray(scenes, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), *array.shape[1:]))
    counts = np.zeros_like(sums)
    np.add.at(sums, group, np.where(known, array, 0.0))
    np.add.at(counts, group, known.astype(np.float64))
    mean = _ratio(sums.sum(axis=0), counts.sum(axis=0))
    if len(names) < 2:
        nothing = np.full_like(mean, np.nan)
        return Band(mean, nothing, nothing)
    rng = np.random.default_rng([seed, len(names)])
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamplings).astype(np.float64)
    means = _ratio(np.tensordot(drawn, sums, axes=1), np.tensordot(drawn, counts, axes=1))
    edge = (1 - share) / 2
    low, high = np.nanquantile(np.where(np.isfinite(mean), means, 0.0), [edge, 1 - edge], axis=0)
    return Band(mean, np.where(np.isfinite(mean), low, np.nan), np.where(np.isfinite(mean), high, np.nan))


def scene_sums(values: ArrayLike, scenes: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Sum and number of the [S] values of every scene, in order; NaN ones do not count."""
    array = np.asarray(values, dtype=np.float64)
    known = np.isfinite(array)
    names, group = np.unique(np.asarray(scenes, dtype=str), return_inverse=True)
    sums = np.bincount(group, np.where(known, array, 0.0), len(names))
    counts = np.bincount(group, known, len(names))
    return {str(name): (float(total), int(count)) for name, total, count in zip(names, sums, counts, strict=True)}


def band_numbers(band: Band) -> dict[str, float | None]:
    """Mean, low and high end of a band of one number; None where it is not known."""
    values = {"mean": float(band.mean), "low": float(band.low), "high": float(band.high)}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _ratio(sums: FloatArray, counts: FloatArray) -> FloatArray:
    return np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0)
