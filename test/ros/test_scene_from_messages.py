"""Scene -> messages -> drawing: what is drawn from messages is what the driver said."""

from __future__ import annotations

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from driver_helpers import straight_scene

from aln_p3_core.drawing.content import Content, content_of_scene
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.geometry import heading_of, invert_transform, make_transform, transform_points, virtual_T_ego_model
from aln_p3_core.scene import DrivingScene
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.messages.conversions import planned_trajectory, predicted_objects, vector_map
from aln_p3_ros.messages.scene_from_messages import content_from_messages


@pytest.fixture(scope="module")
def frame() -> DrivingFrame:
    return track_frames(1, size=(160, 90))[0]


def through_messages(scene: DrivingScene, **kwargs: object) -> Content:
    plan = planned_trajectory(scene, plan_id="1", checkpoint_hash="", current_speed=None)
    objects, lines = predicted_objects(scene, plan_id="1"), vector_map(scene, plan_id="1")
    return content_from_messages(plan, objects, lines, **kwargs)


def test_the_round_trip_keeps_everything(frame: DrivingFrame) -> None:
    scene = straight_scene(frame)
    expected = content_of_scene(scene, min_score=0.0)
    content = through_messages(scene)
    assert len(content.boxes) == len(expected.boxes) == 2
    for box, original in zip(content.boxes, expected.boxes, strict=True):
        assert box.class_name == original.class_name
        np.testing.assert_allclose(box.center_model, original.center_model, atol=1e-5)
        np.testing.assert_allclose(box.size_lwh, original.size_lwh, atol=1e-5)
        assert box.heading_model == pytest.approx(original.heading_model, abs=1e-5)
        np.testing.assert_allclose(box.velocity_model, original.velocity_model, atol=1e-5)
        assert box.score == pytest.approx(original.score)
        best = int(original.probabilities.argmax())
        np.testing.assert_allclose(box.forecasts_model[0], original.forecasts_model[best], atol=1e-5)
        np.testing.assert_allclose(box.probabilities, np.sort(original.probabilities)[::-1], atol=1e-6)
    np.testing.assert_allclose(content.lines[0].points_model, expected.lines[0].points_model, atol=1e-5)
    assert content.lines[0].class_name == expected.lines[0].class_name
    assert content.plan is not None and expected.plan is not None
    np.testing.assert_allclose(content.plan.points_model, expected.plan.points_model, atol=1e-5)
    np.testing.assert_allclose(content.plan.times_s, expected.plan.times_s)
    assert content.plan.command == expected.plan.command
    for path, original in zip(content.plan.alternatives_model, expected.plan.alternatives_model, strict=True):
        np.testing.assert_allclose(path, original, atol=1e-5)


def test_any_model_frame_of_the_driver_gives_the_same_place_on_the_road(frame: DrivingFrame) -> None:
    """A driver with its model frame at a LiDAR that is mounted elsewhere and a little turned."""
    import dataclasses

    turn = np.radians(1.5)
    T_ego_lidar = virtual_T_ego_model() @ make_transform(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]], [0.1, 0.4, 0.2]
    )
    scene = dataclasses.replace(straight_scene(frame), T_ego_model=T_ego_lidar)
    content = through_messages(scene)
    for box, center, heading in zip(
        content.boxes, scene.agents.centers_model, scene.agents.headings_model, strict=True
    ):
        np.testing.assert_allclose(
            transform_points(virtual_T_ego_model(), box.center_model), transform_points(T_ego_lidar, center), atol=1e-5
        )
        assert box.heading_model == pytest.approx(
            heading + heading_of(invert_transform(virtual_T_ego_model()) @ T_ego_lidar), abs=1e-5
        )


def test_weak_ones_are_left_out_and_truth_bears_no_score(frame: DrivingFrame) -> None:
    content = through_messages(straight_scene(frame), min_score=0.5)
    assert [box.class_name for box in content.boxes] == ["car"]


def test_a_declared_stop_is_one(frame: DrivingFrame) -> None:
    scene = straight_scene(frame)
    plan = planned_trajectory(scene, plan_id="1", checkpoint_hash="", current_speed=None)
    plan.degraded = PlannedTrajectory.DEGRADED_STOP
    content = content_from_messages(plan)
    assert content.plan is not None and content.plan.stopped
    assert content.boxes == content.lines == ()


def test_nothing_in_nothing_out() -> None:
    assert not content_from_messages()
    assert content_from_messages(PlannedTrajectory()).plan is None
