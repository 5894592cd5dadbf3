"""Drawing over one camera's picture: boxes, map lines and the plan on the ground."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import Content, DrawnBox, DrawnLine, DrawnPlan
from aln_p3_core.drawing.images import SHIFT, Image, blend_mask, fill_polygon, fixed_point
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.paths import on_ground, ribbon_sides, smooth_path
from aln_p3_core.drawing.projection import PictureCamera
from aln_p3_core.drawing.text import draw_label, label_box
from aln_p3_core.geometry import FloatArray, box_corners

_PLAN_WIDTH_M = 1.7
#: The ribbon begins here, in front of the bumper, so that it does not cover the bonnet.
_PLAN_START_M = 2.5
_EDGES = np.array([(i, (i + 1) % 4) for i in range(4)] + [(4 + i, 4 + (i + 1) % 4) for i in range(4)])
_PILLARS = np.array([(i, i + 4) for i in range(4)])
_BOX_EDGES = np.concatenate([_EDGES, _PILLARS])
#: A box must be this share of the picture high to bear a label.
_LABEL_MIN_HEIGHT = 0.055


def draw_over(
    image: Image,
    camera: PictureCamera,
    content: Content,
    T_ego_model: FloatArray,
    *,
    color: Color | None = None,
    labels: bool = True,
    stopped: bool = False,
) -> None:
    """Draws content over a camera's picture, in place.

    Args:
        image: RGB, of the camera's size.
        camera: projection of that picture.
        content: what to draw, in the model frame.
        T_ego_model: 4x4; says where the ground is.
        color: one colour for everything (ground truth beside predictions); by class when None.
        labels: whether boxes bear names.
        stopped: the plan is a declared stop: drawn in red.
    """
    for line in content.lines:
        _draw_map_line(image, camera, line, T_ego_model, color)
    if content.plan is not None:
        if color is None:
            _draw_plan(image, camera, content.plan, T_ego_model, stopped)
        else:
            _draw_path(image, camera, content.plan.points_model, T_ego_model, color, 1)
    _draw_boxes(image, camera, content.boxes, T_ego_model, color, labels)


def _draw_boxes(
    image: Image,
    camera: PictureCamera,
    boxes: Sequence[DrawnBox],
    T_ego_model: FloatArray,
    color: Color | None,
    labels: bool,
) -> None:
    if not boxes:
        return
    corners = box_corners(
        np.array([box.center_model for box in boxes]),
        np.array([box.size_lwh for box in boxes]),
        np.array([box.heading_model for box in boxes]),
    )
    depths = camera.in_camera(corners)[..., 2]
    order = [int(i) for i in np.argsort(-depths.mean(axis=1)) if depths[i].max() > 0]
    seen: list[tuple[int, FloatArray]] = []
    for i in order:  # far ones first, near ones over them
        lines = camera.segments(corners[i][_BOX_EDGES[:, 0]], corners[i][_BOX_EDGES[:, 1]])
        if not len(lines) or not _touches(lines, camera):
            continue
        shade = color or palette.agent_color(boxes[i].class_name)
        large = np.ptp(lines[..., 1]) > 0.12 * camera.height
        if color is None:
            fill_polygon(image, camera.polygon(corners[i][:4]), shade, 0.28)
            _draw_future(image, camera, boxes[i], T_ego_model, shade)
        draw_segments(image, lines, shade, _thickness(image) if large else 1)
        # From the middle of the bottom to the middle of the front's lower edge: where the box heads for.
        bottom, front = corners[i][[2, 3, 6, 7]].mean(axis=0), corners[i][[2, 3]].mean(axis=0)
        draw_segments(image, camera.segments(bottom[None], front[None]), shade, 1)
        seen.append((i, lines))
    if labels:
        _draw_labels(image, camera, [(boxes[i], lines) for i, lines in reversed(seen)], color)


def _draw_labels(
    image: Image, camera: PictureCamera, seen: Sequence[tuple[DrawnBox, FloatArray]], color: Color | None
) -> None:
    """Near boxes first; a label that would cover another one is left out."""
    size = max(10, round(camera.width / 46))
    taken: list[tuple[int, int, int, int]] = []
    for box, lines in seen:
        points = np.clip(lines.reshape(-1, 2), 0, (camera.width - 1, camera.height - 1))
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        if bottom - top < _LABEL_MIN_HEIGHT * camera.height or right - left < 3:
            continue
        text = palette.short_name(box.class_name)
        if box.score is not None:
            text += f" {box.score:.2f}"
        height = label_box(text, 0, 0, size)[3]
        x0, _, x1, _ = label_box(text, (left + right) / 2, 0, size, align="center")
        x = min(max(x0, 0), camera.width - (x1 - x0))
        place = label_box(text, x, max(0.0, top - height - 1), size)
        if any(_overlap(place, other) for other in taken):
            continue
        taken.append(place)
        draw_label(image, text, place[0], place[1], size, color or palette.agent_color(box.class_name))


def _draw_future(image: Image, camera: PictureCamera, box: DrawnBox, T_ego_model: FloatArray, color: Color) -> None:
    """The most probable forecast as a line on the ground."""
    path = box.best_forecast
    if path is None or not len(path) or np.linalg.norm(path[-1] - box.center_model[:2]) < 1.0:
        return
    ground = box.center_model[2] - box.size_lwh[2] / 2
    points = np.concatenate([box.center_model[None, :2], path])
    draw_segments(image, camera.polyline(np.column_stack([points, np.full(len(points), ground)])), color, 1)


def _draw_map_line(
    image: Image, camera: PictureCamera, line: DrawnLine, T_ego_model: FloatArray, color: Color | None
) -> None:
    shade = color or palette.map_color(line.class_name)
    segments = camera.polyline(on_ground(line.points_model, T_ego_model))
    draw_segments(image, segments, shade, 1 if color else _thickness(image))


def _draw_plan(image: Image, camera: PictureCamera, plan: DrawnPlan, T_ego_model: FloatArray, stopped: bool) -> None:
    for alternative in plan.alternatives_model:
        _draw_path(image, camera, alternative, T_ego_model, palette.PLAN_ALTERNATIVE, 1)
    color = palette.PLAN_STOPPED if stopped else palette.PLAN
    path = _from_bumper(plan.points_model)
    if len(path) < 2:
        return
    left, right = (on_ground(side, T_ego_model) for side in ribbon_sides(path, _PLAN_WIDTH_M))
    # Nested polygons, each from one point on to the end: opacity falls towards the far end without seams.
    count = len(path) - 1
    bands = [
        (camera.polygon(np.concatenate([left[i:], right[i:][::-1]])), 0.62 - 0.42 * i / count) for i in range(count)
    ]
    blend_mask(image, bands, color)
    for side in (left, right):
        draw_segments(image, camera.polyline(side), color, _thickness(image))
    # A bar across the ribbon at every planned point.
    for point in plan.points_model:
        nearest = int(np.linalg.norm(path - point, axis=1).argmin())
        if np.linalg.norm(path[nearest] - point) < 0.3:
            draw_segments(image, camera.segments(left[nearest][None], right[nearest][None]), (255, 255, 255), 1)


def _draw_path(
    image: Image,
    camera: PictureCamera,
    points: FloatArray,
    T_ego_model: FloatArray,
    color: Color,
    thickness: int,
) -> None:
    path = _from_bumper(points)
    if len(path) >= 2:
        draw_segments(image, camera.polyline(on_ground(path, T_ego_model)), color, thickness)


def _from_bumper(points: FloatArray) -> FloatArray:
    """Smooth path from the bumper on; [0, 2] when the car hardly moves."""
    path = smooth_path(np.concatenate([np.zeros((1, 2)), points]))
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    if travelled[-1] <= _PLAN_START_M + 0.5:
        return np.zeros((0, 2))
    kept = travelled > _PLAN_START_M
    start = np.array([np.interp(_PLAN_START_M, travelled, path[:, axis]) for axis in (0, 1)])
    return np.concatenate([start[None], path[kept]])


def draw_segments(image: Image, segments: FloatArray, color: Color, thickness: int) -> None:
    """Draws separate lines [k, 2, 2] (pixels) in place."""
    if len(segments):
        cv2.polylines(image, list(fixed_point(segments)), False, color, thickness, cv2.LINE_AA, SHIFT)


def _thickness(image: Image) -> int:
    return max(1, round(image.shape[1] / 300))


def _touches(lines: FloatArray, camera: PictureCamera) -> bool:
    """Whether the lines' bounding box meets the picture itself, not only the margin around it."""
    low, high = lines.reshape(-1, 2).min(axis=0), lines.reshape(-1, 2).max(axis=0)
    return bool((high >= 0).all() and low[0] < camera.width and low[1] < camera.height)


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
