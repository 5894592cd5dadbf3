"""Lines against shapely and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from aln_p3_core.datasets.map_elements import MapTargets
from aln_p3_core.evaluation.map_lines import (
    MapLines,
    box_corners,
    box_gaps,
    chamfer,
    chamfer_bound,
    cut_at_range,
    gather_lines,
    outline_overlap,
    outlines_touch,
    pairs_of_same_kind,
    resample,
)

Points = NDArray[np.float64]


def wild_lines(count: int, points: int = 12, seed: int = 0) -> Points:
    rng = np.random.default_rng([seed, count])
    return rng.uniform(-12, 12, (count, 1, 2)) + np.cumsum(rng.normal(0, 1, (count, points, 2)), axis=1)


def line(*points: tuple[float, float]) -> MapLines:
    zero = np.zeros(1, dtype=np.int64)
    return MapLines(np.array([points], dtype=np.float64), zero, zero, np.zeros(1))


def test_resampling_is_that_of_shapely() -> None:
    from shapely import LineString

    lines = wild_lines(20)
    lines[3, 6:] = lines[3, 6]  # padded
    lines[4] = lines[4, :1]  # a line without length
    for points, found in zip(lines, resample(lines, 31), strict=True):
        whole = LineString(points)
        expected = [whole.interpolate(d).coords[0] for d in np.linspace(0, whole.length, 31)]
        assert np.allclose(found, expected, atol=1e-12)


def test_gathered_samples_keep_their_order_and_may_be_empty() -> None:
    short, long = np.arange(8.0).reshape(2, 2, 2), np.ones((1, 5, 2))
    none = MapTargets(np.zeros((0, 20, 2)), np.zeros(0, dtype=np.int64))
    found = gather_lines([MapTargets(short, np.array([0, 2])), None, none, MapTargets(long, np.array([1]))])
    assert found.samples.tolist() == [0, 0, 3] and found.class_ids.tolist() == [0, 2, 1]
    assert found.points_model.shape[1] >= 5 and (found.points_model[0, 1:] == short[0, 1]).all()
    assert len(gather_lines([None])) == 0


def test_pairs_are_those_of_the_same_sample_and_class() -> None:
    rng = np.random.default_rng(3)
    first, second = (
        MapLines(np.zeros((n, 2, 2)), np.sort(rng.integers(0, 4, n)), rng.integers(0, 3, n), np.zeros(n))
        for n in (30, 14)
    )
    a, b = pairs_of_same_kind(first, second)
    expected = [
        (i, j)
        for i in range(30)
        for j in range(14)
        if first.samples[i] == second.samples[j] and first.class_ids[i] == second.class_ids[j]
    ]
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == expected


def test_chamfer_is_the_mean_of_nearest_points_and_never_below_its_bounds() -> None:
    first, second = wild_lines(150, 9), wild_lines(150, 14, seed=1)
    found = chamfer(first, second)
    for k in (0, 63, 64, 149):
        table = np.linalg.norm(first[k][:, None] - second[k][None], axis=-1)
        assert found[k] == pytest.approx((table.min(1).mean() + table.min(0).mean()) / 2, abs=1e-12)
    assert (chamfer_bound(first, second) <= found + 1e-12).all()
    assert (box_gaps(first, second) <= chamfer_bound(first, second) + 1e-12).all()
    assert np.array_equal(box_gaps(box_corners(first), box_corners(second)), box_gaps(first, second))
    assert chamfer(first, first[:, ::-1]).max() == 0  # the direction of a line does not matter


def test_outlines_have_flat_ends() -> None:
    ahead, beside, behind = (line((0, y), (x, y)).points_model for x, y in ((10, 0), (10, 3.9), (10, 4.1)))
    assert outlines_touch(ahead, beside, 2.0)[0] and not outlines_touch(ahead, behind, 2.0)[0]
    beyond = line((10.5, 0), (20, 0)).points_model
    assert not outlines_touch(ahead, beyond, 2.0)[0]


def test_overlap_of_two_bands_beside_each_other() -> None:
    a, b = line((0, 0), (10, 0)).points_model, line((0, 1), (10, 1)).points_model
    assert outline_overlap(a, b, 1.0)[0] == pytest.approx(1 / 3)
    assert outline_overlap(a, a, 1.0)[0] == pytest.approx(1.0)
    assert outline_overlap(a, b + 100, 1.0)[0] == 0


def test_lines_are_cut_at_the_range() -> None:
    outside = line((20, 0), (20, 10))
    assert len(cut_at_range(outside, (15, 30))) == 0
    through = cut_at_range(line((-20, 0), (0, 0), (20, 0)), (15, 30))
    assert len(through) == 1 and np.ptp(through.points_model[0, :, 0]) == pytest.approx(30)
    twice = cut_at_range(line((14, 0), (16, 0), (16, 5), (14, 5)), (15, 30))
    assert len(twice) == 2 and np.abs(twice.points_model[..., 0]).max() <= 15
    edge = line((15, -30), (15, 30))
    assert cut_at_range(edge, (15, 30)) is edge


def test_cutting_keeps_the_order_of_lines() -> None:
    points = np.array([[[0.0, 0], [1, 0]], [[14, 0], [18, 0]], [[2, 0], [3, 0]]])
    lines = MapLines(points, np.array([0, 0, 1]), np.array([2, 1, 0]), np.array([0.1, 0.2, 0.3]))
    found = cut_at_range(lines, (15, 30))
    assert found.scores.tolist() == [0.1, 0.2, 0.3] and found.samples.tolist() == [0, 0, 1]
    assert found.class_ids.tolist() == [2, 1, 0]


def test_overlaps_that_are_too_small_to_count_are_not_computed() -> None:
    first, second = wild_lines(60), wild_lines(60) + np.random.default_rng(2).normal(0, 0.5, (60, 1, 2))
    whole, part = outline_overlap(first, second, 1.0), outline_overlap(first, second, 1.0, at_least=0.5)
    assert (part[whole >= 0.5] == whole[whole >= 0.5]).all() and (whole >= 0.5).sum() > 10
    assert set(part[whole < 0.5].tolist()) <= {0.0, *whole.tolist()}
