"""What lies on the ground in a camera's picture: map lines and the plan."""

from __future__ import annotations

import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import DrawnLine, DrawnPlan
from aln_p3_core.drawing.images import Image, blend_mask, draw_segments, line_thickness
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.paths import on_ground, ribbon_sides, smooth_path
from aln_p3_core.drawing.projection import PictureCamera
from aln_p3_core.geometry import FloatArray

_PLAN_WIDTH_M = 1.7
#: The ribbon begins here, in front of the bumper, so that it does not cover the bonnet.
_PLAN_START_M = 2.5


def draw_map_line(
    image: Image, camera: PictureCamera, line: DrawnLine, T_ego_model: FloatArray, color: Color | None
) -> None:
    """Draws a map line in place; `color` None: by class."""
    shade = color or palette.map_color(line.class_name)
    segments = camera.polyline(on_ground(line.points_model, T_ego_model))
    draw_segments(image, segments, shade, 1 if color else line_thickness(image))


def draw_plan(image: Image, camera: PictureCamera, plan: DrawnPlan, T_ego_model: FloatArray) -> None:
    """Draws the plan as a ribbon of the car's width, with a bar every step, and its alternatives as lines."""
    for alternative in plan.alternatives_model:
        draw_path(image, camera, alternative, T_ego_model, palette.PLAN_ALTERNATIVE, 1)
    color = palette.PLAN_STOPPED if plan.stopped else palette.PLAN
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
        draw_segments(image, camera.polyline(side), color, line_thickness(image))
    # A bar across the ribbon at every planned point.
    for point in plan.points_model:
        nearest = int(np.linalg.norm(path - point, axis=1).argmin())
        if np.linalg.norm(path[nearest] - point) < 0.3:
            draw_segments(image, camera.segments(left[nearest][None], right[nearest][None]), (255, 255, 255), 1)


def draw_path(
    image: Image,
    camera: PictureCamera,
    points: FloatArray,
    T_ego_model: FloatArray,
    color: Color,
    thickness: int,
) -> None:
    """Draws a path [T, 2] (model frame, from the car on) as a line in place."""
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
