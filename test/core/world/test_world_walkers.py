"""Who on foot waits for the ego."""

from __future__ import annotations

import numpy as np
import pytest
from world_helpers import CROSSING_X, straight_city

from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import models_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.traffic.body_tracker import Body
from aln_p3_core.world.traffic.walkers import WalkerManners

WALKER = models_of(ActorKind.PEDESTRIAN)[0]
ON_CROSSING = float(np.mean(CROSSING_X))


def at_kerb(x: float, *, y: float = -3.0, toward: float = 1.0) -> Body:
    heading = toward * np.pi / 2
    return Body(WALKER, x, y, heading, 0.0, 1.3 * toward)


def waits(body: Body, distance: float, speed: float, *, zebra: bool) -> bool:
    ego = EgoState(0.0, body.x - distance, 0.0, 0.0, speed=speed)
    return WalkerManners(straight_city(), [zebra]).waits(body, ego)


def test_on_a_zebra_people_go_first_when_the_ego_can_stop() -> None:
    assert not waits(at_kerb(ON_CROSSING), 40.0, 10.0, zebra=True)
    assert waits(at_kerb(ON_CROSSING), 18.0, 10.0, zebra=True)


def test_elsewhere_they_let_the_ego_pass() -> None:
    assert waits(at_kerb(100.0), 40.0, 10.0, zebra=True)
    assert waits(at_kerb(100.0), 40.0, 10.0, zebra=False)


@pytest.mark.parametrize(
    "body",
    [
        at_kerb(100.0, toward=-1.0),  # walks away
        at_kerb(100.0, y=-8.0),  # is far from the ego's way
        at_kerb(100.0, y=0.2),  # is in it already
        Body(WALKER, 100.0, -3.0, 0.0, 1.3, 0.0),  # walks along the road
    ],
)
def test_who_does_not_step_into_its_way_walks_on(body: Body) -> None:
    assert not waits(body, 25.0, 10.0, zebra=False)


def test_a_standing_ego_holds_nobody() -> None:
    assert not waits(at_kerb(100.0), 12.0, 0.0, zebra=False)


def test_nobody_steps_against_the_side_of_a_moving_ego() -> None:
    assert waits(at_kerb(100.0, y=-2.0), 3.0, 2.0, zebra=True)
    assert not waits(at_kerb(100.0, y=-2.0), -6.0, 2.0, zebra=True)
