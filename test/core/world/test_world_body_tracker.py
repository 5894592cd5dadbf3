"""Bodies from what SUMO tells: headings, smoothness, walkers that are set over."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import MODELS, models_of
from aln_p3_core.world.traffic.body_tracker import (
    appeared,
    heading_of_sumo,
    move_vehicle,
    move_walker,
    sumo_angle,
)

CAR = models_of(ActorKind.CAR)[1]
WALKER = models_of(ActorKind.PEDESTRIAN)[0]


@pytest.mark.parametrize(("degrees", "heading"), [(90.0, 0.0), (0.0, np.pi / 2), (180.0, -np.pi / 2)])
def test_sumo_angles_are_clockwise_from_north(degrees: float, heading: float) -> None:
    assert heading_of_sumo(degrees) == pytest.approx(heading)
    assert sumo_angle(heading) == pytest.approx(degrees)


def test_sumo_knows_the_front_bumper() -> None:
    body = appeared(CAR, 10.0, 5.0, np.pi / 2, 3.0)
    assert (body.x, body.y) == pytest.approx((10.0, 5.0 - MODELS[CAR].size_lwh[0] / 2))


def test_a_kink_in_the_lane_turns_the_body_smoothly() -> None:
    body = appeared(CAR, 0.0, 0.0, 0.0, 8.0)
    s = 0.8 * np.arange(1, 40)
    corner = 8.0
    behind = np.maximum(s - corner, 0.0)[:, None]
    turned = np.radians(35.0)
    front = np.column_stack([np.minimum(s, corner), np.zeros(len(s))]) + behind * [np.cos(turned), np.sin(turned)]
    headings, places = [], []
    for x, y in front:
        move_vehicle(body, x, y)
        headings.append(body.heading)
        places.append((body.x, body.y))
    assert headings[-1] == pytest.approx(turned, abs=0.02)
    assert np.abs(np.diff(headings)).max() < 0.25
    assert (np.diff(headings) > -1e-9).all()
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.9
    assert body.vx == pytest.approx((places[-1][0] - places[-2][0]) / 0.1)


def test_a_vehicle_never_jumps_sideways() -> None:
    body = appeared(CAR, 0.0, 0.0, 0.0, 8.0)
    y_before = body.y
    for step in range(1, 30):
        move_vehicle(body, 0.8 * step, 1.0)
        assert abs(body.y - y_before) < 0.45
        y_before = body.y
    assert body.y == pytest.approx(1.0, abs=0.05)


def test_who_stands_does_not_turn() -> None:
    body = appeared(CAR, 0.0, 0.0, 0.3, 0.0)
    move_vehicle(body, 0.0, 0.0)
    assert body.heading == pytest.approx(0.3)
    assert body.speed == pytest.approx(0.0)


def test_a_walker_who_is_put_elsewhere_is_not_moved_there() -> None:
    body = appeared(WALKER, 0.0, 0.0, 0.0, 1.3)
    before = (body.x, body.y)
    assert not move_walker(body, 9.0, 4.0, 1.3, 0.0)
    assert (body.x, body.y) == before


def test_a_walker_who_is_set_over_walks_there() -> None:
    body = appeared(WALKER, 0.0, 0.0, 0.0, 1.3)
    fastest = 0.0
    for step in range(1, 60):
        y = 0.0 if step < 20 else 1.2
        move_walker(body, 0.13 * step, y, 1.3, 0.0)
        fastest = max(fastest, abs(body.vy))
    assert fastest < 0.8
    assert body.y == pytest.approx(1.2, abs=0.1)
    assert body.vx == pytest.approx(1.3, abs=0.05)
    assert body.travelled == pytest.approx(0.13 * 59, rel=0.15)
