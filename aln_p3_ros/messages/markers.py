"""From our messages to `visualization_msgs`: what RViz and Foxglove draw.

Pure functions, shared by the driver node and the view node. Markers keep the header of the message that
they show (base_link at the stamp of the newest image), so that a viewer places them where the car was;
`in_frame` moves them to `odom` for viewers that look at one instant only. Each array begins with a
DELETEALL, which takes away the objects of the frame before, and each marker has a lifetime, so that
nothing stays on the screen when its publisher dies. Publish one array a topic: DELETEALL clears its topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from aln_p3.msg import MapLine, PlannedTrajectory, PredictedObject, PredictedObjects, RouteCommand, VectorMap
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.paths import EGO_FOOTPRINT
from aln_p3_core.geometry import FloatArray, make_transform, matrix_to_quaternion

LINE_TYPE_NAMES = {
    MapLine.DIVIDER: "divider",
    MapLine.PED_CROSSING: "ped_crossing",
    MapLine.BOUNDARY: "boundary",
}
COMMAND_NAMES = {RouteCommand.RIGHT: "right", RouteCommand.LEFT: "left", RouteCommand.STRAIGHT: "straight"}

_PLAN_WIDTH_M = 1.6
_VEHICLE_HEIGHT_M = 1.5
# A little above the ground, one above the other, so that they do not flicker through it or each other.
_LINE_HEIGHT_M, _FORECAST_HEIGHT_M, _PLAN_HEIGHT_M = 0.03, 0.06, 0.09


def perception_markers(
    objects: PredictedObjects | None = None,
    vector_map: VectorMap | None = None,
    *,
    lifetime_s: float = 1.0,
    min_score: float = 0.0,
) -> MarkerArray:
    """Boxes with heading and label, forecasts and map lines.

    Args:
        objects, vector_map: what to draw; either may be missing.
        lifetime_s: seconds after which a viewer drops the markers by itself.
        min_score: objects and lines below it are left out.
    """
    header = (objects or vector_map or VectorMap()).header
    markers = [delete_all(header)]
    if objects is not None:
        shown = [item for item in objects.objects if item.score >= min_score]
        markers += _object_markers(objects.header, shown, lifetime_s)
    if vector_map is not None:
        shown_lines = [line for line in vector_map.lines if line.score >= min_score]
        markers += _line_markers(vector_map.header, shown_lines, lifetime_s)
    return MarkerArray(markers=markers)


def plan_markers(plan: PlannedTrajectory, *, lifetime_s: float = 1.0) -> MarkerArray:
    """The plan as a ribbon of the car's width, its alternatives as thin lines, and a line of text over the car.

    The ribbon is red when the plan is a declared stop. The text names the command and the reasons of a
    degraded plan.
    """
    header = plan.header
    stopped = plan.degraded == PlannedTrajectory.DEGRADED_STOP
    color = palette.PLAN_STOPPED if stopped else palette.PLAN
    poses = np.array(
        [[0.0, 0.0, 0.0]] + [[point.pose.position.x, point.pose.position.y, _yaw(point.pose)] for point in plan.points]
    )
    markers = [delete_all(header)]
    if plan.points:
        ribbon = _marker(header, "plan", 0, Marker.TRIANGLE_LIST, color, lifetime_s, alpha=0.55)
        ribbon.scale = Vector3(x=1.0, y=1.0, z=1.0)
        ribbon.points = _points(_ribbon_triangles(poses))
        points = _marker(header, "plan_points", 0, Marker.SPHERE_LIST, color, lifetime_s)
        points.scale = Vector3(x=0.4, y=0.4, z=0.4)
        points.points = _points(np.column_stack([poses[1:, :2], np.full(len(poses) - 1, _PLAN_HEIGHT_M)]))
        markers += [ribbon, points]
    for index, alternative in enumerate(plan.alternatives):
        path = [[0.0, 0.0]] + [[point.pose.position.x, point.pose.position.y] for point in alternative.points]
        line = _marker(header, "plan_alternatives", index, Marker.LINE_STRIP, palette.PLAN_ALTERNATIVE, lifetime_s, 0.6)
        line.scale.x = 0.1
        line.points = _points(np.column_stack([path, np.full(len(path), _PLAN_HEIGHT_M)]))
        markers.append(line)
    text = COMMAND_NAMES.get(plan.command.command, "?")
    if plan.degraded != PlannedTrajectory.DEGRADED_NONE:
        text += "\n" + ("STOP: " if stopped else "degraded: ") + "; ".join(plan.degraded_reasons)
    alarm = plan.degraded != PlannedTrajectory.DEGRADED_NONE
    markers.append(text_marker(header, text, lifetime_s=lifetime_s, color=palette.PLAN_STOPPED if alarm else None))
    return MarkerArray(markers=markers)


def view_markers(
    header: Header,
    *,
    caption: str = "",
    caption_alarm: bool = False,
    truth: PredictedObjects | None = None,
    lifetime_s: float = 1.0,
) -> MarkerArray:
    """What the view adds to the driver's own markers: the vehicle, the explanation in words, ground truth.

    Args:
        header: of the plan that is explained.
        caption: text that floats over the vehicle.
        caption_alarm: the caption contradicts the plan: in red.
        truth: annotated objects, in white, with their own header.
        lifetime_s: seconds after which a viewer drops the markers by itself.
    """
    rear, front, width = EGO_FOOTPRINT
    vehicle = _marker(header, "vehicle", 0, Marker.CUBE, palette.TEXT, lifetime_s, alpha=0.8)
    vehicle.pose.position = Point(x=(rear + front) / 2, y=0.0, z=_VEHICLE_HEIGHT_M / 2)
    vehicle.scale = Vector3(x=front - rear, y=width, z=_VEHICLE_HEIGHT_M)
    markers = [delete_all(header), vehicle]
    if caption:
        color = palette.PLAN_STOPPED if caption_alarm else None
        markers.append(text_marker(header, caption, position=(0.0, 0.0, 5.0), lifetime_s=lifetime_s, color=color))
    if truth is not None:
        markers += _object_markers(truth.header, truth.objects, lifetime_s, "truth_", palette.TRUTH)
    return MarkerArray(markers=markers)


def text_marker(
    header: Header,
    text: str,
    *,
    namespace: str = "caption",
    position: Sequence[float] = (0.0, 0.0, 3.5),
    lifetime_s: float = 1.0,
    color: palette.Color | None = None,
) -> Marker:
    """Text that faces the viewer, 0.8 m high, at a position in the header's frame."""
    marker = _marker(header, namespace, 0, Marker.TEXT_VIEW_FACING, color or palette.TEXT, lifetime_s)
    marker.pose.position = Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))
    marker.scale.z = 0.8
    marker.text = text
    return marker


