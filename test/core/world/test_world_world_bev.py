"""The view from above: the ego drives up, left is left, colours say what they should."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.drawing import palette
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorKind, join_actors, no_actors
from aln_p3_core.world.closed_loop.trace import TracedPlan
from aln_p3_core.world.closed_loop.world_bev import WorldBev, decision_text
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EgoState
from aln_p3_core.world.state import SignalColor, WorldState

SIZE, AHEAD, BEHIND = 360, 50.0, 22.0
SCALE = SIZE / (AHEAD + BEHIND)


def drawer(**city) -> WorldBev:
    route = helpers.straight_route()
    return WorldBev(helpers.straight_city(**city), route.points, np.array([[280.0, 0.0], [320.0, 0.0]]), size=SIZE)


def state(ego: EgoState, actors=None, signals=()) -> WorldState:
    return WorldState(ego, no_actors() if actors is None else actors, np.asarray(signals, np.int64))


def pixel(forward: float, left: float) -> tuple[int, int]:
    """Row and column of a place in the ego frame, m."""
    return round(SIZE - (BEHIND + forward) * SCALE), round(SIZE / 2 - left * SCALE)


def close_to(image: FloatArray, place: tuple[int, int], color: tuple[int, int, int], reach: int = 2) -> bool:
    row, column = place
    patch = image[row - reach : row + reach + 1, column - reach : column + reach + 1].reshape(-1, 3).astype(int)
    return bool((np.abs(patch - np.array(color)).max(axis=1) < 40).any())


@pytest.mark.parametrize("heading", [0.0, np.pi / 2, 2.5])
def test_ahead_is_up_and_left_is_left(heading):
    ego = EgoState(0.0, 300.0, 0.0, heading, speed=5.0)
    forward, left = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    bus, walker = ego.xy + 30 * forward, ego.xy + 12 * forward + 15 * left
    actors = join_actors([
        helpers.actor(ActorKind.BUS, *bus, heading=heading),
        helpers.actor(ActorKind.PEDESTRIAN, *walker, heading=heading),
    ])  # fmt: skip
    image = drawer().draw(state(ego, actors))
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    assert close_to(image, pixel(EGO_CENTER_AHEAD_M, 0.0), palette.EGO)
    assert close_to(image, pixel(33.0, 0.0), palette.AGENT_COLORS["bus"], reach=7)
    assert close_to(image, pixel(12.0, 15.0), palette.AGENT_COLORS["pedestrian"])
    assert not close_to(image, pixel(12.0, -15.0), palette.AGENT_COLORS["pedestrian"])


def test_plan_light_and_alarm_are_shown():
    ego = EgoState(0.0, 280.0, helpers.EAST_INNER, 0.0, speed=5.0)
    plan = TracedPlan(0.0, np.array([1.0, 2.0]), np.array([[285.0, -1.75], [290.0, -1.75]]), {})
    bev = drawer(signal=True)
    red = bev.draw(state(ego, signals=[SignalColor.RED]), plan, alarm="red light")
    green = bev.draw(state(ego, signals=[SignalColor.GREEN]), plan)
    assert close_to(red, pixel(10.0, 0.0), palette.PLAN) and close_to(red, pixel(5.0, 0.0), palette.PLAN)
    line = pixel(18.0, -2.0)
    assert close_to(red, line, (240, 52, 52)) and close_to(green, line, (40, 210, 100))
    assert close_to(red, pixel(EGO_CENTER_AHEAD_M, 0.0), palette.ALARM)
    assert not close_to(green, pixel(EGO_CENTER_AHEAD_M, 0.0), palette.ALARM)


def test_the_cause_of_a_decision_is_marked():
    ego = EgoState(0.0, 280.0, helpers.EAST_INNER, 0.0)
    car = helpers.actor(ActorKind.CAR, 300.0, helpers.EAST_INNER, name="lead")
    decision = {"maneuver": "stop", "lateral": "keep_lane", "cause": "lead_vehicle", "lateral_cause": "free_road",
                "actor_id": "lead"}  # fmt: skip
    plans = [TracedPlan(0.0, np.array([1.0]), np.array([[281.0, -1.75]]), d) for d in (decision, {})]
    marked, plain = (drawer().draw(state(ego, car), plan) for plan in plans)
    assert (marked != plain).any()
    changed = np.argwhere((marked != plain).any(axis=2))
    assert np.abs(changed.mean(axis=0) - pixel(20.0, 0.0)).max() < 4
    assert decision_text(decision) == "stop, because of lead vehicle" and decision_text({}) == ""
