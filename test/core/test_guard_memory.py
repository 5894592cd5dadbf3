"""The guard remembers who was seen a moment ago, and where they went."""

from __future__ import annotations

import numpy as np
import pytest
from guard_helpers import agent, agents

from aln_p3_core.driver.guard_memory import KEPT_S, GuardMemory
from aln_p3_core.driver.plan_guard import guard_scene
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import make_transform, virtual_T_ego_model
from aln_p3_core.scene import Agents, DrivingScene, MapElements, Plan


def scene(time_s: float, those: Agents, *, ahead_m: float = 0.0, turned: float = 0.0, speed: float = 5.0, reset=""):
    """The car `ahead_m` along its way (global x), turned by so much."""
    points = np.stack([np.zeros(6), 0.5 * speed * np.arange(1, 7)], axis=1)
    return DrivingScene(
        agents=those,
        map_elements=MapElements(np.zeros((0, 20, 2)), np.zeros(0), np.zeros(0, int), np.zeros(0, int)),
        plan=Plan(np.stack([points] * 3), RouteCommand(Command.STRAIGHT, CommandProvenance.GIVEN)),
        reference_stamp_ns=round((100 + time_s) * 1e9),
        newest_image_stamp_ns=round((100 + time_s) * 1e9),
        T_global_ego=make_transform([np.cos(turned / 2), 0, 0, np.sin(turned / 2)], [ahead_m, 0.0, 0.0]),
        T_ego_model=virtual_T_ego_model(),
        memory_reset=reset,
    )


def walker(x: float, y: float, score: float = 0.8):
    return agent(x, y, name="pedestrian", size=(0.6, 0.6), score=score)


def test_a_walker_moves_as_its_places_tell() -> None:
    memory = GuardMemory()
    seen = None
    for k in range(5):  # walks to the left at 1.2 m/s while the car comes nearer at 4 m/s; the network says it stands
        seen = memory.look(scene(0.5 * k, agents(walker(3.0 - 0.6 * k, 15.0 - 2.0 * k)), ahead_m=2.0 * k))
    assert seen is not None and len(seen) == 1
    np.testing.assert_allclose(seen.velocities_model[0], [-1.2, 0.0], atol=0.1)


def test_a_turning_car_does_not_move_others() -> None:
    memory = GuardMemory()
    T_ego_model = virtual_T_ego_model()
    post = np.array([10.0, 3.0, 0.0, 1.0])  # global
    for k in range(4):
        there = scene(0.5 * k, agents(), turned=0.2 * k)
        place = np.linalg.inv(there.T_global_ego @ T_ego_model) @ post
        seen = memory.look(scene(0.5 * k, agents(walker(*place[:2])), turned=0.2 * k))
    np.testing.assert_allclose(seen.velocities_model[0], [0.0, 0.0], atol=1e-5)


def test_who_vanishes_is_believed_in_for_a_second() -> None:
    memory = GuardMemory()
    memory.look(scene(0.0, agents(walker(0.2, 8.0))))
    for elapsed in np.arange(0.25, KEPT_S, 0.25):
        seen = memory.look(scene(elapsed, agents(), ahead_m=2.0 * elapsed))
        assert len(seen) == 1 and seen.query_ids[0] == -1
        np.testing.assert_allclose(seen.centers_model[0, :2], [0.2, 8.0 - 2.0 * elapsed], atol=1e-4)
    assert len(memory.look(scene(KEPT_S, agents(), ahead_m=2.0))) == 0


def test_a_weak_detection_counts_where_somebody_was() -> None:
    memory = GuardMemory()
    first = memory.look(scene(0.0, agents(walker(0.0, 8.0, score=0.2))))
    assert first.scores[0] == np.float32(0.2)  # nobody was there before
    memory.look(scene(0.5, agents(walker(0.0, 8.0, score=0.9))))
    seen = memory.look(scene(1.0, agents(walker(0.3, 8.0, score=0.15), walker(0.0, 18.0, score=0.15))))
    np.testing.assert_allclose(seen.scores, [0.9, 0.15], atol=1e-6)
    # A car is no walker.
    memory.look(scene(1.5, agents(agent(0.3, 8.0, score=0.15))))
    assert len(memory.look(scene(1.6, agents()))) == 1


@pytest.mark.parametrize("gap, reset", [(2.0, ""), (-1.0, ""), (0.5, "another scene")])
def test_what_does_not_follow_begins_anew(gap: float, reset: str) -> None:
    memory = GuardMemory()
    memory.look(scene(0.0, agents(walker(0.0, 8.0))))
    assert len(memory.look(scene(gap, agents(), reset=reset))) == 0
    memory.look(scene(10.0, agents(walker(0.0, 8.0))))
    memory.reset()
    assert len(memory.look(scene(10.5, agents()))) == 0


def test_the_guard_brakes_for_who_was_there_a_moment_ago() -> None:
    memory = GuardMemory()
    memory.look(scene(0.0, agents(walker(0.0, 9.0))))
    now = scene(0.5, agents(), ahead_m=1.0)
    assert guard_scene(now, 5.0).guard == ""
    guarded = guard_scene(now, 5.0, memory.look(now))
    assert "pedestrian at 8 m" in guarded.guard
    assert len(guarded.agents) == 0  # what the driver says it sees stays what it sees now
