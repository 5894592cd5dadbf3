"""Words below the pictures of a film: a band of one height, whatever is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.images import Image, canvas
from aln_p3_core.drawing.palette import Color
from aln_p3_core.drawing.text import draw_text, line_height, wrap_text


@dataclass(frozen=True, slots=True)
class Subtitle:
    """What is said from one moment of a film on.

    Attributes:
        time_s: when it begins.
        narration: what the vehicle does. reasoning: why.
        contradictions: what in the words is not so; with any of them the band is red.
    """

    time_s: float
    narration: str
    reasoning: str = ""
    contradictions: tuple[str, ...] = ()


class SubtitleBand:
    """Draws subtitles into bands of one size.

    Args:
        subtitles: all that will be shown: they say how many lines the band needs.
        width: in pixels.
    """

    def __init__(self, subtitles: Iterable[Subtitle], width: int) -> None:
        self._width = width
        self._size = max(13, round(width / 68))
        self._margin = round(0.5 * self._size)
        lines = max((len(self._lines(subtitle)) for subtitle in subtitles), default=0)
        self.height = lines * line_height(self._size) + 2 * self._margin if lines else 0

    def draw(self, subtitle: Subtitle | None) -> Image:
        """The band: RGB [height, width, 3], empty where nothing is said."""
        band = canvas(self.height, self._width, palette.SURFACE)
        if subtitle is None or not self.height:
            return band
        if subtitle.contradictions:
            band[:, : max(4, self._size // 3)] = palette.ALARM
        for index, (text, color) in enumerate(self._lines(subtitle)):
            y = self._margin + index * line_height(self._size)
            draw_text(band, text, self._width / 2, y, self._size, color, align="center")
        return band

    def _lines(self, subtitle: Subtitle) -> list[tuple[str, Color]]:
        wrong = bool(subtitle.contradictions)
        parts = [
            (subtitle.narration, palette.ALARM_TEXT if wrong else palette.TEXT),
            (subtitle.reasoning, palette.ALARM_TEXT if wrong else palette.TEXT_DIM),
            *((f"contradicts: {line}", palette.ALARM_TEXT) for line in subtitle.contradictions),
        ]
        limit = self._width - 4 * self._size
        return [
            (line, color)
            for text, color in parts
            if text
            for line in wrap_text(" ".join(text.split()), self._size, limit)
        ]
