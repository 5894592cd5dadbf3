"""When the last plan still says where to brake along."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.geometry import make_transform
from aln_p3_ros.driving.braking_path import BrakingPath

S = 1_000_000_000
#: 24 m to the left of (100, 50), which is where the vehicle looks.
PLAN = BrakingPath(
    np.stack([4.0 * np.arange(1, 7), np.zeros(6)], axis=1),
    make_transform([np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)], [100, 50, 0]),
    10 * S,
)


def place(along: float, beside: float) -> np.ndarray:
    """Pose of a vehicle that has driven so far along the plan, beside it by so much, and has not turned."""
    pose = PLAN.T_ground_base.copy()
    pose[:2, 3] = [100 - beside, 50 + along]
    return pose


def test_it_is_seen_from_where_the_vehicle_is_now() -> None:
    ahead = PLAN.ahead(place(8.0, 1.0), 11 * S)
    np.testing.assert_allclose(ahead, PLAN.points - [8.0, 1.0], atol=1e-9)


@pytest.mark.parametrize(("seconds", "known"), [(9.9, False), (10.0, True), (13.0, True), (13.1, False)])
def test_only_while_it_is_new(seconds: float, known: bool) -> None:
    assert (PLAN.ahead(place(1.0, 0.0), round(seconds * S)) is not None) == known


@pytest.mark.parametrize(
    ("along", "beside", "known"),
    [
        (0.0, 1.9, True),
        (2.0, -1.9, True),
        (12.0, 2.1, False),
        (-2.5, 0.0, False),
        (26.5, 0.0, False),
        (0.0, 90.0, False),
    ],
)
def test_only_near_the_vehicle(along: float, beside: float, known: bool) -> None:
    assert (PLAN.ahead(place(along, beside), 11 * S) is not None) == known


def test_without_points_or_numbers_there_is_none() -> None:
    assert BrakingPath(np.zeros((0, 2)), np.eye(4), 0).ahead(np.eye(4), 0) is None
    assert BrakingPath(np.full((6, 2), np.nan), np.eye(4), 0).ahead(np.eye(4), 0) is None
