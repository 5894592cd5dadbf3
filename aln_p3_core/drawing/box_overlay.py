"""Boxes in a camera's picture, with their names and where they head for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import DrawnBox
from aln_p3_core.drawing.images import Image, draw_segments, fill_polygon, line_thickness
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.projection import PictureCamera
from aln_p3_core.drawing.text import Plate, draw_label, label_box
from aln_p3_core.geometry import FloatArray, box_corners

_EDGES = np.array([(i, (i + 1) % 4) for i in range(4)] + [(4 + i, 4 + (i + 1) % 4) for i in range(4)])
_PILLARS = np.array([(i, i + 4) for i in range(4)])
_BOX_EDGES = np.concatenate([_EDGES, _PILLARS])
#: A box must be this share of the picture high to bear a label.
_LABEL_MIN_HEIGHT = 0.055
#: Boxes higher than this share of the picture have thick edges.
_LARGE = 0.12


def draw_boxes(
    image: Image,
    camera: PictureCamera,
    boxes: Sequence[DrawnBox],
    *,
    color: Color | None = None,
    labels: bool = True,
    reserved: Sequence[Plate] = (),
) -> None:
    """Draws boxes in place, far ones first.

    Args:
        image: RGB, of the camera's size.
        camera: projection of that picture.
        boxes: in the model frame. What lies behind the camera or beside the picture is cut away.
        color: one colour for all, as thin outlines; by class, with the front face filled, when None.
        labels: whether boxes bear names; a label that would cover another one is left out.
        reserved: parts of the picture (left, top, right, bottom) where no label goes.
    """
    if not boxes:
        return
    corners = box_corners(
        np.array([box.center_model for box in boxes]),
        np.array([box.size_lwh for box in boxes]),
        np.array([box.heading_model for box in boxes]),
    )
    # Twelve edges, and a line from the middle of the bottom to the front's lower edge: where the box heads for.
    bottom, front = corners[:, [2, 3, 6, 7]].mean(axis=1), corners[:, [2, 3]].mean(axis=1)
    starts = np.concatenate([corners[:, _BOX_EDGES[:, 0]], bottom[:, None]], axis=1)
    ends = np.concatenate([corners[:, _BOX_EDGES[:, 1]], front[:, None]], axis=1)
    lines, owners = camera.clip_segments(starts, ends)
    owners = owners // starts.shape[1]
    depths = camera.in_camera(corners.mean(axis=1))[:, 2]
    seen: list[tuple[DrawnBox, FloatArray]] = []
    visible = np.unique(owners)
    for i in visible[np.argsort(-depths[visible])]:  # far ones first, near ones over them
        box, own = boxes[i], lines[owners == i]
        if not _touches(own, camera):
            continue
        shade = color or palette.agent_color(box.class_name)
        large = np.ptp(own[..., 1]) > _LARGE * camera.height
        if color is None:
            fill_polygon(image, camera.polygon(corners[i, :4]), shade, 0.28)
            _draw_future(image, camera, box, shade)
        draw_segments(image, own, shade, line_thickness(image) if large and color is None else 1)
        seen.append((box, own))
    if labels:
        _draw_labels(image, camera, seen[::-1], color, reserved)


def _draw_labels(
    image: Image,
    camera: PictureCamera,
    seen: Sequence[tuple[DrawnBox, FloatArray]],
    color: Color | None,
    reserved: Sequence[Plate],
) -> None:
    """Near boxes first; a label that would cover another one is left out."""
    size = max(10, round(camera.width / 46))
    taken = list(reserved)
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


def _draw_future(image: Image, camera: PictureCamera, box: DrawnBox, color: Color) -> None:
    """The most probable forecast as a line on the ground."""
    path = box.best_forecast
    if path is None or not len(path) or np.linalg.norm(path[-1] - box.center_model[:2]) < 1.0:
        return
    ground = box.center_model[2] - box.size_lwh[2] / 2
    points = np.concatenate([box.center_model[None, :2], path])
    draw_segments(image, camera.polyline(np.column_stack([points, np.full(len(points), ground)])), color, 1)


def _touches(lines: FloatArray, camera: PictureCamera) -> bool:
    """Whether the lines' bounding box meets the picture itself, not only the margin around it."""
    low, high = lines.reshape(-1, 2).min(axis=0), lines.reshape(-1, 2).max(axis=0)
    return bool((high >= 0).all() and low[0] < camera.width and low[1] < camera.height)


def _overlap(a: Plate, b: Plate) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
