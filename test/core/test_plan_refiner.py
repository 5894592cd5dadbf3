"""A plan is corrected by what stands about its own points, seen from there."""

from __future__ import annotations

import dataclasses
import math

import torch
from network_helpers import small_config, small_inputs, small_network

from aln_p3_core.driver.plan_refiner import PlanRefiner, _nearest_on_lines, _seen_from


def test_vectors_are_told_to_the_right_and_ahead_of_who_looks():
    forward = torch.tensor([0.0, 1.0])  # model frame: straight ahead
    away = torch.tensor([3.0, 4.0]).view(1, 1, 1, 1, 2)
    torch.testing.assert_close(_seen_from(away, forward.view(1, 1, 1, 2)), away)
    to_the_left = torch.tensor([-1.0, 0.0])
    seen = _seen_from(away, to_the_left.view(1, 1, 1, 2)).flatten()
    torch.testing.assert_close(seen, torch.tensor([4.0, -3.0]))


def test_nearest_place_of_a_line_lies_on_its_segments():
    line = torch.tensor([[[[-20.0, 5.0], [0.0, 5.0], [20.0, 5.0]]]])
    point = torch.tensor([3.0, 1.0]).view(1, 1, 1, 2)
    away, direction = _nearest_on_lines(point, line)
    torch.testing.assert_close(away.flatten(), torch.tensor([0.0, 4.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(direction.flatten(), torch.tensor([20 / 21, 0.0]), atol=0.01, rtol=0)


def test_a_lone_command_is_refined_as_among_all():
    for queries in (False, True):
        config = small_config(ego_status="planner", planner__command_queries=queries)
        network = small_network(config)
        inputs = small_inputs(config, batch=2)
        inputs.ego_status_B8 = torch.zeros(2, 8)
        features = network.extract_features(inputs.images_BNCHW)
        bev = network.encode_bev(features, inputs)
        seen = network.decode(bev)
        image = network.planner.image_tokens(features)
        tokens = network.planner.tokens(seen.motion, seen.agents, seen.lines, bev, image)
        every, _ = network.planner(tokens, inputs.ego_status_B8)
        alone, _ = network.planner(tokens, inputs.ego_status_B8, torch.tensor([2, 0]))
        torch.testing.assert_close(alone[0, 2], every[0, 2])
        torch.testing.assert_close(alone[1, 0], every[1, 0])
        assert not torch.equal(alone[0, 0], every[0, 0])


def test_the_same_scene_further_on_looks_the_same():
    """Agents and lines that move and turn with the plan change nothing of what they say about it."""
    config = dataclasses.replace(small_config(), name="any")
    torch.manual_seed(0)
    refiner = PlanRefiner(config).eval()
    batch, things, steps = 1, 3, config.planner.steps
    points, places = torch.randn(batch, 1, steps, 2) * 5, torch.randn(batch, steps, things, 2) * 8
    forward = torch.nn.functional.normalize(torch.randn(batch, 1, steps, 2), dim=-1)
    heading = torch.nn.functional.normalize(torch.randn(batch, things, 2), dim=-1)
    velocity, x = torch.randn(batch, things, 2), torch.randn(batch, 1, steps, config.embed_dims)
    facts = torch.rand(batch, things, 4 + len(config.agents.classes))
    turn = torch.tensor([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    shift = torch.tensor([4.0, -9.0])

    class Scene:
        agent_places_BTK2, agent_forward_BK2, agent_velocity_BK2, agent_facts_BKF = places, heading, velocity, facts

    class Moved:
        agent_places_BTK2, agent_forward_BK2 = places @ turn.T + shift, heading @ turn.T
        agent_velocity_BK2, agent_facts_BKF = velocity @ turn.T, facts

    with torch.no_grad():
        here = refiner._of_agents(x, points, forward, Scene())
        there = refiner._of_agents(x, points @ turn.T + shift, forward @ turn.T, Moved())
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-4)
