"""Scripted actors: phases, triggers, following, meeting, and never into the ego."""

from __future__ import annotations

import numpy as np
import pytest
from world_helpers import actor as one_actor

from aln_p3_core.world.actors import ActorFlag, ActorKind, no_actors
from aln_p3_core.world.assets.catalogue import MODELS, models_of
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EgoState
from aln_p3_core.world.traffic.footprint import ego_overlaps
from aln_p3_core.world.traffic.script import Phase, Script, ScriptedActor, Trigger, straight_path

CAR = models_of(ActorKind.CAR)[1]
WALKER = models_of(ActorKind.PEDESTRIAN)[0]
ROAD = straight_path(np.array([[0.0, 0.0], [400.0, 0.0]]))
FAR = EgoState(0.0, -300.0, 0.0, 0.0)
FRONT = 3.43


def run(actor: ScriptedActor, egos, steps: int, others=None) -> list[tuple[float, float, float]]:
    rows = []
    for k in range(steps):
        ego = egos(k * 0.1)
        actor.step(ego, ego.x + FRONT, no_actors() if others is None else others)
        rows.append((actor.s, actor.speed, actor.acceleration))
    return rows


def test_phases_follow_upon_each_other() -> None:
    phases = (
        Phase(speed=10.0, until=Trigger(after_s=1.0)),
        Phase(speed=0.0, braking=6.0, heedless=True, until=Trigger(after_s=3.0)),
        Phase(speed=5.0),
    )
    actor = ScriptedActor.begin(Script("lead", CAR, ROAD, phases, start_s=50.0, speed=10.0))
    rows = np.array(run(actor, lambda t: FAR, 80))
    assert rows[:10, 1] == pytest.approx(10.0)
    assert rows[10:25, 2].min() == pytest.approx(-6.0)
    assert rows[30:38, 1].max() == 0.0
    assert rows[-1, 1] == pytest.approx(5.0, abs=0.3)
    assert not actor.free


def test_an_actor_with_streets_is_set_free_after_its_last_phase() -> None:
    script = Script("lead", CAR, ROAD, (Phase(speed=8.0, until=Trigger(at_s=60.0)),), 50.0, 0.0, 8.0, edges=("e",))
    actor = ScriptedActor.begin(script)
    run(actor, lambda t: FAR, 20)
    assert actor.free


def test_brake_lights_show_braking() -> None:
    script = Script("lead", CAR, ROAD, (Phase(speed=0.0, braking=5.0),), start_s=50.0, speed=10.0)
    actor = ScriptedActor.begin(script)
    run(actor, lambda t: FAR, 3)
    assert actor.flags & ActorFlag.BRAKE


def test_it_keeps_its_distance_from_the_ego_ahead() -> None:
    script = Script("follower", CAR, ROAD, (Phase(speed=12.0),), start_s=10.0, speed=12.0)
    actor = ScriptedActor.begin(script)
    ego = EgoState(0.0, 90.0, 0.0, 0.0)
    rows = np.array(run(actor, lambda t: ego, 200))
    rear = ego.x + EGO_CENTER_AHEAD_M - 2.04
    gap = rear - (rows[-1, 0] + MODELS[CAR].size_lwh[0] / 2)
    assert rows[-1, 1] < 0.1
    assert 1.0 < gap < 5.0


def test_it_stops_behind_a_standing_car() -> None:
    actor = ScriptedActor.begin(Script("follower", CAR, ROAD, (Phase(speed=12.0),), start_s=10.0, speed=12.0))
    run(actor, lambda t: FAR, 200, one_actor(ActorKind.CAR, 100.0, 0.0))
    assert 85.0 < actor.s < 97.0


def test_it_paces_the_ego_and_then_changes_the_lane() -> None:
    phases = (
        Phase(speed=4.0, gap_m=6.0, acceleration=3.0, until=Trigger(after_s=4.0)),
        Phase(speed=8.0, lateral_m=0.0, lateral_s=2.0, until=Trigger(after_s=3.0)),
    )
    actor = ScriptedActor.begin(Script("cutter", CAR, ROAD, phases, start_s=14.0, lateral_m=3.5, speed=8.0))
    ego_at = lambda t: EgoState(t, 9.0 * t, 0.0, 0.0, speed=9.0)  # noqa: E731
    run(actor, ego_at, 40)
    gap = actor.s - MODELS[CAR].size_lwh[0] / 2 - (9.0 * 3.9 + FRONT)
    assert gap == pytest.approx(6.0, abs=1.5)
    assert actor.lateral == 3.5
    headings = []
    for k in range(40, 65):
        actor.step(ego_at(k * 0.1), ego_at(k * 0.1).x + FRONT, no_actors())
        headings.append(actor.heading)
    assert actor.lateral == pytest.approx(0.0)
    assert min(headings) < -0.1
    assert headings[-1] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("speed", [8.0, 13.0])
def test_a_pedestrian_meets_a_blind_ego_which_could_have_stopped(speed: float) -> None:
    crossing = straight_path(np.array([[100.0, -2.3], [100.0, 8.0]]))
    trigger = Trigger(ego_stops_at=(99.2, 1.0, 4.0))
    script = Script("person", WALKER, crossing, (Phase(speed=0.0, until=trigger), Phase(meets_at=(2.3, 100.0))))
    actor = ScriptedActor.begin(script)
    started, met = None, None
    for k in range(200):
        ego = EgoState(k * 0.1, speed * k * 0.1, 0.0, 0.0, speed=speed)
        actor.step(ego, ego.x + FRONT, no_actors())
        if started is None and actor.speed > 0:
            started = 99.2 - (ego.x + FRONT)
        if met is None and ego.x + FRONT >= 100.0:
            met = abs(actor.y)
    assert started is not None
    assert started > 0.5 * speed + speed**2 / 8.0
    assert met is not None
    assert met < 0.9


def test_nobody_walks_into_a_standing_ego() -> None:
    crossing = straight_path(np.array([[100.0, -6.0], [100.0, 6.0]]))
    script = Script("person", WALKER, crossing, (Phase(speed=1.4, heedless=True),))
    actor = ScriptedActor.begin(script)
    ego = EgoState(0.0, 98.0, 0.0, 0.0)
    for _ in range(100):
        actor.step(ego, ego.x + FRONT, no_actors())
        size = np.array([MODELS[WALKER].size_lwh])
        assert not ego_overlaps(ego, np.array([[actor.x, actor.y]]), np.array([actor.heading]), size)[0]
    assert actor.y < -0.8


def test_a_standing_ego_ends_a_wait() -> None:
    phases = (Phase(speed=0.0, until=Trigger(ego_stands_s=1.0)), Phase(speed=1.4))
    actor = ScriptedActor.begin(Script("person", WALKER, straight_path(np.array([[0.0, 50.0], [9.0, 50.0]])), phases))
    run(actor, lambda t: EgoState(t, 0.0, 0.0, 0.0, speed=5.0), 20)
    assert actor.s == 0.0
    run(actor, lambda t: FAR, 20)
    assert actor.s > 0.5
