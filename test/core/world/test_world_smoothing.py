"""Kinked lines become paths that a car can follow."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import LineString, Point

from aln_p3_core.world.city.lines import arc_lengths
from aln_p3_core.world.city.smoothing import PATH_STEP_M, smooth_path
from aln_p3_core.world.route import Route


def _curvatures(path: np.ndarray) -> np.ndarray:
    return Route(path, np.ones(len(path)), np.zeros(len(path), np.int64)).curvatures


def test_a_straight_line_stays_as_it_is() -> None:
    path, source = smooth_path(np.array([[0.0, 0.0], [40.0, 0.0]]))
    assert np.abs(path[:, 1]).max() < 1e-9
    np.testing.assert_allclose(path[:, 0], source, atol=1e-6)
    assert np.diff(arc_lengths(path)) == pytest.approx(PATH_STEP_M, abs=0.02)


@pytest.mark.parametrize("radius", [4.0, 6.0, 15.0])
def test_a_sharp_corner_becomes_steerable_without_leaving_its_lane(radius: float) -> None:
    angle = np.linspace(0, np.pi / 2, 7)
    arc = np.stack([40 + radius * np.sin(angle), radius * (1 - np.cos(angle))], axis=1)
    raw = np.concatenate([[[0.0, 0.0]], arc, [[40 + radius, 40.0 + radius]]])
    path, _ = smooth_path(raw)
    assert np.abs(_curvatures(path)).max() < 0.21
    line = LineString(raw)
    assert max(line.distance(Point(p)) for p in path) < 0.9
    np.testing.assert_allclose(path[[0, -1]], raw[[0, -1]], atol=1e-6)


def test_small_kinks_of_a_bend_vanish() -> None:
    angle = np.linspace(0, np.pi / 3, 13)
    raw = 80.0 * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=1)
    kappa = _curvatures(smooth_path(raw)[0])[20:-20]
    assert kappa.max() < 2.2 / 80.0 and kappa.min() > 0.0


def test_source_rises_along_the_line() -> None:
    raw = np.array([[0.0, 0.0], [20.0, 0.0], [20.0, 20.0]])
    _, source = smooth_path(raw)
    assert (np.diff(source) > 0).all() and source[0] == 0.0 and source[-1] == pytest.approx(40.0)
