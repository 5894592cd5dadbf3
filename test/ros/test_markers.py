"""Markers: what RViz gets for a plan, objects and a map."""

from __future__ import annotations

import numpy as np
import pytest
from aln_p3.msg import (
    MapLine,
    PlannedTrajectory,
    PredictedObject,
    PredictedObjects,
    PredictedPath,
    RouteCommand,
    TrajectoryAlternative,
    TrajectoryPoint,
    VectorMap,
)
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from aln_p3_core.drawing import palette
from aln_p3_core.geometry import make_transform
from aln_p3_ros.messages.markers import in_frame, perception_markers, plan_markers, view_markers
from aln_p3_ros.messages.stamps import to_time

HEADER = Header(stamp=to_time(1_700_000_000_123_456_789), frame_id="base_link")


def pose(x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Pose:
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(z=np.sin(yaw / 2), w=np.cos(yaw / 2)))


def car(score: float = 0.8) -> PredictedObject:
    paths = [
        PredictedPath(probability=p, points=[Point(x=12.0 + k, y=side * k) for k in range(1, 4)])
        for p, side in ((0.9, 0.0), (0.1, 1.0))
    ]
    size = Vector3(x=4.5, y=1.9, z=1.6)
    return PredictedObject(class_name="car", score=score, pose=pose(12.0, 1.0, 0.8, 0.3), size=size, paths=paths)


def straight_plan(**kwargs: object) -> PlannedTrajectory:
    points = [TrajectoryPoint(pose=pose(2.0 * k, 0.0)) for k in range(1, 7)]
    aside = [TrajectoryPoint(pose=pose(2.0 * k, 0.2 * k * k)) for k in range(1, 7)]
    return PlannedTrajectory(
        header=HEADER,
        command=RouteCommand(command=RouteCommand.STRAIGHT),
        points=points,
        alternatives=[TrajectoryAlternative(command=RouteCommand.LEFT, points=aside)],
        **kwargs,
    )


def by_namespace(markers: MarkerArray) -> dict[str, list[Marker]]:
    found: dict[str, list[Marker]] = {}
    for marker in markers.markers:
        found.setdefault(marker.ns, []).append(marker)
    return found


def rgb(marker: Marker) -> tuple[int, ...]:
    return tuple(round(255 * value) for value in (marker.color.r, marker.color.g, marker.color.b))


def test_every_array_deletes_first_and_everything_dies_by_itself() -> None:
    arrays = (
        plan_markers(straight_plan(), lifetime_s=0.5),
        perception_markers(PredictedObjects(header=HEADER, objects=[car()]), lifetime_s=0.5),
        view_markers(HEADER, caption="it stops", lifetime_s=0.5),
    )
    for array in arrays:
        first, *rest = array.markers
        assert first.action == Marker.DELETEALL
        assert rest
        for marker in rest:
            assert marker.action == Marker.ADD
            assert marker.header == HEADER
            assert (marker.lifetime.sec, marker.lifetime.nanosec) == (0, 500_000_000)
            assert marker.color.a > 0 or marker.colors
        names = [(marker.ns, marker.id) for marker in rest]
        assert len(set(names)) == len(names)


def test_a_box_stands_where_the_object_is() -> None:
    found = by_namespace(perception_markers(PredictedObjects(header=HEADER, objects=[car()])))
    (box,) = found["boxes"]
    assert box.pose == car().pose
    assert (box.scale.x, box.scale.y, box.scale.z) == (4.5, 1.9, 1.6)
    assert rgb(box) == palette.AGENT_COLORS["car"]
    assert found["labels"][0].text == "car 0.80"
    assert found["labels"][0].pose.position.z > 1.6


def test_forecasts_fade_with_their_probability_and_lie_on_the_ground() -> None:
    found = by_namespace(perception_markers(PredictedObjects(header=HEADER, objects=[car()])))
    (forecasts,) = found["forecasts"]
    assert len(forecasts.points) == len(forecasts.colors) == 2 * 3 * 2
    alphas = [color.a for color in forecasts.colors]
    assert alphas[0] > 0.9 > 0.3 > alphas[-1]
    assert all(abs(point.z) < 0.1 for point in forecasts.points)


def test_weak_objects_and_lines_are_left_out() -> None:
    objects = PredictedObjects(header=HEADER, objects=[car(0.8), car(0.1)])
    lines = VectorMap(
        header=HEADER,
        lines=[MapLine(line_type=MapLine.DIVIDER, score=s, points=[Point(), Point(x=1.0)]) for s in (0.9, 0.1)],
    )
    found = by_namespace(perception_markers(objects, lines, min_score=0.3))
    assert len(found["boxes"]) == 1
    assert len(found["map"][0].points) == 2


def test_nothing_seen_draws_nothing_and_still_deletes() -> None:
    array = perception_markers(PredictedObjects(header=HEADER), VectorMap(header=HEADER))
    assert [marker.action for marker in array.markers] == [Marker.DELETEALL]


def test_the_ribbon_begins_at_the_vehicle_and_ends_at_the_last_point() -> None:
    found = by_namespace(plan_markers(straight_plan()))
    (ribbon,) = found["plan"]
    corners = np.array([[p.x, p.y, p.z] for p in ribbon.points])
    assert len(corners) == 6 * 6
    np.testing.assert_allclose([corners[:, 0].min(), corners[:, 0].max()], [0, 12])
    assert 1.0 < np.ptp(corners[:, 1]) < 2.5
    assert len(found["plan_points"][0].points) == 6
    assert len(found["plan_alternatives"]) == 1
    assert rgb(ribbon) == palette.PLAN
    # Triangles that face upwards are lit from above.
    a, b, c = corners[:3]
    assert np.cross(b - a, c - a)[2] > 0


def test_a_stop_is_red_and_says_why() -> None:
    plan = straight_plan(degraded=PlannedTrajectory.DEGRADED_STOP, degraded_reasons=["CAM_FRONT is silent"])
    found = by_namespace(plan_markers(plan))
    assert rgb(found["plan"][0]) == palette.PLAN_STOPPED
    assert "CAM_FRONT is silent" in found["caption"][0].text
    assert rgb(found["caption"][0]) == palette.PLAN_STOPPED


def test_a_plan_without_points_has_text_only() -> None:
    found = by_namespace(plan_markers(PlannedTrajectory(header=HEADER)))
    assert set(found) == {"", "caption"}


def test_in_frame_moves_markers_once_and_leaves_the_message_alone() -> None:
    objects = PredictedObjects(header=HEADER, objects=[car()])
    T_odom_base = make_transform([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [100.0, 200.0, 3.0])
    moved = by_namespace(in_frame(perception_markers(objects), "odom", T_odom_base))
    for marker in (moved["boxes"][0], moved["headings"][0]):
        place = marker.pose.position
        np.testing.assert_allclose([place.x, place.y, place.z], [99.0, 212.0, 3.8])
        assert marker.header.frame_id == "odom"
        assert marker.header.stamp == HEADER.stamp
    turned = moved["boxes"][0].pose.orientation
    assert 2 * np.arctan2(turned.z, turned.w) == pytest.approx(0.3 + np.pi / 2)
    assert objects.objects[0].pose == car().pose
    assert objects.header.frame_id == "base_link"


def test_ground_truth_is_white() -> None:
    truth = PredictedObjects(header=HEADER, objects=[car(1.0)])
    found = by_namespace(view_markers(HEADER, truth=truth))
    assert rgb(found["truth_boxes"][0]) == palette.TRUTH
    assert found["vehicle"][0].type == Marker.CUBE
    assert "caption" not in found
