"""The mosaic: all cameras side by side, with what was seen and planned drawn over them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.box_overlay import draw_boxes
from aln_p3_core.drawing.content import DEFAULT_MIN_SCORE, Content, Drawable, as_content
from aln_p3_core.drawing.ground_overlay import draw_map_line, draw_path, draw_plan
from aln_p3_core.drawing.images import Image, canvas, view_image
from aln_p3_core.drawing.layout import camera_rows, camera_title
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.projection import PictureCamera
from aln_p3_core.drawing.strips import draw_banners, draw_caption, draw_header
from aln_p3_core.drawing.text import Plate, draw_label, draw_text, label_box
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.geometry import FloatArray

_GAP = 4


def draw_mosaic(
    frame: DrivingFrame,
    scene: Drawable | None = None,
    targets: Drawable | None = None,
    width: int = 1600,
    *,
    banner: str = "",
    alarm: str = "",
    caption: str = "",
    caption_alarm: bool = False,
    min_score: float = DEFAULT_MIN_SCORE,
) -> Image:
    """Draws all cameras of a frame with boxes, map lines and the plan projected into them.

    Ground truth is drawn by class when it is alone, and thin and white beside a driver's scene. A camera
    without an image, or with a damaged one, has a tile that says so.

    Args:
        frame: images and calibrations.
        scene: what the driver saw and planned, or content made from messages.
        targets: ground truth of a data set, or content.
        width: of the picture in pixels.
        banner: an amber line above the pictures, for example "untrained heads".
        alarm: a red line, for example why a plan is degraded.
        caption: text below the pictures, wrapped.
        caption_alarm: the caption is wrong, for example contradicts the plan: in red.
        min_score: objects and lines of the scene below it are not drawn.

    Returns:
        uint8 RGB [height, width, 3]; the height follows from the rig.
    """
    content = as_content(scene, min_score)
    truth = as_content(targets, min_score)
    scale = width / 1600
    rows = camera_rows(frame)
    columns = max(len(row) for row in rows)
    gap = max(2, round(_GAP * scale))
    tile_width = (width - gap * (columns + 1)) // columns
    tile_height = round(tile_width * _aspect(frame))

    body = canvas(len(rows) * (tile_height + gap) + gap, width, palette.BACKGROUND)
    pictures = _decode(frame, tile_width, tile_height)
    for row, names in enumerate(rows):
        # A row with fewer cameras than the widest stands in the middle.
        inset = (columns - len(names)) * (tile_width + gap) // 2
        for column, name in enumerate(names):
            x, y = gap + inset + column * (tile_width + gap), gap + row * (tile_height + gap)
            tile = body[y : y + tile_height, x : x + tile_width]
            _draw_tile(tile, frame, name, pictures[name], content, truth)
    strips = [draw_header(_facts(frame, content, truth), _clock(frame), width)]
    strips += draw_banners(banner, alarm, width)
    strips.append(body)
    if caption:
        strips.append(draw_caption(caption, width, alarm=caption_alarm))
    return cv2.vconcat(strips)


def _decode(frame: DrivingFrame, width: int, height: int) -> dict[str, Image | str]:
    """Per camera the picture, as large as it fits into a tile, or what is wrong with it."""

    def decode(name: str) -> Image | str:
        view = frame.views.get(name)
        if view is None:
            return "no image"
        # Cameras of one rig may have different shapes.
        ratio = min(width / view.calibration.width, height / view.calibration.height)
        try:
            return view_image(view, round(view.calibration.width * ratio), round(view.calibration.height * ratio))
        except ImageError:
            return "damaged image"

    # Only decoding gains from threads: it runs outside the interpreter lock.
    with ThreadPoolExecutor(min(len(frame.cameras), os.cpu_count() or 1)) as pool:
        return dict(zip(frame.cameras, pool.map(decode, frame.cameras), strict=True))


def _draw_tile(
    tile: Image,
    frame: DrivingFrame,
    name: str,
    picture: Image | str,
    content: Content,
    truth: Content,
) -> None:
    """Fills one tile, in place."""
    height, width = tile.shape[:2]
    size = max(11, round(width / 36))
    margin = max(4, size // 2)
    if isinstance(picture, str) or picture.shape != tile.shape:
        tile[:] = canvas(height, width, palette.SURFACE)
    if isinstance(picture, str):
        cv2.rectangle(tile, (0, 0), (width - 1, height - 1), palette.ALARM, max(1, width // 250))
        draw_text(tile, picture, width / 2, height / 2 - size, 2 * size, palette.ALARM_TEXT, align="center")
        draw_label(tile, camera_title(name), margin, margin, size)
        return
    view = frame.views[name]
    title = camera_title(name)
    age = f"{(view.stamp_ns - frame.reference_stamp_ns) / 1e6:+.0f} ms"
    reserved = (
        label_box(title, margin, margin, size),
        label_box(age, picture.shape[1] - margin, margin, size, align="right"),
    )
    camera = PictureCamera.of(view.calibration, frame.T_cam_model(name), picture.shape[1], picture.shape[0])
    _draw_over(picture, camera, truth, frame.T_ego_model, palette.TRUTH if content else None, reserved)
    _draw_over(picture, camera, content, frame.T_ego_model, None, reserved)
    draw_label(picture, title, margin, margin, size)
    draw_label(picture, age, picture.shape[1] - margin, margin, size, align="right")
    x, y = (width - picture.shape[1]) // 2, (height - picture.shape[0]) // 2
    tile[y : y + picture.shape[0], x : x + picture.shape[1]] = picture


def _draw_over(
    picture: Image,
    camera: PictureCamera,
    content: Content,
    T_ego_model: FloatArray,
    color: Color | None,
    reserved: Sequence[Plate],
) -> None:
    """Draws content over a camera's picture: by class, or thin in one colour."""
    for line in content.lines:
        draw_map_line(picture, camera, line, T_ego_model, color)
    if content.plan is not None and color is None:
        draw_plan(picture, camera, content.plan, T_ego_model)
    elif content.plan is not None:
        draw_path(picture, camera, content.plan.points_model, T_ego_model, color or palette.TRUTH, 1)
    draw_boxes(picture, camera, content.boxes, color=color, labels=color is None, reserved=reserved)


def _facts(frame: DrivingFrame, content: Content, truth: Content) -> list[str]:
    """What the line above the pictures says."""
    command = frame.command
    facts = [f"{command.command.name.lower()} ({command.provenance.value.replace('_', ' ')})"]
    if frame.ego_status is not None:
        facts.append(f"ego {abs(frame.ego_status.velocity[0]):.1f} m/s")
    if content.plan is not None:
        facts.append(f"plan {content.plan.mean_speed:.1f} m/s")
    for name, shown in (("", content), ("true ", truth)):
        if shown.boxes:
            facts.append(f"{len(shown.boxes)} {name}objects")
        if shown.lines:
            facts.append(f"{len(shown.lines)} {name}map lines")
    return facts


def _clock(frame: DrivingFrame) -> str:
    return f"{frame.reference_stamp_ns / 1e9:.3f} s"


def _aspect(frame: DrivingFrame) -> float:
    """Height over width of the tiles: the rig's highest picture, or nuScenes' where there is none."""
    ratios = [view.calibration.height / view.calibration.width for view in frame.views.values()]
    return max(ratios, default=900 / 1600)
