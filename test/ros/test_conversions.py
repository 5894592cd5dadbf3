"""From a scene to messages: frames, stamps, order, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from aln_p3.msg import MapLine, RouteCommand
from driver_helpers import SPEED, straight_scene

from aln_p3_core.frame import Command, CommandProvenance
from aln_p3_core.frame import RouteCommand as CoreCommand
from aln_p3_core.geometry import make_transform
from aln_p3_core.scene import DrivingScene
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.messages import conversions
from aln_p3_ros.messages.conversions import float16_array, float16_tensor
from aln_p3_ros.messages.stamps import to_ns


@pytest.fixture(scope="module")
def scene() -> DrivingScene:
    return straight_scene(track_frames(1, size=(160, 90))[0], with_tokens=True)


def test_the_plan_is_in_base_link_at_the_newest_stamp(scene: DrivingScene) -> None:
    message = conversions.planned_trajectory(scene, plan_id="a-1", checkpoint_hash="ff", current_speed=SPEED)
    assert to_ns(message.header.stamp) == scene.newest_image_stamp_ns
    assert (message.header.frame_id, message.plan_id, message.checkpoint_hash) == ("base_link", "a-1", "ff")
    positions, headings = scene.plan_in_ego()
    straight = Command.STRAIGHT.value
    np.testing.assert_allclose(conversions.path_of(message.points), positions[straight])
    assert [to_ns(point.time_from_start) for point in message.points] == [500_000_000 * k for k in range(1, 7)]
    assert message.points[0].longitudinal_velocity == pytest.approx(SPEED)
    assert [alternative.command for alternative in message.alternatives] == [RouteCommand.RIGHT, RouteCommand.LEFT]
    left = message.alternatives[1].points[-1]
    assert left.pose.position.y > 1.0 and left.curvature > 0
    assert 2 * np.arctan2(left.pose.orientation.z, left.pose.orientation.w) == pytest.approx(headings[1, -1])
    assert message.command.provenance == RouteCommand.PROVENANCE_DEFAULT


def test_objects_are_in_base_link_best_first_and_above_the_score(scene: DrivingScene) -> None:
    message = conversions.predicted_objects(scene, plan_id="a-1", min_score=0.05)
    assert [item.class_name for item in message.objects] == ["car", "pedestrian"]
    car = message.objects[0]
    # Model frame (2, 20, -1): 2 m to the right, 20 m ahead of the model frame's origin (0.94, 0, 1.84).
    center = car.pose.position
    np.testing.assert_allclose([center.x, center.y, center.z], [20.94, -2.0, 0.84], atol=1e-5)
    assert 2 * np.arctan2(car.pose.orientation.z, car.pose.orientation.w) == pytest.approx(0.0, abs=1e-6)
    assert car.velocity.x == pytest.approx(8.0) and car.velocity.y == pytest.approx(0.0, abs=1e-6)
    assert (car.size.x, car.size.y) == (pytest.approx(4.5), pytest.approx(1.9)) and car.query_id == 7
    probabilities = [path.probability for path in car.paths]
    assert len(car.paths) == 6 and probabilities == sorted(probabilities, reverse=True)
    assert len(conversions.predicted_objects(scene, plan_id="", min_score=0.5).objects) == 1
    assert len(conversions.predicted_objects(scene, plan_id="", limit=1).objects) == 1


def test_map_lines(scene: DrivingScene) -> None:
    message = conversions.vector_map(scene, plan_id="a-1")
    line = message.lines[0]
    assert line.line_type == MapLine.BOUNDARY and line.score == pytest.approx(0.8)
    np.testing.assert_allclose([[p.x, p.y] for p in line.points], [[0.94, 0.0], [10.94, 0.0]], atol=1e-6)


def test_tokens_hold_detected_rows_and_a_pooled_map(scene: DrivingScene) -> None:
    message = conversions.scene_tokens(scene, plan_id="a-1", checkpoint_hash="ff", min_object_score=0.5)
    assert message.agent_query_ids.tolist() == [7] and message.map_query_ids.tolist() == [4]
    np.testing.assert_allclose(float16_array(message.agents), scene.tokens.agents[[7]], rtol=1e-3)
    np.testing.assert_allclose(float16_array(message.map), scene.tokens.map[[4]], rtol=1e-3)
    bev = float16_array(message.bev)
    assert bev.shape == (50, 50, 4)
    np.testing.assert_allclose(bev[3, 4], scene.tokens.bev[6:8, 8:10].mean(axis=(0, 1)), rtol=1e-3)
    assert float16_array(message.plan).shape == (3, 6, 2)
    assert float16_array(message.motion).shape == (1, 6, 8)
    nothing = conversions.scene_tokens(scene, plan_id="", checkpoint_hash="", min_object_score=1.1)
    assert float16_array(nothing.agents).shape == (0, 4)


def test_tokens_need_a_scene_with_tokens() -> None:
    scene = straight_scene(track_frames(1, size=(160, 90))[0])
    with pytest.raises(ValueError, match="with_tokens"):
        conversions.scene_tokens(scene, plan_id="", checkpoint_hash="")


@pytest.mark.parametrize("shape", [(50, 50, 2), (120, 60, 2), (51, 70, 3), (200, 200, 1)])
def test_pooling_keeps_the_mean_and_the_limit(shape: tuple[int, ...]) -> None:
    bev = np.random.default_rng(0).normal(size=shape)
    pooled = conversions.pool_bev(bev)
    assert max(pooled.shape[:2]) <= 50 and pooled.shape[2] == shape[2]
    if shape[0] % 2 == shape[1] % 2 == 0:
        np.testing.assert_allclose(pooled.mean(axis=(0, 1)), bev.mean(axis=(0, 1)), atol=1e-12)


def test_half_precision_is_clipped_not_infinite() -> None:
    values = np.array([[1e6, -1e6, 0.5]])
    back = float16_array(float16_tensor(values))
    assert back.shape == (1, 3) and np.isfinite(back).all() and back[0, 2] == 0.5


def test_the_path_is_in_odom_and_starts_at_the_vehicle(scene: DrivingScene) -> None:
    trajectory = conversions.planned_trajectory(scene, plan_id="", checkpoint_hash="", current_speed=None)
    turned = make_transform([np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)], [100.0, 50.0, 0.0])
    path = conversions.path_message(trajectory, turned)
    assert path.header.frame_id == "odom" and len(path.poses) == 7
    places = np.array([[pose.pose.position.x, pose.pose.position.y] for pose in path.poses])
    np.testing.assert_allclose(places[0], [100.0, 50.0])
    np.testing.assert_allclose(places[-1], [100.0, 50.0 + 24.0], atol=0.05)
    stamps = [to_ns(pose.header.stamp) for pose in path.poses]
    assert stamps[0] == scene.newest_image_stamp_ns and stamps[-1] - stamps[0] == 3_000_000_000


@pytest.mark.parametrize("command", list(Command))
@pytest.mark.parametrize("provenance", list(CommandProvenance))
def test_commands_there_and_back(command: Command, provenance: CommandProvenance) -> None:
    message = conversions.command_message(CoreCommand(command, provenance))
    assert conversions.command_from_message(message) == CoreCommand(command, provenance)


def test_the_numbers_of_commands_are_those_of_the_message() -> None:
    for command in Command:
        assert getattr(RouteCommand, command.name) == command.value
    for provenance in CommandProvenance:
        number = getattr(RouteCommand, f"PROVENANCE_{provenance.name}")
        assert conversions.command_message(CoreCommand(provenance=provenance)).provenance == number


def test_unknown_commands_are_refused() -> None:
    for message in (RouteCommand(command=9), RouteCommand(provenance=9)):
        with pytest.raises(ValueError, match="9"):
            conversions.command_from_message(message)
