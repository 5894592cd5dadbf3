"""Strips of text above and below the pictures: status, warning, caption."""

from __future__ import annotations

from collections.abc import Sequence

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.images import Image, canvas
from aln_p3_core.drawing.text import draw_text, line_height, text_width, wrap_text


def draw_header(facts: Sequence[str], right: str, width: int) -> Image:
    """One line of facts, with a text at its right end. RGB [height, width, 3]."""
    size = _text_size(width)
    strip = canvas(round(2.1 * size), width, palette.SURFACE)
    y = (strip.shape[0] - line_height(size)) / 2
    x = float(size)
    limit = width - 2 * size - text_width(right, size)
    for index, fact in enumerate(facts):
        if x + text_width(fact, size) > limit:
            break
        draw_text(strip, fact, x, y, size, palette.TEXT if index == 0 else palette.TEXT_DIM)
        x += text_width(fact, size) + 1.6 * size
    draw_text(strip, right, width - size, y, size, palette.TEXT_DIM, align="right")
    return strip


def draw_banners(banner: str, alarm: str, width: int) -> list[Image]:
    """A red strip for an alarm and an amber one for a banner, where there is such text."""
    size = _text_size(width)
    styles = ((alarm, palette.ALARM, palette.TEXT), (banner, palette.WARNING, palette.BACKGROUND))
    return [
        _paragraph(wrap_text(text, size, width - 2 * size), size, width, background, color)
        for text, background, color in styles
        if text
    ]


def draw_caption(text: str, width: int, *, alarm: bool = False, size: int | None = None) -> Image:
    """Text wrapped to the width, as high as it needs to be; in red with `alarm`. `size`: of the letters, pixels."""
    size = size or round(1.15 * _text_size(width))
    color = palette.ALARM_TEXT if alarm else palette.TEXT
    return _paragraph(wrap_text(text, size, width - 2 * size), size, width, palette.SURFACE, color)


def _paragraph(lines: Sequence[str], size: int, width: int, background: palette.Color, color: palette.Color) -> Image:
    margin = round(0.35 * size)
    strip = canvas(len(lines) * line_height(size) + 2 * margin, width, background)
    for index, line in enumerate(lines):
        draw_text(strip, line, size, margin + index * line_height(size), size, color)
    return strip


def _text_size(width: int) -> int:
    return max(13, round(width / 84))
