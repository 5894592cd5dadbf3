"""Who is seen, and how much of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from render_helpers import EGO, labels_of, model, needs_rendering, render_street, street

from aln_p3_core.errors import DataError
from aln_p3_core.world.actors import make_actors
from aln_p3_core.world.render.visibility import actor_visibility

pytestmark = needs_rendering


def _seen(names: list[str], places: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Fractions [N] and pixels [N] of actors that look along x."""
    actors = make_actors(
        [str(row) for row in range(len(names))], [model(n) for n in names], places, np.zeros(len(names))
    )
    state = street(EGO, actors)
    result = actor_visibility(render_street(state), state)
    return result.fractions, sum(result.pixels.values(), np.zeros(len(names), np.int64))


def test_who_stands_free_is_wholly_seen_at_any_distance() -> None:
    names = ["car_sedan", "pedestrian_a", "cone", "bus", "bicycle", "car_compact"]
    places = [(112, 4.0), (110, -5.0), (108, 1.5), (150, 3.0), (90, -3.0), (170, -4.0)]
    fractions, pixels = _seen(names, places)
    assert (fractions > 0.97).all(), fractions
    assert (pixels > 0).all()


def test_who_is_hidden_is_not_seen() -> None:
    # A car behind a bus in the same lane, and one behind the ego's back that nothing hides.
    fractions, pixels = _seen(["bus", "car_sedan", "car_sedan"], [(115, -1.75), (128, -1.75), (88, -1.75)])
    assert fractions[0] > 0.97 and fractions[2] > 0.97
    assert fractions[1] < 0.05 and pixels[1] == pytest.approx(0, abs=3)


def test_half_hidden_is_about_half_seen() -> None:
    # Side by side, seen from straight behind: the van covers the right half of the car in front of it.
    camera_y = EGO.y
    fractions, pixels = _seen(["van", "car_sedan"], [(112, camera_y - 1.15), (122, camera_y)])
    alone, pixels_alone = _seen(["car_sedan"], [(122, camera_y)])
    assert alone[0] > 0.97
    assert fractions[1] == pytest.approx(pixels[1] / pixels_alone[0], abs=0.15)
    assert 0.2 < fractions[1] < 0.8


def test_only_what_is_in_a_picture_counts() -> None:
    # A bus beside the car reaches below and beyond the pictures: what they cover of it is seen.
    fractions, _ = _seen(["bus"], [(101, 1.9)])
    assert fractions[0] > 0.95


def test_pixels_are_those_of_the_labels() -> None:
    state = street()
    views = render_street(state)
    result = actor_visibility(views, state)
    for name, view in views.items():
        for row in range(len(state.actors)):
            assert result.pixels[name][row] == (labels_of(view) == row).sum()
    assert result.fractions.shape == (len(state.actors),)


def test_views_without_truth_are_refused() -> None:
    state = street()
    views = {n: replace(v, labels=None) for n, v in render_street(state).items()}
    with pytest.raises(DataError, match="truth=True"):
        actor_visibility(views, state)
