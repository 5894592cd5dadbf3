"""Statistics of paired trainings: known answers, properties, and how often nothing is taken for something."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from aln_p3_core.studies.statistics import (
    Trials,
    detectable_difference,
    estimate_difference,
    estimate_mean,
    expected_error,
    holm,
)


def trials(values_SC: np.ndarray, counts: np.ndarray | None = None) -> Trials:
    """Means of scenes by seed; every scene counts alike unless `counts` [C] says otherwise."""
    counts = np.ones(values_SC.shape[1]) if counts is None else counts
    totals = (values_SC * counts).sum(axis=1) / counts.sum()
    scenes = {
        seed: {f"scene-{c}": (value * counts[c], counts[c]) for c, value in enumerate(row)}
        for seed, row in enumerate(values_SC)
    }
    return Trials(dict(enumerate(totals.tolist())), scenes)


def test_without_scenes_it_is_the_paired_t_test() -> None:
    ours, theirs = [1.0, 2.5, 2.0, 4.0, 3.0], [0.5, 2.0, 2.2, 3.0, 2.0]
    found = estimate_difference(Trials(dict(enumerate(ours))), Trials(dict(enumerate(theirs))))
    known = ttest_rel(ours, theirs)
    assert found is not None
    assert found.value == pytest.approx(0.56) and found.degrees == 4 and found.scenes == 0
    assert found.p == pytest.approx(known.pvalue)
    low, high = known.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))


def test_only_seeds_that_both_have_are_paired() -> None:
    found = estimate_difference(Trials({0: 1.0, 1: 2.0, 2: 9.0, 3: math.nan}), Trials({1: 1.0, 2: 5.0, 3: 1.0}))
    assert found is not None and dict(found.by_seed) == {1: 1.0, 2: 4.0}
    assert estimate_difference(Trials({0: 1.0}), Trials({1: 1.0})) is None


def test_standard_error_of_seeds_and_scenes() -> None:
    rng = np.random.default_rng(1)
    seeds, scenes = 5, 80
    # Differences: a part of the seed, a part of the scene, nothing else.
    of_seed, of_scene = rng.normal(0, 0.3, seeds), rng.normal(0, 2.0, scenes)
    level = rng.normal(10, 5, scenes) + rng.normal(0, 3, (seeds, 1))
    found = estimate_difference(trials(level + of_seed[:, None] + of_scene), trials(level))
    assert found is not None
    from_seeds, from_scenes = of_seed.var(ddof=1) / seeds, of_scene.var() / scenes
    assert found.scene_error == pytest.approx(math.sqrt(from_scenes), rel=0.03)
    assert found.standard_error == pytest.approx(math.sqrt(from_seeds + from_scenes), rel=0.03)
    assert found.seed_sd == pytest.approx(of_seed.std(ddof=1))
    # What all variants share of seeds and scenes drops out of a difference, and stays in a mean.
    mean = estimate_mean(trials(level))
    assert mean is not None and mean.standard_error > 3 * found.standard_error


def test_scenes_weigh_by_their_samples() -> None:
    counts = np.array([1.0, 9.0])
    found = estimate_mean(trials(np.array([[0.0, 10.0], [0.0, 10.0]]), counts))
    assert found is not None and found.value == pytest.approx(9.0)


def test_a_scene_without_samples_says_nothing() -> None:
    values = np.random.default_rng(2).normal(0, 1, (3, 6))
    one, other = trials(values), trials(values + 0.5)
    assert other.scenes is not None
    missing = Trials(other.values, {seed: dict(list(s.items())[:-1]) for seed, s in other.scenes.items()})
    found = estimate_difference(missing, one)
    assert found is not None and found.scenes == 6 and math.isfinite(found.standard_error)


def test_one_seed_is_judged_by_its_scenes_and_nothing_without() -> None:
    values = np.random.default_rng(3).normal(0, 1, (1, 30))
    found = estimate_difference(trials(values + 1), trials(values))
    assert found is not None and found.degrees == 29 and math.isnan(found.seed_sd)
    bare = estimate_difference(Trials({0: 2.0}), Trials({0: 1.0}))
    assert bare is not None and bare.value == 1.0
    assert math.isnan(bare.p) and math.isnan(bare.low) and math.isnan(bare.standard_error)


def test_equal_trainings_do_not_differ() -> None:
    same = trials(np.random.default_rng(4).normal(0, 1, (3, 20)))
    found = estimate_difference(same, same)
    assert found is not None and (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("seed_sd", "scene_sd"), [(0.0, 0.0), (1.0, 0.5), (0.2, 3.0)])
def test_nothing_is_seldom_taken_for_something(seeds: int, seed_sd: float, scene_sd: float) -> None:
    """Of two variants without a difference, a test at 0.05 finds one in 5 % of studies, whatever varies more."""
    rng = np.random.default_rng(5)
    studies, scenes = 400, 40
    found = 0
    for _ in range(studies):
        differences = (
            rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, scene_sd, scenes) + rng.normal(0, 1, (seeds, scenes))
        )
        estimate = estimate_difference(trials(differences), trials(np.zeros_like(differences)), resamplings=400)
        assert estimate is not None
        found += estimate.p < 0.05
    # Three standard deviations of 400 draws above 5 %.
    assert found / studies < 0.083


def test_what_is_of_a_scene_in_one_training_counts_twice_and_not_thrice() -> None:
    rng = np.random.default_rng(7)
    seeds, scenes = 5, 40
    squares = []
    for _ in range(200):
        noise = rng.normal(0, 1, (seeds, scenes))
        found = estimate_difference(trials(noise), trials(np.zeros_like(noise)), resamplings=400)
        assert found is not None
        squares.append(found.standard_error**2 * seeds * scenes)
    assert 1.8 < np.mean(squares) < 2.2


def test_a_difference_of_the_detectable_size_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(6)
    seeds, seed_sd = 5, 1.0
    error, degrees = expected_error(seed_sd, 0.0, seeds)
    true = detectable_difference(error, degrees)
    found = []
    for _ in range(1000):
        values = dict(enumerate(rng.normal(true, seed_sd, seeds).tolist()))
        estimate = estimate_difference(Trials(values), Trials(dict.fromkeys(values, 0.0)))
        assert estimate is not None
        found.append(estimate.p < 0.05)
    assert 0.77 < np.mean(found) < 0.83


def test_detectable_difference_is_2_8_standard_errors() -> None:
    assert detectable_difference(1.0) == pytest.approx(2.80, abs=0.005)
    # A non-central t distribution: with few degrees of freedom more than the quantiles' sum, 5.36.
    assert detectable_difference(2.0, 2) == pytest.approx(2 * 5.65, abs=0.05)
    assert detectable_difference(1.0, 2, alpha=0.05 / 28) == pytest.approx(30.0, abs=0.4)
    assert math.isnan(detectable_difference(math.nan, 4)) and math.isnan(detectable_difference(0.0, 4))
    error, degrees = expected_error(2.0, 0.0, 4)
    assert (error, degrees) == (1.0, 3)
    # Scenes alone: their own degrees of freedom; both: in between.
    assert expected_error(0.0, 0.5, 4, 50) == pytest.approx((0.5, 49))
    both = expected_error(1.0, 0.5, 4, 50)
    assert both[0] == pytest.approx(math.sqrt(0.5)) and 3 < both[1] < 52


def test_holm_known_answer() -> None:
    # 0.01 * 4, 0.02 * 3 = 0.06, then 0.03 * 2 = 0.06, and 0.5.
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([]) == []


def test_holm_counts_tests_that_could_not_be_made() -> None:
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.03) and adjusted[2] == pytest.approx(0.08) and math.isnan(adjusted[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_properties(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= min(1.0, len(p_values) * p) + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


@given(st.integers(2, 5), st.integers(2, 8), st.floats(-50, 50), st.floats(0.1, 20), st.integers(0, 100))
def test_difference_properties(seeds: int, scenes: int, shift: float, scale: float, draw: int) -> None:
    rng = np.random.default_rng(draw)
    a, b = rng.normal(0, 1, (2, seeds, scenes))
    counts = rng.integers(1, 9, scenes).astype(float)
    plain = estimate_difference(trials(a, counts), trials(b, counts), resamplings=300)
    turned = estimate_difference(trials(b, counts), trials(a, counts), resamplings=300)
    moved = estimate_difference(trials(a * scale + shift, counts), trials(b * scale + shift, counts), resamplings=300)
    assert plain is not None and turned is not None and moved is not None
    assert turned.value == pytest.approx(-plain.value) and turned.p == pytest.approx(plain.p)
    assert moved.standard_error == pytest.approx(scale * plain.standard_error, rel=1e-6)
    assert moved.p == pytest.approx(plain.p, rel=1e-6, abs=1e-9)
    assert plain.low <= plain.value <= plain.high
