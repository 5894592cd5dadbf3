"""Colours of everything that is drawn, in pictures and in RViz alike.

Built on the palette of Okabe and Ito (Color Universal Design, 2008), whose colours stay apart for the
common forms of colour blindness. Ten classes need more than its eight colours: vehicles share the blues,
two-wheelers the purples, and the label names the class.
"""

from __future__ import annotations

Color = tuple[int, int, int]

#: RGB 0..255 by nuScenes detection class.
AGENT_COLORS: dict[str, Color] = {
    "car": (86, 180, 233),
    "truck": (74, 134, 247),
    "construction_vehicle": (222, 196, 120),
    "bus": (140, 150, 255),
    "trailer": (120, 205, 205),
    "barrier": (176, 184, 196),
    "motorcycle": (204, 121, 167),
    "bicycle": (232, 168, 220),
    "pedestrian": (240, 168, 24),
    "traffic_cone": (240, 104, 32),
}

#: RGB by map class.
MAP_COLORS: dict[str, Color] = {
    "divider": (240, 228, 66),
    "ped_crossing": (226, 150, 200),
    "boundary": (224, 98, 40),
}

OTHER: Color = (200, 200, 200)
PLAN: Color = (0, 220, 160)
PLAN_ALTERNATIVE: Color = (120, 200, 180)
PLAN_STOPPED: Color = (255, 70, 70)
TRUTH: Color = (245, 245, 245)

BACKGROUND: Color = (17, 21, 28)
SURFACE: Color = (27, 33, 43)
GRID: Color = (44, 52, 65)
GRID_STRONG: Color = (72, 84, 102)
LIDAR: Color = (128, 158, 190)
EGO: Color = (60, 74, 92)
TEXT: Color = (236, 240, 245)
TEXT_DIM: Color = (150, 161, 176)
WARNING: Color = (240, 168, 24)
ALARM: Color = (190, 32, 40)
ALARM_TEXT: Color = (255, 110, 110)

_SHORT_NAMES = {
    "construction_vehicle": "constr. vehicle",
    "traffic_cone": "cone",
    "ped_crossing": "crossing",
}


def agent_color(class_name: str) -> Color:
    """RGB of an object class; grey for a class that is not nuScenes'."""
    return AGENT_COLORS.get(class_name, OTHER)


def map_color(class_name: str) -> Color:
    """RGB of a map class; grey for one that is not known."""
    return MAP_COLORS.get(class_name, OTHER)


def short_name(class_name: str) -> str:
    """Class name as it is written in a picture."""
    return _SHORT_NAMES.get(class_name, class_name.replace("_", " "))
