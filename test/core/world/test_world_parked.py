"""Parked cars: which places are taken."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.world.actors import ActorFlag
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.traffic.parked import parked_cars

PLACES = np.column_stack([np.arange(300) * 7.0, np.zeros(300), np.full(300, 0.5)])


def test_a_share_of_the_places_is_taken_and_the_same_ones_for_a_seed() -> None:
    parked = parked_cars(PLACES, 0.6, 3)
    assert 0.5 < len(parked) / len(PLACES) < 0.7
    assert (parked.flags == int(ActorFlag.PARKED)).all()
    again = parked_cars(PLACES, 0.6, 3)
    assert again.ids == parked.ids
    assert np.array_equal(again.positions, parked.positions)
    assert parked_cars(PLACES, 0.6, 4).ids != parked.ids


def test_cars_stand_in_their_places() -> None:
    parked = parked_cars(PLACES, 1.0, 1)
    assert np.linalg.norm(parked.positions[:, :2] - PLACES[:, :2], axis=1).max() < 0.4
    assert np.abs(parked.headings - 0.5).max() < 0.05
    assert sizes_of(parked)[:, 0].max() < 5.0


def test_circles_stay_free() -> None:
    parked = parked_cars(PLACES, 1.0, 1, keep_free=np.array([[70.0, 0.0, 10.0]]))
    assert np.linalg.norm(parked.positions[:, :2] - [70.0, 0.0], axis=1).min() > 9.0
    assert len(parked) == len(PLACES) - 3


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_none(share: float) -> None:
    assert len(parked_cars(PLACES, share, 1)) == share * len(PLACES)


def test_no_places_no_cars() -> None:
    assert len(parked_cars(np.zeros((0, 3)), 0.5, 1)) == 0
