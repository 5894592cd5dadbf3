"""The closed loop with small stages: it ends for the right reason, and gives the same bytes twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.closed_loop.monitor import Status
from aln_p3_core.world.closed_loop.runner import ClosedLoop, drive_episode
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.trace import Trace
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.baselines import ConstantVelocity, StandStill
from aln_p3_core.world.planners.planner import straight_plan

SETTINGS = DriveSettings(time_limit_s=20.0)


def short_stage(actors=None, **changes):
    return helpers.stage(actors, route=helpers.straight_route(length=80.0), **changes)


def test_constant_velocity_completes_a_free_straight_road():
    result = drive_episode(short_stage(speed=8.0), ConstantVelocity(), SETTINGS)
    assert result.measures.status is Status.COMPLETED and result.measures.success
    assert result.measures.driving_score == pytest.approx(100.0)
    assert result.measures.mean_speed == pytest.approx(8.0, rel=0.05)


def test_standing_still_is_blocked_or_out_of_time():
    blocked = drive_episode(short_stage(), StandStill(), DriveSettings(time_limit_s=60.0, blocked_after_s=5.0))
    assert blocked.measures.status is Status.BLOCKED
    assert blocked.measures.duration_s == pytest.approx(5.0)
    late = drive_episode(short_stage(), StandStill(), DriveSettings(time_limit_s=3.0))
    assert late.measures.status is Status.TIME_OUT and not late.measures.success
    assert late.measures.driving_score < 5


def test_a_blind_planner_runs_into_what_stands_in_its_way():
    standing = helpers.actor(ActorKind.CAR, 45.0, helpers.EAST_INNER)
    measures = drive_episode(short_stage(standing, speed=8.0), ConstantVelocity(), SETTINGS).measures
    assert measures.collisions["vehicle"] == 1 and measures.own_fault_collisions == 1
    assert measures.status is Status.COMPLETED and not measures.success
    assert measures.driving_score == pytest.approx(60.0)


def test_the_same_drive_gives_the_same_bytes(tmp_path):
    texts, traces = [], []
    for name in ("a", "b"):
        moving = helpers.actor(ActorKind.CAR, 30.0, helpers.EAST_INNER, speed=5.0)
        traffic = helpers.ScriptedTraffic(helpers.straight_city(), helpers.gliding(moving))
        result = drive_episode(short_stage(speed=6.0, traffic=traffic), ConstantVelocity(), SETTINGS)
        report = result.to_json()
        del report["timing"]
        texts.append(json.dumps(report))
        result.trace.save(tmp_path / name)
        traces.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    assert traces[0] == traces[1]


def test_whoever_plans_outside_gets_the_same_drive():
    inside = drive_episode(short_stage(speed=8.0), ConstantVelocity(), SETTINGS)
    loop = ClosedLoop(short_stage(speed=8.0), SETTINGS)
    planner = ConstantVelocity()
    while loop.running:
        loop.follow(planner.plan(loop.observe(images=False)))
        loop.advance()
    loop.close()
    assert loop.result(planner.name, {}).measures.to_json() == inside.measures.to_json()


def test_plans_come_at_the_asked_rate():
    stamps = {}
    for rate in (2, 10):
        seen = stamps.setdefault(rate, [])
        settings = DriveSettings(rate_hz=rate, time_limit_s=2.0)
        drive_episode(
            short_stage(speed=8.0),
            ConstantVelocity(),
            settings,
            on_tick=lambda _, plan, seen=seen: seen.append(plan.stamp_s),
        )
    assert np.allclose(np.diff(stamps[2]), 0.5) and len(stamps[2]) == 4
    assert np.allclose(np.diff(stamps[10]), 0.1) and len(stamps[10]) == 20


def test_trace_survives_the_file(tmp_path):
    standing = helpers.actor(ActorKind.PEDESTRIAN, 45.0, 3.0)
    trace = drive_episode(short_stage(standing, speed=8.0), ConstantVelocity(), SETTINGS).trace
    trace.save(tmp_path / "trace.npz")
    loaded = Trace.load(tmp_path / "trace.npz")
    assert [state.time_s for state in loaded.states] == [state.time_s for state in trace.states]
    assert loaded.states[3].ego == trace.states[3].ego
    assert loaded.states[3].actors.ids == trace.states[3].actors.ids
    assert np.array_equal(loaded.plans[1].points_world, trace.plans[1].points_world)
    assert loaded.plan_at(0.7).stamp_s == 0.5


def test_a_recording_ends_without_blame_and_is_compared_with_the_human():
    def human(time_s: float) -> EgoState:
        return EgoState(time_s, 10.0 + 8.0 * time_s, helpers.EAST_INNER, 0.0, speed=8.0)

    base = short_stage(speed=8.0, duration_s=6.0)
    stage = type(base)(**{**base.__dict__, "recorded_ego": human})
    result = drive_episode(stage, ConstantVelocity(), DriveSettings())
    assert result.measures.status is Status.RECORDING_OVER
    assert result.human["l2_3s"] < 0.5 and result.human["departure_m"] < 0.5
    assert result.to_json()["human"] == dict(result.human)


def test_timing_names_every_part():
    timing = drive_episode(short_stage(speed=8.0), ConstantVelocity(), SETTINGS).timing
    assert {"simulation_s", "rendering_s", "planner_s", "measures_s", "setup_s", "world_times_real_time"} <= set(timing)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="3 Hz"):
        DriveSettings(rate_hz=3)
    with pytest.raises(ConfigError, match="400x225"):
        DriveSettings(size=(100, 100))
    with pytest.raises(ConfigError, match="time limit"):
        ClosedLoop(short_stage(), DriveSettings())


def test_a_plan_that_ends_lets_the_car_stop():
    loop = ClosedLoop(short_stage(speed=8.0), DriveSettings(rate_hz=1, time_limit_s=30.0))
    loop.follow(straight_plan(0.0, 8.0, 1.0))
    while loop.simulation.time_s < 4.0:
        loop.advance()
    assert loop.simulation.state.ego.speed == pytest.approx(0.0, abs=0.05)