def delete_all(header: Header) -> Marker:
    """Takes every earlier marker of the topic away."""
    return Marker(header=header, action=Marker.DELETEALL)


def in_frame(markers: MarkerArray, frame_id: str, T_frame_base: FloatArray) -> MarkerArray:
    """Moves markers, in place, from their header's frame to another (4x4, from header's frame to `frame_id`)."""
    for marker in markers.markers:
        position, q = marker.pose.position, marker.pose.orientation
        T_base_marker = make_transform([q.w, q.x, q.y, q.z], [position.x, position.y, position.z])
        T = np.asarray(T_frame_base, dtype=np.float64) @ T_base_marker
        w, x, y, z = (float(value) for value in matrix_to_quaternion(T))
        # New objects: the old ones belong to the message that the markers were made from.
        marker.pose = Pose(
            position=Point(x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3])),
            orientation=Quaternion(w=w, x=x, y=y, z=z),
        )
        marker.header = Header(stamp=marker.header.stamp, frame_id=frame_id)
    return markers


def _object_markers(
    header: Header,
    objects: Sequence[PredictedObject],
    lifetime_s: float,
    prefix: str = "",
    single_color: palette.Color | None = None,
) -> list[Marker]:
    markers = []
    for index, item in enumerate(objects):
        color = single_color or palette.agent_color(item.class_name)
        box = _marker(header, prefix + "boxes", index, Marker.CUBE, color, lifetime_s, alpha=0.5)
        box.pose = item.pose
        box.scale = Vector3(x=max(item.size.x, 0.05), y=max(item.size.y, 0.05), z=max(item.size.z, 0.05))
        arrow = _marker(header, prefix + "headings", index, Marker.ARROW, color, lifetime_s)
        arrow.pose = item.pose
        arrow.scale = Vector3(x=item.size.x / 2 + 0.8, y=0.15, z=0.15)
        centre = item.pose.position
        label = text_marker(
            header,
            f"{palette.short_name(item.class_name)} {item.score:.2f}",
            namespace=prefix + "labels",
            position=(centre.x, centre.y, centre.z + item.size.z / 2 + 0.6),
            lifetime_s=lifetime_s,
            color=color,
        )
        label.id, label.scale.z = index, 0.6
        markers += [box, arrow, label]
    segments = _Segments()
    for item in objects:
        start = item.pose.position
        ground = start.z - item.size.z / 2 + _FORECAST_HEIGHT_M
        for path in item.paths:
            points = [(start.x, start.y, ground)] + [(point.x, point.y, ground) for point in path.points]
            segments.add(
                points, single_color or palette.agent_color(item.class_name), 0.15 + 0.85 * min(1.0, path.probability)
            )
    return markers + segments.markers(header, prefix + "forecasts", 0.12, lifetime_s)


