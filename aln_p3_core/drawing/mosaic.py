"""The mosaic: all cameras side by side, with what was seen and planned drawn over them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import DEFAULT_MIN_SCORE, Content, Drawable, as_content
from aln_p3_core.drawing.image_overlay import draw_over
from aln_p3_core.drawing.images import Image, canvas, view_image
from aln_p3_core.drawing.layout import camera_rows, camera_title
from aln_p3_core.drawing.projection import PictureCamera
from aln_p3_core.drawing.strips import draw_banner, draw_caption, draw_header
from aln_p3_core.drawing.text import draw_label, draw_text
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import DrivingFrame

_GAP = 4


def draw_mosaic(
    frame: DrivingFrame,
    scene: Drawable | None = None,
    targets: Drawable | None = None,
    width: int = 1600,
    *,
    banner: str = "",
    alarm: bool = False,
    caption: str = "",
    min_score: float = DEFAULT_MIN_SCORE,
) -> Image:
    """Draws all cameras of a frame with boxes, map lines and the plan projected into them.

    Ground truth is drawn by class when it is alone, and thin and white beside a driver's scene. A camera
    without an image, or with a damaged one, has a tile that says so.

    Args:
        frame: images and calibrations.
        scene: what the driver saw and planned, or content made from messages.
        targets: ground truth.
        width: of the picture in pixels.
        banner: a line above the pictures, for example "untrained heads" or why a plan is degraded.
        alarm: the banner is red, and so is the plan.
        caption: text below the pictures, wrapped.
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

    def draw_tile(place: tuple[int, int, str]) -> None:
        row, column, name = place
        # A row with fewer cameras than the widest stands in the middle.
        inset = (columns - len(rows[row])) * (tile_width + gap) // 2
        x, y = gap + inset + column * (tile_width + gap), gap + row * (tile_height + gap)
        tile = body[y : y + tile_height, x : x + tile_width]
        _draw_tile(tile, frame, name, content, truth, stopped=alarm)

    places = [(row, column, name) for row, names in enumerate(rows) for column, name in enumerate(names)]
    with ThreadPoolExecutor(min(len(places), os.cpu_count() or 1)) as pool:
        list(pool.map(draw_tile, places))
    strips = [draw_header(_facts(frame, content, truth), _clock(frame), width)]
    if banner:
        strips.append(draw_banner(banner, width, alarm=alarm))
    strips.append(body)
    if caption:
        strips.append(draw_caption(caption, width))
    return cv2.vconcat(strips)


def _draw_tile(tile: Image, frame: DrivingFrame, name: str, content: Content, truth: Content, *, stopped: bool) -> None:
    """Fills one tile, in place."""
    height, width = tile.shape[:2]
    view = frame.views.get(name)
    problem = "no image" if view is None else ""
    if view is not None:
        # Letterbox: cameras of one rig may have different shapes.
        ratio = min(width / view.calibration.width, height / view.calibration.height)
        shown_width, shown_height = round(view.calibration.width * ratio), round(view.calibration.height * ratio)
        x, y = (width - shown_width) // 2, (height - shown_height) // 2
        try:
            picture = view_image(view, shown_width, shown_height)
        except ImageError:
            problem = "damaged image"
        else:
            camera = PictureCamera.of(view.calibration, frame.T_cam_model(name), shown_width, shown_height)
            beside = palette.TRUTH if content else None
            draw_over(picture, camera, truth, frame.T_ego_model, color=beside, labels=not content)
            draw_over(picture, camera, content, frame.T_ego_model, stopped=stopped)
            tile[:] = palette.SURFACE
            tile[y : y + shown_height, x : x + shown_width] = picture
    size = max(11, round(width / 36))
    if problem:
        tile[:] = palette.SURFACE
        cv2.rectangle(tile, (0, 0), (width - 1, height - 1), palette.ALARM, max(1, width // 250))
        draw_text(tile, problem, width / 2, height / 2 - size, 2 * size, palette.ALARM_TEXT, align="center")
    margin = max(4, size // 2)
    draw_label(tile, camera_title(name), margin, margin, size)
    if view is not None:
        age_ms = (view.stamp_ns - frame.reference_stamp_ns) / 1e6
        draw_label(tile, f"{age_ms:+.0f} ms", width - margin, margin, size, palette.TEXT_DIM, align="right")


def _facts(frame: DrivingFrame, content: Content, truth: Content) -> list[str]:
    """What the line above the pictures says."""
    command = frame.command
    facts = [f"{command.command.name.lower()} ({command.provenance.value.replace('_', ' ')})"]
    if frame.ego_status is not None:
        facts.append(f"ego {abs(frame.ego_status.velocity[0]):.1f} m/s")
    if content.plan is not None:
        facts.append(f"plan {content.plan.mean_speed:.1f} m/s")
    for name, shown in (("", content), ("true ", truth)):
        if shown:
            facts.append(f"{len(shown.boxes)} {name}objects, {len(shown.lines)} {name}map lines")
    return facts


def _clock(frame: DrivingFrame) -> str:
    return f"{frame.reference_stamp_ns / 1e9:.3f} s"


def _aspect(frame: DrivingFrame) -> float:
    """Height over width of the tiles: the rig's highest picture, or nuScenes' where there is none."""
    ratios = [view.calibration.height / view.calibration.width for view in frame.views.values()]
    return max(ratios, default=900 / 1600)
