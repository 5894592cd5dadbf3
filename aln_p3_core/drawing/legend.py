"""The legend beside the bird's-eye view: what each colour means, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import cv2

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import Content
from aln_p3_core.drawing.images import Image, canvas
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.text import draw_text, line_height


def draw_legend(content: Content, truth: Content, height: int) -> Image:
    """A panel RGB [height, about a quarter of it, 3]: command and plan, classes with counts, kinds of lines."""
    size = max(11, round(height / 50))
    panel = canvas(height, round(15 * size), palette.SURFACE)
    writer = _Writer(panel, size)
    shown = content or truth
    plan = content.plan
    if plan is not None and plan.command is not None:
        writer.heading("plan")
        provenance = plan.command.provenance.value.replace("_", " ")
        writer.row(f"{plan.command.command.name.lower()} ({provenance})", palette.PLAN, _bar)
        writer.row(f"{plan.mean_speed:.1f} m/s over {plan.times_s[-1]:.0f} s", None, None)
        if plan.alternatives_model:
            writer.row("other commands", palette.PLAN_ALTERNATIVE, _line)
    writer.heading("objects" if content or not truth else "true objects")
    counts = Counter(box.class_name for box in shown.boxes)
    for name, count in sorted(counts.items(), key=lambda item: (_order(item[0]), item[0])):
        writer.row(f"{palette.short_name(name)}", palette.agent_color(name), _square, str(count))
    if not counts:
        writer.row("none", None, None)
    if any(len(box.probabilities) for box in content.boxes):
        writer.row("forecasts, six modes", palette.TEXT_DIM, _line)
    writer.heading("map")
    lines = Counter(line.class_name for line in shown.lines)
    for name, count in lines.items():
        writer.row(palette.short_name(name), palette.map_color(name), _bar, str(count))
    if not lines:
        writer.row("none", None, None)
    if truth and (content or truth.plan is not None):
        writer.heading("ground truth")
        if content:
            writer.row("objects, lines", palette.TRUTH, _line, str(len(truth.boxes) + len(truth.lines)))
        if truth.plan is not None:
            color = palette.TRUTH if content else palette.PLAN
            writer.row(f"driven, {truth.plan.mean_speed:.1f} m/s", color, _line if content else _bar)
    return panel


class _Writer:
    """Puts rows below each other; stops at the panel's end."""

    def __init__(self, panel: Image, size: int) -> None:
        self._panel, self._size = panel, size
        self._y = size * 0.4

    def heading(self, text: str) -> None:
        self._y += self._size * 0.7
        self._write(text.upper(), self._size, round(self._size * 0.82), palette.TEXT_DIM)
        self._y += line_height(self._size)

    def row(
        self,
        text: str,
        color: Color | None,
        symbol: Callable[[Image, int, int, int, Color], None] | None,
        count: str = "",
    ) -> None:
        size = self._size
        if symbol is not None and color is not None and self._y + 1.4 * size < self._panel.shape[0]:
            symbol(self._panel, size, round(self._y + 0.62 * size), size, color)
        self._write(text, round(2.8 * size), size, palette.TEXT)
        if count and self._y + 1.4 * size < self._panel.shape[0]:
            draw_text(self._panel, count, self._panel.shape[1] - size, self._y, size, palette.TEXT_DIM, align="right")
        self._y += line_height(size) * 1.1

    def _write(self, text: str, x: float, size: int, color: Color) -> None:
        if self._y + 1.4 * size < self._panel.shape[0]:
            draw_text(self._panel, text, x, self._y, size, color)


def _square(panel: Image, x: int, y: int, size: int, color: Color) -> None:
    half = size // 2
    cv2.rectangle(panel, (x, y - half), (x + size, y + half), color, -1, cv2.LINE_AA)


def _bar(panel: Image, x: int, y: int, size: int, color: Color) -> None:
    cv2.line(panel, (x, y), (x + size, y), color, max(2, size // 4), cv2.LINE_AA)


def _line(panel: Image, x: int, y: int, size: int, color: Color) -> None:
    cv2.line(panel, (x, y), (x + size, y), color, 1, cv2.LINE_AA)


def _order(name: str) -> int:
    names = list(palette.AGENT_COLORS)
    return names.index(name) if name in names else len(names)
