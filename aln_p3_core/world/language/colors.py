"""Names of colours."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

#: Every name that `color_name` gives.
COLOR_NAMES = (
    "black", "dark grey", "grey", "silver", "white",
    "red", "dark red", "orange", "brown", "beige", "yellow", "green", "dark green", "blue", "dark blue", "purple",
)  # fmt: skip

#: Hue in degrees from which on a name holds.
_HUES = ((-30.0, "red"), (14.0, "orange"), (45.0, "yellow"), (70.0, "green"), (170.0, "blue"), (255.0, "purple"))


def color_name(rgb: NDArray[np.uint8] | tuple[int, int, int]) -> str:
    """What people call an sRGB colour (0..255), such as "dark blue"."""
    red, green, blue = (int(value) / 255 for value in rgb)
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    chroma = max(red, green, blue) - min(red, green, blue)
    if value < 0.24 and chroma < 0.13:
        return "black"
    if saturation < 0.14 or chroma < 0.07:
        for limit, name in ((0.2, "black"), (0.4, "dark grey"), (0.6, "grey"), (0.8, "silver")):
            if value < limit:
                return name
        return "white"
    degrees = (hue * 360 + 30) % 360 - 30  # red lies on both sides of 0
    name = [name for start, name in _HUES if degrees >= start][-1]
    if name in ("orange", "yellow") and saturation < 0.45:
        return "beige" if value > 0.6 else "brown"
    if name == "orange" and value < 0.62:
        return "brown"
    if name == "yellow" and value < 0.5:
        return "dark green"
    if name in ("red", "green", "blue") and value < 0.5:
        return f"dark {name}"
    return name
