"""Polylines: lengths, places, headings, offsets."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.world.city.lines import arc_lengths, heading_at, offset_line, points_at, resample, without_repeats

CORNER = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]])


def test_places_along_a_line() -> None:
    assert arc_lengths(CORNER).tolist() == [0.0, 10.0, 15.0]
    np.testing.assert_allclose(points_at(CORNER, np.array([-1.0, 4.0, 12.0, 99.0])), [[0, 0], [4, 0], [10, 2], [10, 5]])


def test_heading_turns_at_a_corner_and_is_clipped_to_the_ends() -> None:
    assert heading_at(CORNER, 5.0) == pytest.approx(0.0)
    assert heading_at(CORNER, 10.0) == pytest.approx(np.pi / 4)
    assert heading_at(CORNER, np.inf) == pytest.approx(np.pi / 2)


def test_resample_keeps_ends_and_spacing() -> None:
    line = resample(CORNER, 0.7)
    np.testing.assert_allclose(line[[0, -1]], CORNER[[0, -1]])
    steps = np.diff(arc_lengths(line))
    assert steps.max() < 0.8 and abs(arc_lengths(line)[-1] - 15.0) < 0.3


def test_repeats_go_but_the_last_point_stays() -> None:
    line = np.array([[0, 0], [0, 0.001], [1, 0], [1, 0], [2, 0], [2.001, 0]])
    assert without_repeats(line).tolist() == [[0, 0], [1, 0], [2.001, 0]]
    assert len(without_repeats(np.zeros((3, 2)))) == 2


def test_an_offset_line_keeps_its_distance_around_a_corner() -> None:
    left = offset_line(CORNER, 1.0)
    np.testing.assert_allclose(left, [[0, 1], [9, 1], [9, 5]], atol=1e-9)
    np.testing.assert_allclose(offset_line(CORNER, -1.0), [[0, -1], [11, -1], [11, 5]], atol=1e-9)
