"""Planners that see nobody, and the registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from world_helpers import actor, cornering_city, cornering_route, stage

from aln_p3_core.errors import ConfigError, InvalidFrameError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.ego import Control, step_bicycle
from aln_p3_core.world.planners.baselines import ConstantCurvature, ConstantVelocity, StandStill, circle
from aln_p3_core.world.planners.model_planner import ModelPlanner
from aln_p3_core.world.planners.registry import PLANNERS, make_planner
from aln_p3_core.world.planners.route_blind import RouteBlind
from aln_p3_core.world.simulation import Simulation


def drive(planner, setting, seconds, every=4):
    """Runs a stage without pictures and gives the ego states of all steps."""
    egos = []
    with Simulation(setting, {}) as simulation:
        for step in range(round(seconds * 20)):
            if simulation.finished:
                break
            if step % every == 0:
                simulation.follow(planner.plan(simulation.observe(images=False)))
            egos.append(simulation.advance().ego)
    return egos


def test_stand_still_stays():
    egos = drive(StandStill(), stage(), 3.0)
    assert egos[-1].xy == pytest.approx(egos[0].xy)
    rolling = drive(StandStill(), stage(speed=8.0), 6.0)
    assert rolling[-1].speed == pytest.approx(0.0, abs=0.01)
    assert rolling[-1].x - 10.0 < 15.0


def test_constant_velocity_runs_into_what_stands_there():
    egos = drive(ConstantVelocity(), stage(actor(ActorKind.CAR, 60.0, -1.75), speed=10.0), 5.0)
    assert egos[-1].x == pytest.approx(60.0, abs=1.0) and egos[-1].speed == pytest.approx(10.0, abs=0.1)
    assert max(abs(ego.y + 1.75) for ego in egos) < 1e-6


def test_constant_curvature_stays_on_its_circle():
    setting = stage(speed=5.0)
    ego = step_bicycle(replace(setting.start, steering=0.2), Control(0.0, 0.2), 0.05)
    egos = drive(ConstantCurvature(), replace(setting, start=replace(ego, time_s=0.0)), 6.0)
    radius = ego.speed / ego.yaw_rate
    center = ego.xy + radius * np.array([-np.sin(ego.heading), np.cos(ego.heading)])
    assert [np.hypot(*(e.xy - center)) for e in egos] == pytest.approx([radius] * len(egos), abs=0.5)


def test_a_circle_closes():
    points, headings = circle(2.0, np.pi / 4, np.array([2.0, 4.0, 8.0]))
    radius = 8 / np.pi
    assert points == pytest.approx(np.array([[radius, radius], [0.0, 2 * radius], [0.0, 0.0]]), abs=1e-9)
    assert headings == pytest.approx([np.pi / 2, np.pi, 2 * np.pi])
    assert circle(2.0, 0.0, np.array([1.5]))[0] == pytest.approx(np.array([[3.0, 0.0]]))


@pytest.mark.parametrize("every", [2, 10])
@pytest.mark.parametrize("radius", [6.5, 12.0])
def test_route_blind_takes_a_corner_without_cutting_it(radius, every):
    route = cornering_route(radius)
    egos = drive(RouteBlind(), stage(city=cornering_city(radius), route=route, speed=8.0), 30.0, every)
    assert route.project(egos[-1].xy)[0] > route.length - 2.0
    assert max(abs(route.project(ego.xy)[1]) for ego in egos) < 0.3
    assert max(abs(ego.speed * ego.yaw_rate) for ego in egos) < 2.6
    assert max(ego.speed for ego in egos) == pytest.approx(13.0, abs=1.5)


def test_every_name_makes_a_planner_with_that_name():
    for name in PLANNERS:
        planner = make_planner(name)
        assert planner.name == name and not planner.needs_images
        planner.reset()
        plan = planner.plan(Simulation(stage(), {}).observe(images=False))
        assert plan.times_s[-1] >= 3.0 and (np.diff(plan.times_s) > 0).all()
        assert plan.points_ego.shape == (len(plan.times_s), 2) and plan.headings_ego.shape == plan.times_s.shape


def test_unknown_names_options_and_folders_are_refused_with_the_choices(tmp_path):
    with pytest.raises(ConfigError, match=r"stand_still.*untrained:"):
        make_planner("nobody")
    with pytest.raises(ConfigError, match="no options"):
        make_planner("stand_still", device="cpu")
    with pytest.raises(ConfigError, match="found none"):
        make_planner(str(tmp_path))
    with pytest.raises(ConfigError, match=r"'color'.*device"):
        make_planner("untrained:nano", color="red")
    with pytest.raises(ConfigError, match="nano"):
        make_planner("untrained:giant")


def test_a_driver_plans_in_the_ego_frame_and_needs_pictures():
    from aln_p3_core.synthetic.frames import track_frames

    small = {"bev.rows": 20, "bev.columns": 10, "agents.queries": 30, "map.instances": 8}
    planner = make_planner("untrained:nano", device="cpu", precision="fp32", overrides=small)
    assert isinstance(planner, ModelPlanner) and planner.needs_images and planner.name == "untrained:nano"
    observation = Simulation(stage(), {}).observe(images=False)
    with pytest.raises(InvalidFrameError, match="images"):
        planner.plan(observation)
    plan = planner.plan(replace(observation, frame=track_frames(1, rate_hz=2.0, size=(400, 225))[0]))
    assert plan.stamp_s == 0.0 and plan.times_s == pytest.approx(0.5 * np.arange(1, 7))
    assert np.isfinite(plan.points_ego).all() and plan.points_ego.shape == (6, 2)
    assert planner.scene is not None
    planner.reset()
    assert planner.scene is None
