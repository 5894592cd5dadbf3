"""The monitor: off-road, wrong way, deviation, comfort, completion."""

from __future__ import annotations

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import no_actors
from aln_p3_core.world.closed_loop.comfort import comfort_of
from aln_p3_core.world.closed_loop.monitor import Monitor, Status
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.state import WorldState

CITY = helpers.straight_city()
ROUTE = helpers.straight_route(length=200.0)


def watch(poses, *, speed=10.0, limit=100.0):
    """A monitor that saw the ego at these (x, y, heading), 0.05 s apart."""
    states = [
        WorldState(EgoState(0.05 * step, x, y, heading, speed=speed), no_actors(), np.zeros(0, np.int64))
        for step, (x, y, heading) in enumerate(poses)
    ]
    s = ROUTE.project(states[0].ego.xy)[0]
    monitor = Monitor(CITY, ROUTE, states[0], s, time_limit_s=limit)
    for state in states[1:]:
        s = ROUTE.project(state.ego.xy, s)[0]
        monitor.observe(state, s)
        if monitor.status is not Status.DRIVING:
            break
    return monitor


def along(y=helpers.EAST_INNER, first=10.0, last=150.0, heading=0.0):
    return [(x, y, heading) for x in np.arange(first, last, 0.5)]


def test_driving_the_lane_is_clean():
    measures = watch(along()).measures()
    assert not measures.infractions and measures.outside_share == 0.0
    assert measures.route_completion == pytest.approx(100 * 139.5 / 189.0, abs=0.5)
    assert measures.status is Status.DRIVING and measures.comfort.share == 1.0


def test_reaching_the_end_completes():
    monitor = watch(along(last=210.0))
    assert monitor.status is Status.COMPLETED
    assert monitor.measures().driving_score == 100.0


def test_off_road_costs_its_share_and_the_success():
    edge = -2 * helpers.LANE_WIDTH
    poses = along(last=60.0) + along(edge, 60.0, 110.0) + along(first=110.0, last=210.0)
    measures = watch(poses).measures()
    assert [event.kind.value for event in measures.infractions] == ["off_road"]
    assert measures.outside_share == pytest.approx(50 / 200, abs=0.06)
    assert not measures.success and measures.driving_score == pytest.approx(100 * (1 - measures.outside_share))


def test_a_wheel_on_the_edge_is_tolerated():
    y = -2 * helpers.LANE_WIDTH + 1.73 / 2 - 0.2
    assert not watch(along(y)).measures().infractions


def test_the_oncoming_lane_is_the_wrong_way_and_the_neighbour_lane_is_not():
    assert [event.kind.value for event in watch(along(-helpers.EAST_INNER)).infractions] == ["wrong_way"]
    assert not watch(along(helpers.EAST_OUTER)).infractions


def test_getting_lost_ends_the_drive():
    poses = [(60.0, helpers.EAST_INNER - 0.5 * step, -np.pi / 2) for step in range(100)]
    monitor = watch(poses)
    assert monitor.status is Status.ROUTE_DEVIATION and not monitor.measures().success


def test_out_of_time():
    monitor = watch(along(), limit=2.0)
    assert monitor.status is Status.TIME_OUT
    assert monitor.measures().duration_s == pytest.approx(2.0)


def test_comfort_sees_hard_braking_and_not_gentle_braking():
    def braking(rate):
        return [
            EgoState(
                t, 0.0, 0.0, 0.0, speed=max(0.0, 15 - rate * t), acceleration=-rate * min(1.0, t) * (t < 15 / rate)
            )
            for t in np.arange(0, 2.5, 0.05)
        ]

    gentle, hard = comfort_of(braking(1.5), 0.05), comfort_of(braking(6.0), 0.05)
    assert gentle.share == 1.0
    assert hard.share == 0.0 and hard.by_limit["longitudinal_acceleration"] == 0.0
    assert hard.by_limit["yaw_rate"] == 1.0


def test_comfort_sees_a_fast_corner():
    egos = [EgoState(t, 0.0, 0.0, 0.0, speed=12.0, yaw_rate=0.6) for t in np.arange(0, 4.0, 0.05)]
    comfort = comfort_of(egos, 0.05)
    assert comfort.by_limit["lateral_acceleration"] == 0.0 and comfort.by_limit["yaw_rate"] == 1.0


def test_a_very_short_drive_has_no_verdict_on_comfort():
    assert comfort_of([EgoState(0.0, 0.0, 0.0, 0.0)], 0.05).segments == 0
