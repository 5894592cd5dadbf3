"""Text in pictures: smooth letters with an outline, wrapped where it is long.

Letters come from the font that Pillow brings along (10.1 and later); where that is missing, from OpenCV's
line font, which looks plainer but is always there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

from aln_p3_core.drawing.images import Image, paint
from aln_p3_core.drawing.palette import BACKGROUND, TEXT, Color

Align = Literal["left", "center", "right"]
#: Left, top, right, bottom of a label, pixels.
Plate = tuple[int, int, int, int]


def text_width(text: str, size: int) -> int:
    """Width in pixels of a line of text whose letters are `size` pixels high."""
    return _text_mask(text, size).shape[1]


def line_height(size: int) -> int:
    """Height in pixels of a line of text."""
    return round(size * 1.35)


def draw_text(
    image: Image,
    text: str,
    x: float,
    y: float,
    size: int,
    color: Color = TEXT,
    *,
    align: Align = "left",
    outline: bool = False,
) -> None:
    """Writes a line in place; (x, y) is the top of its left end, middle or right end, in pixels."""
    if not text:
        return
    mask = _text_mask(text, size)
    left = round(x - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * mask.shape[1])
    if outline:
        rim = _rim_mask(text, size)
        border = (rim.shape[0] - mask.shape[0]) // 2
        paint(image, rim, left - border, round(y) - border, BACKGROUND)
    paint(image, mask, left, round(y), color)


def draw_label(
    image: Image,
    text: str,
    x: float,
    y: float,
    size: int,
    color: Color = TEXT,
    *,
    background: Color = BACKGROUND,
    opacity: float = 0.72,
    align: Align = "left",
) -> Plate:
    """Writes a line on a translucent plate with (x, y) as its top left (middle, right) corner.

    Returns:
        The plate: left, top, right, bottom in pixels.
    """
    box = label_box(text, x, y, size, align=align)
    left, top, right, bottom = box
    paint(image, np.full((bottom - top, right - left), round(255 * opacity), np.uint8), left, top, background)
    draw_text(image, text, left + _padding(size), top + _padding(size) // 2, size, color)
    return box


def label_box(text: str, x: float, y: float, size: int, *, align: Align = "left") -> Plate:
    """Where `draw_label` would put its plate: left, top, right, bottom in pixels."""
    width = text_width(text, size) + 2 * _padding(size)
    left = round(x - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * width)
    return left, round(y), left + width, round(y) + line_height(size) + 2 * (_padding(size) // 2)


def wrap_text(text: str, size: int, width: int) -> list[str]:
    """Breaks text into lines of at most `width` pixels at its spaces; line breaks in it are kept."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and text_width(longer, size) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines


def _padding(size: int) -> int:
    return max(3, round(size * 0.4))


@lru_cache(maxsize=2048)
def _text_mask(text: str, size: int) -> Image:
    """Coverage 0..255 of a line of text, [line_height, width]; cached, so read-only."""
    font = _pillow_font(size)
    mask = _pillow_mask(text, size, font) if font is not None else _hershey_mask(text, size)
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=512)
def _rim_mask(text: str, size: int) -> Image:
    border = max(2, round(size / 8)) + 1
    padded = cv2.copyMakeBorder(_text_mask(text, size), border, border, border, border, cv2.BORDER_CONSTANT)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * border - 1, 2 * border - 1))
    rim = cv2.GaussianBlur(cv2.dilate(padded, kernel), (3, 3), 0)
    rim.setflags(write=False)
    return rim


@lru_cache(maxsize=32)
def _pillow_font(size: int) -> Any | None:
    """Pillow's own scalable font, or None where Pillow is missing, too old, or built without FreeType."""
    try:
        from PIL import ImageFont

        font = ImageFont.load_default(size)
    except (ImportError, TypeError, OSError):
        return None
    return font if isinstance(font, ImageFont.FreeTypeFont) else None


def _pillow_mask(text: str, size: int, font: Any) -> Image:
    from PIL import Image as PillowImage
    from PIL import ImageDraw

    surface = PillowImage.new("L", (max(1, int(np.ceil(font.getlength(text))) + 1), line_height(size)))
    ImageDraw.Draw(surface).text((0, round(size * 1.0)), text, fill=255, font=font, anchor="ls")
    return np.array(surface)


def _hershey_mask(text: str, size: int) -> Image:
    # At scale 1 the capital letters of this font are 21 pixels high; letters of `size` have capitals of 0.72 size.
    scale = size * 0.72 / 21
    text = text.encode("ascii", "replace").decode()
    thickness = max(1, round(size / 14))
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    mask = np.zeros((line_height(size), max(1, width)), np.uint8)
    cv2.putText(mask, text, (0, size), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    return mask
