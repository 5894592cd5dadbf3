"""What the explainer reads on the road is what it would read beside the driver."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from speaker_helpers import rich_scene, scene_messages

from aln_p3_core.explainer.scene_context import SceneContext, agent_rows, context_from_scene
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.scene import DrivingScene, Plan
from aln_p3_ros.messages.conversions import float16_array
from aln_p3_ros.messages.scene_from_tokens import scene_from_messages

CONFIG = ExplainerConfig(name="test")


def on_the_road(scene: DrivingScene, **kwargs: object) -> DrivingScene:
    """The scene after it has been published, sent and read."""
    messages = scene_messages(scene, **kwargs)
    return scene_from_messages(*(deserialize_message(serialize_message(m), type(m)) for m in messages))


@pytest.mark.parametrize("agents", [5, 40, 0])
def test_the_context_is_the_same_beside_the_driver_and_on_the_road(agents: int) -> None:
    scene = rich_scene(agents=agents)
    turned = np.array([[0.0, 1, 0, 0.9], [-1, 0, 0, 0.1], [0, 0, 1, 1.8], [0, 0, 0, 1]])
    scene = dataclasses.replace(scene, T_ego_model=turned)
    here, there = context_from_scene(scene, CONFIG), context_from_scene(on_the_road(scene), CONFIG)
    assert here.agents_BAD.shape[1] == min(agents, CONFIG.max_agents)
    for field in dataclasses.fields(SceneContext):
        expected, found = getattr(here, field.name), getattr(there, field.name)
        if expected is None:
            assert found is None
            continue
        assert found.shape == expected.shape and found.dtype == expected.dtype, field.name
        # Half precision: 11 bits; boxes travel in double precision.
        exact = field.name == "agent_boxes_BA10"
        np.testing.assert_allclose(found, expected, rtol=1e-5 if exact else 1e-3, atol=1e-4 if exact else 1e-3)
    if agents:
        np.testing.assert_array_equal(
            on_the_road(scene).agents.query_ids[agent_rows(on_the_road(scene), CONFIG)],
            scene.agents.query_ids[agent_rows(scene, CONFIG)],
        )


def test_a_base_sized_map_is_read_as_it_is_sent() -> None:
    sent = scene_messages(rich_scene(cells=100))[0]
    assert float16_array(sent.bev).shape[:2] == (50, 50)
    assert on_the_road(rich_scene(cells=100)).tokens.bev.shape[:2] == (50, 50)


def test_objects_lines_and_command_come_back() -> None:
    scene = rich_scene()
    command = RouteCommand(Command.LEFT, CommandProvenance.GIVEN)
    scene = dataclasses.replace(scene, plan=Plan(scene.plan.trajectories_model, command, 0.5))
    back = on_the_road(scene)
    assert (back.plan.command, back.plan.step_s) == (command, 0.5)
    np.testing.assert_allclose(back.plan.points_model, scene.plan.points_model, rtol=1e-3)
    np.testing.assert_allclose(back.T_ego_model, scene.T_ego_model, atol=1e-12)
    assert back.newest_image_stamp_ns == scene.newest_image_stamp_ns
    detected = scene.agents.scores >= 0.2
    names = [scene.agents.class_names[kind] for kind in scene.agents.class_ids[detected]]
    assert [back.agents.class_names[kind] for kind in back.agents.class_ids] == names
    for name in ("centers_model", "sizes_lwh", "headings_model", "velocities_model", "scores"):
        np.testing.assert_allclose(
            getattr(back.agents, name), getattr(scene.agents, name)[detected], atol=1e-5, err_msg=name
        )
    # Most probable first, where the network has them by mode.
    order = np.argsort(-scene.agents.forecast_probabilities[0], kind="stable")
    np.testing.assert_allclose(back.agents.forecasts_model[0], scene.agents.forecasts_model[0][order], atol=1e-4)
    seen = scene.map_elements.scores >= 0.2
    np.testing.assert_allclose(back.map_elements.points_model, scene.map_elements.points_model[seen], atol=1e-5)
    np.testing.assert_array_equal(back.map_elements.class_ids, scene.map_elements.class_ids[seen])
    np.testing.assert_array_equal(back.map_elements.query_ids, scene.map_elements.query_ids[seen])


def test_an_unknown_class_keeps_its_name() -> None:
    tokens, objects, lines = scene_messages(rich_scene())
    objects.objects[0].class_name = "tram"
    back = scene_from_messages(tokens, objects, lines)
    assert back.agents.class_names[back.agents.class_ids[0]] == "tram"


def test_without_a_map_there_are_no_lines() -> None:
    tokens, objects, _ = scene_messages(rich_scene())
    assert len(scene_from_messages(tokens, objects).map_elements) == 0


def test_messages_that_do_not_fit_are_refused() -> None:
    tokens, objects, lines = scene_messages(rich_scene())
    objects.plan_id = "a-2"
    with pytest.raises(ValueError, match="a-2"):
        scene_from_messages(tokens, objects, lines)
    tokens, objects, lines = scene_messages(rich_scene())
    tokens.agent_query_ids = tokens.agent_query_ids[:-1]
    with pytest.raises(ValueError, match="rows of tokens"):
        scene_from_messages(tokens, objects, lines)
    tokens, objects, lines = scene_messages(rich_scene())
    tokens.bev.shape = [7, 7, 7]
    with pytest.raises(ValueError, match="reshape"):
        scene_from_messages(tokens, objects, lines)


def test_the_speed_is_told_where_it_is_known() -> None:
    assert scene_messages(rich_scene(), speed=3.5)[0].speed == 3.5
    assert np.isnan(scene_messages(rich_scene(), speed=None)[0].speed)
