"""Areas of a map."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import box

from aln_p3_core.world.city.city_map import Lane
from aln_p3_core.world.city.shapes import cleaned_union, lane_polygon, outlines, polygon_of, strip


def test_a_lane_is_as_wide_as_it_says() -> None:
    area = lane_polygon(Lane("a", np.array([[0.0, 0.0], [20.0, 0.0]]), width=3.0))
    assert area.bounds == pytest.approx((0.0, -1.5, 20.0, 1.5))
    assert strip(np.array([[0.0, 0.0], [0.0, 4.0]]), 2.0).area == pytest.approx(8.0)


def test_an_outline_that_crosses_itself_becomes_valid() -> None:
    bow = polygon_of(np.array([[0, 0], [2, 2], [2, 0], [0, 2]]))
    assert bow.is_valid and 1.0 <= bow.area <= 2.0


def test_slits_and_specks_go_and_islands_stay() -> None:
    left, right = box(0, 0, 20, 10), box(20.3, 0, 40, 10)
    island = box(25, 4, 30, 6)
    area = cleaned_union([left, right.difference(island), box(100, 0, 101, 1)])
    assert area.geom_type == "Polygon"
    assert area.area == pytest.approx(390.0, abs=0.5)
    assert len(outlines(area)) == 2


def test_islands_smaller_than_a_few_square_metres_are_road() -> None:
    area = cleaned_union([box(0, 0, 40, 10).difference(box(10, 4, 12, 6))])
    assert area.area == pytest.approx(400.0, abs=0.1)
