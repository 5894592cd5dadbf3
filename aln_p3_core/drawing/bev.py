"""The bird's-eye view: what was seen, predicted and planned, from above, forward up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import DEFAULT_MIN_SCORE, Content, Drawable, DrawnBox, DrawnPlan, as_content
from aln_p3_core.drawing.images import SHIFT, Image, blend_mask, canvas, fixed_point, mix
from aln_p3_core.drawing.legend import draw_legend
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.paths import EGO_FOOTPRINT, ribbon_sides, smooth_path
from aln_p3_core.drawing.strips import draw_banners, draw_caption
from aln_p3_core.drawing.text import draw_text
from aln_p3_core.geometry import FloatArray, invert_transform, transform_points, virtual_T_ego_model

#: What VAD perceives: x minimum, y minimum, x maximum, y maximum, metres in the model frame.
PERCEPTION_RANGE = (-15.0, -30.0, 15.0, 30.0)

_PLAN_WIDTH_M = 1.85


@dataclass(frozen=True, slots=True)
class BevView:
    """Part of the ground that is shown, and how large.

    Attributes:
        ahead_m, behind_m, side_m: reach from the model frame's origin to the picture's edges.
        height: of the picture in pixels.
    """

    ahead_m: float = 40.0
    behind_m: float = 34.0
    side_m: float = 28.0
    height: int = 800

    @property
    def scale(self) -> float:
        """Pixels a metre."""
        return self.height / (self.ahead_m + self.behind_m)

    @property
    def width(self) -> int:
        """Of the picture in pixels."""
        return round(2 * self.side_m * self.scale)

    def pixels(self, points_model: FloatArray) -> FloatArray:
        """Model frame [..., 2 or more] to pixels [..., 2]: forward is up, right is right."""
        points = np.asarray(points_model, dtype=np.float64)
        return np.stack([points[..., 0] + self.side_m, self.ahead_m - points[..., 1]], axis=-1) * self.scale


def draw_bev(
    scene: Drawable | None = None,
    targets: Drawable | None = None,
    height: int = 800,
    *,
    T_ego_model: FloatArray | None = None,
    lidar_model: NDArray[np.floating] | None = None,
    view: BevView | None = None,
    perception_range: tuple[float, float, float, float] = PERCEPTION_RANGE,
    banner: str = "",
    alarm: str = "",
    caption: str = "",
    caption_alarm: bool = False,
    min_score: float = DEFAULT_MIN_SCORE,
) -> Image:
    """Draws a scene, ground truth, or both from above, with a legend at the right.

    Args:
        scene: what the driver saw and planned, or content made from messages.
        targets: ground truth: by class when alone, thin and white beside a scene.
        height: of the map in pixels, without banner and caption.
        T_ego_model: 4x4, places the car's outline; the scene's own, else the virtual model frame's.
        lidar_model: [n, 3] LiDAR points in the model frame, m: a dim layer under everything, to judge the rest by.
        view: which part of the ground is shown; its height is replaced by `height`.
        perception_range: the box that the driver sees: x minimum, y minimum, x maximum, y maximum, m.
        banner, alarm, caption, caption_alarm: as in `draw_mosaic`.
        min_score: objects and lines of the scene below it are not drawn.

    Returns:
        uint8 RGB [height, width, 3].
    """
    view = view or BevView()
    # Drawn twice as large and reduced: OpenCV's thick anti-aliased lines show beads at their joints.
    view = BevView(view.ahead_m, view.behind_m, view.side_m, 2 * height)
    content, truth = as_content(scene, min_score), as_content(targets, min_score)
    if T_ego_model is None:
        T_ego_model = getattr(scene, "T_ego_model", None)
    image = _ground(view, perception_range).copy()
    if lidar_model is not None:
        _draw_lidar(image, view, lidar_model)
    _draw_content(image, view, truth, palette.TRUTH if content else None)
    _draw_ego(image, view, virtual_T_ego_model() if T_ego_model is None else T_ego_model)
    _draw_content(image, view, content, None)
    image = cv2.resize(image, (view.width // 2, height), interpolation=cv2.INTER_AREA)
    image = cv2.hconcat([image, draw_legend(content, truth, height)])
    strips = [*draw_banners(banner, alarm, image.shape[1]), image]
    if caption:
        strips.append(draw_caption(caption, image.shape[1], alarm=caption_alarm))
    return cv2.vconcat(strips)


@lru_cache(maxsize=4)
def _ground(view: BevView, perception_range: tuple[float, float, float, float]) -> Image:
    """Grid, distances and the perception range; the same for every frame, so kept (read-only)."""
    image = canvas(view.height, view.width, palette.BACKGROUND)
    x0, y0, x1, y1 = perception_range
    corners = view.pixels(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
    cv2.fillPoly(image, [fixed_point(corners)], mix(palette.BACKGROUND, palette.SURFACE, 0.75), cv2.LINE_AA, SHIFT)
    reach = math.ceil(max(view.ahead_m, view.behind_m, view.side_m) / 10) * 10
    size = max(10, round(view.height / 62))
    for metres in range(-reach, reach + 1, 10):
        color = palette.GRID_STRONG if metres == 0 else palette.GRID
        _line(image, view, np.array([(metres, -reach), (metres, reach)]), color, _thin(view))
        _line(image, view, np.array([(-reach, metres), (reach, metres)]), color, _thin(view))
    for metres in range(-reach, reach + 1, 10):
        x, y = view.pixels(np.array([-view.side_m, metres]))
        if size < y < view.height - 2 * size:
            draw_text(image, f"{metres} m", x + size / 2, y + 2, size, palette.TEXT_DIM)
    _line(image, view, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]), palette.GRID_STRONG, _thin(view))
    x, y = view.pixels(np.array([x0, y1]))
    draw_text(image, "perception range", x + size / 2, y + 2, size, palette.TEXT_DIM)
    image.setflags(write=False)
    return image


def _draw_lidar(image: Image, view: BevView, points_model: NDArray[np.floating]) -> None:
    """Dots two pixels wide, so that one is left when the picture is halved; higher points are brighter."""
    points = points_model[np.argsort(points_model[:, 2], kind="stable")]
    columns, rows = view.pixels(points).astype(np.int64).T
    inside = (columns >= 0) & (columns < image.shape[1] - 1) & (rows >= 0) & (rows < image.shape[0] - 1)
    # From the road (about two metres below the model frame) to a metre above it.
    brightness = np.clip((points[inside, 2] + 2.2) / 3.2, 0.25, 1.0)[:, None]
    shades = (brightness * np.array(palette.LIDAR)).astype(np.uint8)
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        image[rows[inside] + down, columns[inside] + right] = shades


def _draw_content(image: Image, view: BevView, content: Content, color: Color | None) -> None:
    thin = color is not None
    for line in content.lines:
        shade = color or palette.map_color(line.class_name)
        _line(image, view, line.points_model, shade, _thin(view) if thin else _thick(view))
    if not thin:
        for box in content.boxes:
            _draw_forecasts(image, view, box)
    if content.plan is not None:
        if thin:
            _draw_driven(image, view, content.plan)
        else:
            _draw_plan(image, view, content.plan)
    for box in content.boxes:
        _draw_box(image, view, box, color)


def _draw_box(image: Image, view: BevView, box: DrawnBox, color: Color | None) -> None:
    shade = color or palette.agent_color(box.class_name)
    corners = view.pixels(_footprint(box.center_model[:2], box.size_lwh, box.heading_model))
    if color is None:
        blend_mask(image, [(corners, 0.35)], shade)
    cv2.polylines(
        image, [fixed_point(corners)], True, shade, _thin(view) if color else _thick(view), cv2.LINE_AA, SHIFT
    )
    # The nose: from the middle to the front, longer by the way of half a second.
    forward = np.array([np.cos(box.heading_model), np.sin(box.heading_model)])
    nose = box.center_model[:2] + forward * box.size_lwh[0] / 2
    _line(image, view, np.stack([box.center_model[:2], nose]), shade, _thin(view))
    if color is None and np.linalg.norm(box.velocity_model) > 0.5:
        _line(image, view, np.stack([nose, nose + 0.5 * box.velocity_model]), shade, _thin(view))


def _draw_forecasts(image: Image, view: BevView, box: DrawnBox) -> None:
    shade = palette.agent_color(box.class_name)
    order = np.argsort(box.probabilities)  # the most probable last, over the others
    for mode in order:
        path = np.concatenate([box.center_model[None, :2], box.forecasts_model[mode]])
        if not np.isfinite(path).all() or np.linalg.norm(path[-1] - path[0]) < 0.5:
            continue
        # Probability as opacity: on the dark ground, a colour nearer to it.
        strength = 0.15 + 0.85 * float(np.clip(box.probabilities[mode], 0, 1))
        color = mix(palette.BACKGROUND, shade, strength)
        _line(image, view, smooth_path(path), color, _thick(view) if mode == order[-1] else _thin(view))
        cv2.circle(image, fixed_point(view.pixels(path[-1])), _radius(view, 0.18), color, -1, cv2.LINE_AA, SHIFT)


def _draw_plan(image: Image, view: BevView, plan: DrawnPlan) -> None:
    for alternative in plan.alternatives_model:
        path = smooth_path(np.concatenate([np.zeros((1, 2)), alternative]))
        _line(image, view, path, mix(palette.BACKGROUND, palette.PLAN_ALTERNATIVE, 0.6), _thin(view))
    color = palette.PLAN_STOPPED if plan.stopped else palette.PLAN
    path = smooth_path(np.concatenate([np.zeros((1, 2)), plan.points_model]))
    if np.linalg.norm(path[-1]) > 0.5:
        left, right = ribbon_sides(path, _PLAN_WIDTH_M)
        blend_mask(image, [(view.pixels(np.concatenate([left, right[::-1]])), 0.3)], color)
    _line(image, view, path, color, 2 * _thick(view))
    for point in plan.points_model:
        cv2.circle(image, fixed_point(view.pixels(point)), _radius(view, 0.3), color, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(image, fixed_point(view.pixels(point)), _radius(view, 0.14), (255, 255, 255), -1, cv2.LINE_AA, SHIFT)


def _draw_driven(image: Image, view: BevView, plan: DrawnPlan) -> None:
    """The way that was really driven: a thin line with small dots."""
    _line(image, view, smooth_path(np.concatenate([np.zeros((1, 2)), plan.points_model])), palette.TRUTH, _thin(view))
    for point in plan.points_model:
        cv2.circle(image, fixed_point(view.pixels(point)), _radius(view, 0.16), palette.TRUTH, -1, cv2.LINE_AA, SHIFT)


def _draw_ego(image: Image, view: BevView, T_ego_model: FloatArray) -> None:
    rear, front, width = EGO_FOOTPRINT
    half = width / 2
    # A rounded nose tells front from rear at a glance.
    outline = np.array(
        [
            (rear, half),
            (front - 0.7, half),
            (front, half * 0.55),
            (front, -half * 0.55),
            (front - 0.7, -half),
            (rear, -half),
        ]
    )
    corners = view.pixels(transform_points(invert_transform(T_ego_model), outline))
    blend_mask(image, [(corners, 0.9)], palette.EGO)
    cv2.polylines(image, [fixed_point(corners)], True, palette.TEXT, _thick(view), cv2.LINE_AA, SHIFT)


def _footprint(center: FloatArray, size_lwh: FloatArray, heading: float) -> FloatArray:
    forward = np.array([np.cos(heading), np.sin(heading)]) * size_lwh[0] / 2
    left = np.array([-np.sin(heading), np.cos(heading)]) * size_lwh[1] / 2
    return np.array(
        [center + forward + left, center + forward - left, center - forward - left, center - forward + left]
    )


def _line(image: Image, view: BevView, points_model: FloatArray, color: Color, thickness: int) -> None:
    cv2.polylines(image, [fixed_point(view.pixels(points_model))], False, color, thickness, cv2.LINE_AA, SHIFT)


def _radius(view: BevView, metres: float) -> int:
    return round(max(1.5, metres * view.scale) * (1 << SHIFT))


def _thin(view: BevView) -> int:
    return max(1, round(view.height / 800))


def _thick(view: BevView) -> int:
    return max(1, round(view.height / 420))
