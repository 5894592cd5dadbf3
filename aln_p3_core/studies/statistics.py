"""Statistics of paired trainings: differences with intervals, Holm's correction, and what a study can detect.

A measure of a variant is a `Trials`: one value for each seed, and, where the measure is a sum over samples, the sums
and counts of each scene. Two variants are paired twice: seed by seed (same data, initialisation and order), and scene
by scene (all trainings are measured on the same ones).

**Paired bootstrap over seeds and scenes.** Scenes are drawn with repetition; both variants get the same draws, and so
do all seeds: a scene that is hard for one training is hard for all, so scenes drawn anew for each seed would look like
more of them than there are. The variance of a bootstrap of seeds is known without drawing: (S - 1) / S of the right
one, which is taken. The two are added. What is of a scene in one training alone is in both, once more than it should
be; drawn together, seeds and scenes would count it three times. Intervals and tests take a t distribution, whose
degrees of freedom combine those of seeds and scenes (Welch, Satterthwaite). With five seeds a sign test cannot say less
than 0.06, so there is none here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2
from scipy.stats import t as student

from aln_p3_core.geometry import FloatArray

#: (sum, count) of a scene's samples.
SceneSum = tuple[float, float]
RESAMPLINGS = 10_000
# Quantiles of a chi-squared distribution, over which the power of a t test is a mean.
_QUANTILES = (np.arange(4000) + 0.5) / 4000


@dataclass(frozen=True, eq=False)
class Trials:
    """A measure of one variant.

    Attributes:
        values: by seed.
        scenes: sum and count by seed and scene, for measures that are sum / count over all samples; None for others.
    """

    values: Mapping[int, float]
    scenes: Mapping[int, Mapping[str, SceneSum]] | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that have a value, in order."""
        return tuple(sorted(seed for seed, value in self.values.items() if math.isfinite(value)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, or a difference of two, and how sure it is.

    Attributes:
        value: the mean (difference).
        low, high: interval of the wanted share; NaN where nothing can be said (one seed and no scenes).
        standard_error: of seeds and scenes.
        degrees: of freedom of its t distribution.
        p: two-sided, of the value being 0.
        seed_sd: standard deviation over seeds. scene_error: standard error from the scenes alone.
        seeds, scenes: how many; 0 scenes where the measure has no values of scenes.
        by_seed: the value of every seed.
    """

    value: float
    low: float
    high: float
    standard_error: float
    degrees: float
    p: float
    seed_sd: float
    scene_error: float
    seeds: int
    scenes: int
    by_seed: Mapping[int, float]


def estimate_mean(trials: Trials, *, alpha: float = 0.05, resamplings: int = RESAMPLINGS) -> Estimate | None:
    """The mean over seeds with its interval of 1 - alpha; None without any value."""
    return _estimate(trials, None, alpha, resamplings)


def estimate_difference(
    trials: Trials, reference: Trials, *, alpha: float = 0.05, resamplings: int = RESAMPLINGS
) -> Estimate | None:
    """Mean of the paired differences `trials - reference` over the seeds that both have; None where they share none."""
    return _estimate(trials, reference, alpha, resamplings)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p values in the order of the given ones.

    NaN (a test that was planned and could not be made) stays NaN and counts as one of the tests.
    """
    order = sorted(range(len(p_values)), key=lambda i: (math.isnan(p_values[i]), p_values[i]))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        if math.isnan(p_values[index]):
            break
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable_difference(
    standard_error: float, degrees: float = math.inf, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The true difference that a two-sided t test at `alpha` finds, with the right sign, with the probability `power`.

    With many degrees of freedom it is 2.8 standard errors (alpha 0.05, power 0.8). NaN without any spread.
    """
    # Trainings that do not differ at all do not tell by how much others would.
    if not (math.isfinite(standard_error) and standard_error > 0 and degrees > 0):
        return math.nan
    limit = float(student.ppf(1 - alpha / 2, degrees))
    # The estimate is divided by an error that is itself an estimate: sqrt(chi2 / degrees) of the true one.
    ratios = np.sqrt(chi2.ppf(_QUANTILES, degrees) / degrees) if math.isfinite(degrees) else np.ones(1)
    missing = lambda shift: float(ndtr(shift - limit * ratios).mean()) - power  # noqa: E731
    return float(brentq(missing, 0.0, 4.0 * limit + 10.0)) * standard_error


def expected_error(seed_sd: float, scene_error: float, seeds: int, scenes: int = 0) -> tuple[float, float]:
    """Standard error and degrees of freedom that a study of so many seeds (and scenes) will have.

    Args:
        seed_sd: standard deviation of the paired difference over seeds, of a pilot.
        scene_error: standard error of it from the scenes alone; 0 where the measure has none.
        seeds, scenes: of the study.
    """
    of_seeds = seed_sd**2 / seeds
    error = math.sqrt(of_seeds + scene_error**2)
    return error, _degrees(of_seeds, scene_error**2, seeds, scenes)


def _estimate(trials: Trials, reference: Trials | None, alpha: float, resamplings: int) -> Estimate | None:
    both = [trials] if reference is None else [trials, reference]
    seeds = sorted(set.intersection(*(set(one.seeds) for one in both)))
    if not seeds:
        return None
    signs = (1.0, -1.0)[: len(both)]
    values = np.sum([[sign * one.values[s] for s in seeds] for sign, one in zip(signs, both, strict=True)], axis=0)
    count = len(seeds)
    of_seeds = float(values.var(ddof=1)) / count if count > 1 else 0.0
    tables = [one.scenes for one in both]
    known = [table for table in tables if table is not None and all(table.get(seed) for seed in seeds)]
    names = (
        sorted({name for table in known for seed in seeds for name in table[seed]}) if len(known) == len(both) else []
    )
    of_scenes = 0.0
    if len(names) > 1:
        ratios_RS = _resampled([_cells(table, seeds, names) for table in known], signs, resamplings)
        of_scenes = float(np.nanvar(ratios_RS.mean(axis=1)))
    degrees = _degrees(of_seeds, of_scenes, count, len(names))
    error = math.sqrt(of_seeds + of_scenes) if degrees > 0 else math.nan
    value = float(values.mean())
    reach = float(student.ppf(1 - alpha / 2, degrees)) * error if math.isfinite(error) else math.nan
    return Estimate(
        value=value,
        low=value - reach,
        high=value + reach,
        standard_error=error,
        degrees=degrees,
        p=_p_value(value, error, degrees),
        seed_sd=math.sqrt(of_seeds * count) if count > 1 else math.nan,
        scene_error=math.sqrt(of_scenes),
        seeds=count,
        scenes=len(names),
        by_seed={seed: float(one) for seed, one in zip(seeds, values, strict=True)},
    )


def _cells(
    table: Mapping[int, Mapping[str, SceneSum]], seeds: Sequence[int], names: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Sums [S, C] and counts [S, C]; a scene without samples of the measure counts none."""
    cells = np.array([[table[seed].get(name, (0.0, 0.0)) for name in names] for seed in seeds], dtype=np.float64)
    return cells[..., 0], cells[..., 1]


def _resampled(tables: Sequence[tuple[FloatArray, FloatArray]], signs: Sequence[float], resamplings: int) -> FloatArray:
    """Values [R, S] of resampled scenes, by seed."""
    seeds, scenes = tables[0][0].shape
    drawn_RC = _draws(scenes, resamplings)
    ratios_RS = np.zeros((resamplings, seeds))
    for sign, (sums_SC, counts_SC) in zip(signs, tables, strict=True):
        counts_RS = drawn_RC @ counts_SC.T
        ratio = np.divide(drawn_RC @ sums_SC.T, counts_RS, out=np.full_like(counts_RS, np.nan), where=counts_RS > 0)
        ratios_RS += sign * ratio
    return ratios_RS


@lru_cache(maxsize=8)
def _draws(count: int, resamplings: int) -> FloatArray:
    """[R, count] how often each of `count` scenes is drawn; the same in every call, and so for all measures."""
    rng = np.random.default_rng([0, count])
    return rng.multinomial(count, np.full(count, 1 / count), size=resamplings).astype(np.float64)


def _degrees(of_seeds: float, of_scenes: float, seeds: int, scenes: int) -> float:
    """Satterthwaite's degrees of freedom of a sum of two variances; 0 where there is neither."""
    parts = [(v, n - 1) for v, n in ((of_seeds, seeds), (of_scenes, scenes)) if n > 1]
    if not parts:
        return 0.0
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return float(sum(n for _, n in parts))
    return total**2 / sum(variance**2 / n for variance, n in parts)


def _p_value(value: float, error: float, degrees: float) -> float:
    if not math.isfinite(error):
        return math.nan
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * student.sf(abs(value) / error, degrees))
