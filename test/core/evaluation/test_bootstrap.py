"""Bands of means: over scenes, not samples."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.evaluation.bootstrap import band_numbers, scene_bootstrap, scene_sums


def test_mean_counts_samples_and_leaves_out_what_is_not_known() -> None:
    values = np.array([[1.0, np.nan], [3.0, 5.0], [8.0, np.nan]])
    band = scene_bootstrap(values, ["a", "a", "b"])
    assert band.mean == pytest.approx([4.0, 5.0])
    assert band.low[0] >= 2.0 and band.high[0] <= 8.0


def test_samples_of_one_scene_are_one_draw() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(10, 1, 40)
    few = scene_bootstrap(np.repeat(level, 25), np.repeat(np.arange(40), 25).astype(str).tolist())
    # The band is that of 40 draws, 1.96 / sqrt(40) to each side, not that of a thousand.
    assert few.high - few.low == pytest.approx(2 * 1.96 * level.std() / np.sqrt(40), rel=0.15)
    again = scene_bootstrap(np.repeat(level, 25), np.repeat(np.arange(40), 25).astype(str).tolist())
    assert (few.low, few.high) == (again.low, again.high)


def test_one_scene_says_nothing_about_others() -> None:
    band = scene_bootstrap(np.array([1.0, 2.0]), ["a", "a"])
    assert band.mean == 1.5 and np.isnan(band.low) and np.isnan(band.high)
    assert band_numbers(band) == {"mean": 1.5, "low": None, "high": None}
    assert np.isnan(scene_bootstrap(np.full((2, 3), np.nan), ["a", "b"]).mean).all()


def test_sums_of_scenes_make_the_mean() -> None:
    values, scenes = np.array([1.0, np.nan, 3.0, 8.0]), ["b", "b", "a", "a"]
    found = scene_sums(values, scenes)
    assert found == {"a": (11.0, 2), "b": (1.0, 1)}
    total, count = (sum(pair[i] for pair in found.values()) for i in (0, 1))
    assert total / count == pytest.approx(float(scene_bootstrap(values, scenes).mean))
