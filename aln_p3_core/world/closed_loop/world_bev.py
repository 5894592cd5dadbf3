"""The world from above, fast enough for films: roads, everybody in it, the route, the plan, the lights.

Roads are painted once around the drive, then turned and cut for every picture, so that the ego always drives up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.images import SHIFT, Image, blend_mask, canvas, fixed_point, mix
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.text import draw_label, draw_text, wrap_text
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import Actors
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.boxes import ego_footprint, footprints
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.lines import arc_lengths, points_at
from aln_p3_core.world.closed_loop.trace import TracedPlan
from aln_p3_core.world.state import SignalColor, WorldState

_ROAD: Color = (52, 59, 70)
_JUNCTION: Color = (57, 64, 75)
_WALKWAY: Color = (33, 40, 50)
_LANE_LINE: Color = (118, 128, 142)
_CENTER_LINE: Color = (196, 164, 60)
_EDGE: Color = (104, 114, 130)
_CROSSING: Color = (150, 158, 170)
_ROUTE: Color = (64, 116, 190)
_SIGNALS: dict[int, Color] = {
    SignalColor.RED: (240, 52, 52),
    SignalColor.YELLOW: (250, 200, 40),
    SignalColor.GREEN: (40, 210, 100),
    SignalColor.GREEN_YIELD: (150, 220, 90),
    SignalColor.OFF: (120, 120, 120),
}
SIGNAL_COLORS = tuple(_SIGNALS.values())
#: The painted ground is at most so many pixels wide and high.
_MAX_GROUND = 6000


class WorldBev:
    """Draws a drive from above, square pictures, forward up."""

    def __init__(
        self,
        city: CityMap,
        route: FloatArray,
        around: FloatArray,
        *,
        size: int = 640,
        ahead_m: float = 50.0,
        behind_m: float = 22.0,
    ) -> None:
        """Paints the ground.

        Args:
            city: roads. route: [P, 2] path to follow.
            around: [N, 2] places that the ego visits: the ground is painted around these.
            size: of the pictures, pixels.
            ahead_m, behind_m: how far they reach from the ego.
        """
        self._city, self._size = city, size
        self._behind_m = behind_m
        self._scale = size / (ahead_m + behind_m)
        margin = 1.5 * (ahead_m + behind_m)
        self._origin = around.min(axis=0) - margin
        extent = around.max(axis=0) + margin - self._origin
        self._ground_scale = min(self._scale, _MAX_GROUND / float(extent.max()))
        self._ground = self._paint_ground(np.ceil(extent * self._ground_scale).astype(int), route)

    def draw(
        self,
        state: WorldState,
        plan: TracedPlan | None = None,
        *,
        driven: FloatArray | None = None,
        title: str = "",
        lines: Sequence[str] = (),
        alarm: str = "",
    ) -> Image:
        """One picture, RGB uint8 [size, size, 3].

        Args:
            state: the world. plan: the one that is followed. driven: [N, 2] where the ego was.
            title: at the top. lines: of text at the bottom. alarm: a red line at the top.
        """
        view = self._world_to_view(state)
        image = self._cut(view)
        self._signals(image, view, state)
        if driven is not None and len(driven) > 1:
            self._line(image, view, driven, palette.TEXT_DIM, 1)
        if plan is not None:
            self._plan(image, view, state, plan)
        self._actors(image, view, state.actors, "" if plan is None else str(plan.decision.get("actor_id", "")))
        outline = _apply(view, ego_footprint(state.ego))
        blend_mask(image, [(outline, 0.95)], palette.EGO if not alarm else palette.ALARM)
        cv2.polylines(image, [fixed_point(outline)], True, palette.TEXT, 2, cv2.LINE_AA, SHIFT)
        self._text(image, title, lines, alarm)
        return image

    def _world_to_view(self, state: WorldState) -> FloatArray:
        """[2, 3] world to pixels: the rear axle stands `behind_m` above the lower edge, heading up."""
        ego = state.ego
        sin, cos = np.sin(ego.heading), np.cos(ego.heading)
        # Right in the picture is right of the car (sin, -cos); down is backwards (-cos, -sin).
        linear = self._scale * np.array([[sin, -cos], [-cos, -sin]])
        anchor = np.array([self._size / 2, self._size - self._behind_m * self._scale])
        return np.column_stack([linear, anchor - linear @ ego.xy])

    def _cut(self, view: FloatArray) -> Image:
        to_world = np.array(
            [[1 / self._ground_scale, 0, self._origin[0]], [0, 1 / self._ground_scale, self._origin[1]]]
        )
        full = np.vstack([view, [0, 0, 1]]) @ np.vstack([to_world, [0, 0, 1]])
        return cv2.warpAffine(
            self._ground,
            full[:2],
            (self._size, self._size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=palette.BACKGROUND,
        )

    def _paint_ground(self, extent: FloatArray, route: FloatArray) -> Image:
        image = canvas(int(extent[1]), int(extent[0]), palette.BACKGROUND)
        view = np.column_stack([self._ground_scale * np.eye(2), -self._ground_scale * self._origin])
        for outline in self._city.walkways:
            self._fill(image, view, outline, _WALKWAY)
        geometry = self._city.drivable
        for polygon in getattr(geometry, "geoms", [geometry]):
            rings = [np.asarray(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
            corners = [fixed_point(_apply(view, ring)) for ring in rings]
            cv2.fillPoly(image, corners, _ROAD, cv2.LINE_AA, SHIFT)
        for outline in self._city.crossings:
            self._fill(image, view, outline, mix(_ROAD, _CROSSING, 0.55))
        for lane in self._city.lanes:
            if lane.is_connector:
                self._line(image, view, lane.centerline, _JUNCTION, 1)
        for boundary in self._city.boundaries:
            self._line(image, view, boundary, _EDGE, 2)
        for divider in self._city.dividers:
            if divider.is_road_divider:
                self._line(image, view, divider.points, _CENTER_LINE, 2)
            else:
                self._dashes(image, view, divider.points)
        self._line(image, view, route, _ROUTE, max(2, round(0.6 * self._ground_scale)))
        return image

    def _dashes(self, image: Image, view: FloatArray, points: FloatArray, dash_m: float = 3.0) -> None:
        length = arc_lengths(points)[-1]
        for start in np.arange(0.0, length, 3 * dash_m):
            places = points_at(points, np.array([start, min(start + dash_m, length)]))
            self._line(image, view, places, _LANE_LINE, 1)

    def _signals(self, image: Image, view: FloatArray, state: WorldState) -> None:
        for signal, color in zip(self._city.signals, state.signals, strict=True):
            line = _apply(view, signal.stop_line)
            if (line > -20).all() and (line < self._size + 20).all():
                cv2.polylines(image, [fixed_point(line)], False, _SIGNALS[int(color)], 4, cv2.LINE_AA, SHIFT)

    def _plan(self, image: Image, view: FloatArray, state: WorldState, plan: TracedPlan) -> None:
        ahead = plan.times_s > state.time_s
        path = np.concatenate([state.ego.xy[None], plan.points_world[ahead]])
        self._line(image, view, path, palette.PLAN, 3)
        for place in _apply(view, plan.points_world[ahead]):
            cv2.circle(image, fixed_point(place), 4 << SHIFT, palette.PLAN, -1, cv2.LINE_AA, SHIFT)

    def _actors(self, image: Image, view: FloatArray, actors: Actors, cause: str) -> None:
        if not len(actors):
            return
        # A person is smaller than a pixel or two from up here: nobody is drawn smaller than 0.7 m.
        sizes = np.maximum(sizes_of(actors)[:, :2], 0.7)
        outlines = _apply(view, footprints(actors.positions[:, :2], actors.headings, sizes))
        middles = outlines.mean(axis=1)
        reach = self._size + 12 * self._scale
        for row in np.flatnonzero(((middles > -12 * self._scale) & (middles < reach)).all(axis=1)):
            kind = MODELS[actors.models[row]].kind
            color = palette.agent_color(kind.detection_class)
            corners = fixed_point(outlines[row])
            cv2.fillPoly(image, [corners], mix(palette.BACKGROUND, color, 0.72), cv2.LINE_AA, SHIFT)
            marked = actors.ids[row] == cause
            cv2.polylines(
                image, [corners], True, palette.WARNING if marked else color, 3 if marked else 1, cv2.LINE_AA, SHIFT
            )
            if not kind.is_static and actors.speeds[row] > 0.3:
                ends = np.stack([actors.positions[row, :2], actors.positions[row, :2] + actors.velocities[row]])
                self._line(image, view, ends, color, 1)

    def _text(self, image: Image, title: str, lines: Sequence[str], alarm: str) -> None:
        size = max(13, self._size // 42)
        if title:
            draw_label(image, title, 6, 6, size, palette.TEXT)
        if alarm:
            draw_label(image, alarm, 6, 10 + 1.6 * size, size, palette.TEXT, background=palette.ALARM, opacity=0.9)
        written = [
            (part, palette.TEXT if index == 0 else palette.TEXT_DIM)
            for index, line in enumerate(lines)
            for part in wrap_text(line, size, self._size - 20)
        ]
        top = self._size - len(written) * 1.35 * size - 8
        if written:
            image[int(top) - 4 :] = (0.35 * image[int(top) - 4 :]).astype(np.uint8)
        for row, (part, color) in enumerate(written):
            draw_text(image, part, 10, top + row * 1.35 * size, size, color)

    @staticmethod
    def _line(image: Image, view: FloatArray, points: FloatArray, color: Color, thickness: int) -> None:
        cv2.polylines(image, [fixed_point(_apply(view, points))], False, color, thickness, cv2.LINE_AA, SHIFT)

    @staticmethod
    def _fill(image: Image, view: FloatArray, outline: FloatArray, color: Color) -> None:
        cv2.fillPoly(image, [fixed_point(_apply(view, outline))], color, cv2.LINE_AA, SHIFT)


def decision_text(decision: dict[str, Any]) -> str:
    """A planner's decision in words, "" where it tells none."""
    if not decision:
        return ""
    words = [decision["maneuver"].replace("_", " ")]
    if decision["lateral"] != "keep_lane":
        words.append(decision["lateral"].replace("_", " "))
    if decision["cause"] != "free_road":
        words.append(f"because of {decision['cause'].replace('_', ' ')}")
    elif decision["lateral_cause"] != "free_road":
        words.append(f"around {decision['lateral_cause'].replace('_', ' ')}")
    return ", ".join(words)


def _apply(view: FloatArray, points: FloatArray) -> FloatArray:
    """Affine map [2, 3] of points [..., 2]."""
    return points @ view[:, :2].T + view[:, 2]
