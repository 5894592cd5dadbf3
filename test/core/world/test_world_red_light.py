"""Red lights: run, waited at, driven over in time."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import no_actors
from aln_p3_core.world.closed_loop.monitor import Status
from aln_p3_core.world.closed_loop.red_light import FRONT_AHEAD_M, LINE_TOLERANCE_M, RedLightMeasure
from aln_p3_core.world.closed_loop.runner import drive_episode
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.baselines import ConstantVelocity, StandStill
from aln_p3_core.world.state import SignalColor, WorldState

LINE = helpers.CROSSING_X[0]


def drive(positions, color_of):
    """Events of a measure that sees the front bumper at these places."""
    watch = RedLightMeasure(helpers.straight_city(signal=True), helpers.signal_route())
    events = []
    for step, front in enumerate(positions):
        x = front - FRONT_AHEAD_M
        ego = EgoState(0.05 * step, x, helpers.EAST_INNER, 0.0, speed=5.0)
        signals = np.array([color_of(step)])
        events += watch.observe(WorldState(ego, no_actors(), signals), x)
    return watch, events


@pytest.mark.parametrize(
    ("color", "run"),
    [
        (SignalColor.RED, 1),
        (SignalColor.YELLOW, 0),
        (SignalColor.GREEN, 0),
        (SignalColor.GREEN_YIELD, 0),
        (SignalColor.OFF, 0),
    ],
)
def test_only_red_is_an_infraction(color, run):
    watch, events = drive(np.arange(LINE - 3, LINE + 6, 0.4), lambda _: color)
    assert len(events) == run and watch.passed == 1


def test_stopping_a_hand_over_the_line_is_forgiven_and_the_rest_is_not():
    assert not drive([LINE - 1, LINE + LINE_TOLERANCE_M - 0.05], lambda _: SignalColor.RED)[1]
    assert len(drive([LINE - 1, LINE + LINE_TOLERANCE_M + 0.05], lambda _: SignalColor.RED)[1]) == 1


def test_what_counts_is_the_colour_at_the_line():
    turned_red = np.arange(LINE - 3, LINE + 8, 0.4)
    assert not drive(turned_red, lambda step: SignalColor.RED if turned_red[step] > LINE + 1.0 else SignalColor.YELLOW)[
        1
    ]


def test_backing_over_the_line_does_not_count_it_twice():
    there_and_back = [LINE - 1, LINE + 1, LINE - 1, LINE + 1]
    assert len(drive(there_and_back, lambda _: SignalColor.RED)[1]) == 1


def test_blind_planner_runs_the_light_in_the_loop():
    city = helpers.straight_city(signal=True)
    traffic = helpers.ScriptedTraffic(city, lambda _: no_actors(), lambda _: [SignalColor.RED])
    stage = helpers.stage(city=city, route=helpers.signal_route(), traffic=traffic, start_s=280.0, speed=8.0)
    measures = drive_episode(stage, ConstantVelocity(), DriveSettings(time_limit_s=5.0)).measures
    assert measures.to_json()["counts"]["red_light"] == 1
    assert measures.penalty == pytest.approx(0.7)


def test_waiting_at_red_is_not_being_blocked():
    def status(color, start_s):
        city = helpers.straight_city(signal=True)
        traffic = helpers.ScriptedTraffic(city, lambda _: no_actors(), lambda _: [color])
        stage = helpers.stage(city=city, route=helpers.signal_route(), traffic=traffic, start_s=start_s)
        settings = DriveSettings(time_limit_s=8.0, blocked_after_s=4.0)
        return drive_episode(stage, StandStill(), settings).measures.status

    assert status(SignalColor.RED, 290.0) is Status.TIME_OUT
    assert status(SignalColor.GREEN, 290.0) is Status.BLOCKED
    assert status(SignalColor.RED, 100.0) is Status.BLOCKED