def _line_markers(header: Header, lines: Iterable[MapLine], lifetime_s: float) -> list[Marker]:
    segments = _Segments()
    for line in lines:
        points = [(point.x, point.y, point.z + _LINE_HEIGHT_M) for point in line.points]
        color = palette.map_color(LINE_TYPE_NAMES.get(line.line_type, ""))
        segments.add(points, color, 0.3 + 0.7 * min(1.0, line.score))
    return segments.markers(header, "map", 0.15, lifetime_s)


class _Segments:
    """Collects coloured polylines for one LINE_LIST: far fewer messages than a marker each."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._colors: list[ColorRGBA] = []

    def add(self, points: Sequence[tuple[float, float, float]], color: palette.Color, alpha: float) -> None:
        corners = [Point(x=x, y=y, z=z) for x, y, z in points]
        shade = _rgba(color, alpha)
        for start, end in pairwise(corners):
            self._points += [start, end]
            self._colors += [shade, shade]

    def markers(self, header: Header, namespace: str, width_m: float, lifetime_s: float) -> list[Marker]:
        """One marker, or none where nothing was added (an empty LINE_LIST is an error to RViz)."""
        if not self._points:
            return []
        marker = _marker(header, namespace, 0, Marker.LINE_LIST, palette.OTHER, lifetime_s)
        marker.scale.x = width_m
        marker.points, marker.colors = self._points, self._colors
        return [marker]


def _marker(
    header: Header, namespace: str, index: int, kind: int, color: palette.Color, lifetime_s: float, alpha: float = 1.0
) -> Marker:
    marker = Marker(header=header, ns=namespace, id=index, type=kind, action=Marker.ADD, color=_rgba(color, alpha))
    marker.pose.orientation.w = 1.0
    nanoseconds = round(lifetime_s * 1e9)
    marker.lifetime = Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return marker


def _ribbon_triangles(poses: FloatArray) -> FloatArray:
    """[6 * segments, 3] corners of a ribbon along poses [n, 3] (x, y, heading)."""
    normal = np.column_stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])]) * _PLAN_WIDTH_M / 2
    height = np.full((len(poses), 1), _PLAN_HEIGHT_M)
    left, right = np.hstack([poses[:, :2] + normal, height]), np.hstack([poses[:, :2] - normal, height])
    corners = np.stack([left[:-1], right[:-1], right[1:], left[:-1], right[1:], left[1:]], axis=1)
    return corners.reshape(-1, 3)


def _points(array: FloatArray) -> list[Point]:
    return [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in array]


def _rgba(color: palette.Color, alpha: float) -> ColorRGBA:
    return ColorRGBA(r=color[0] / 255, g=color[1] / 255, b=color[2] / 255, a=float(alpha))


def _yaw(pose: Pose) -> float:
    q = pose.orientation
    return float(np.arctan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z)))
