"""Recipes of bake_assets.py: which model becomes which mesh, and what its materials mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from aln_p3_core.world.assets.mesh import Part

Color = tuple[int, int, int]

_BRAKE: Color = (128, 16, 18)
_INDICATOR: Color = (196, 110, 20)
_HEADLAMP: Color = (214, 218, 222)
_CC_BY = ("CC BY 3.0", "https://creativecommons.org/licenses/by/3.0/")


@dataclass(frozen=True, slots=True)
class Lamp:
    """A lamp as a panel on the front or the rear, on both sides.

    Attributes:
        part: LEFT_INDICATOR stands for both indicators.
        front: on the front; else on the rear.
        y, z: its middle, in shares of half the width and of the height.
        width, height: m.
    """

    part: Part
    front: bool
    y: float
    z: float
    width: float = 0.2
    height: float = 0.1

    @property
    def color(self) -> Color:
        """When it is off."""
        if self.part is Part.BRAKE_LAMP:
            return _BRAKE
        return _HEADLAMP if self.part is Part.HEADLAMP else _INDICATOR


@dataclass(frozen=True)
class Recipe:
    """How a mesh is made.

    Attributes:
        name: of the catalogue's model.
        archive, model: the .sh3f file (without ending), and the OBJ file in it.
        title, author, licence, licence_url: what the attribution says.
        triangles: about so many.
        painted, glass: materials of the body, and of windows. dropped: materials that are left out.
        detailed: textured materials whose picture matters.
        simplified: the only materials that may be simplified; all when there are none.
        recolored: colours in place of the materials' own. parts: materials that are lamps.
        lamps: added on the body.
    """

    name: str
    archive: str
    model: str
    title: str
    author: str
    licence: str
    licence_url: str
    triangles: int = 4600
    painted: tuple[str, ...] = ()
    glass: tuple[str, ...] = ("glass",)
    dropped: tuple[str, ...] = ()
    detailed: tuple[str, ...] = ()
    simplified: tuple[str, ...] = ()
    recolored: dict[str, Color] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    lamps: tuple[Lamp, ...] = ()


def _scopia(name: str, model: str, title: str, **rest: object) -> Recipe:
    author = "Emmanuel PUYBARET / eTeks <info@eteks.com> and Scopia Visual Interfaces Systems, s.l. (www.scopia.es)"
    return Recipe(name, "Scopia", f"scopia/{model}/{model}.obj", title, author, *_CC_BY, **rest)  # type: ignore[arg-type]


def _indicators(rear: tuple[float, float], front: tuple[float, float], size: tuple[float, float]) -> tuple[Lamp, Lamp]:
    return (
        Lamp(Part.LEFT_INDICATOR, False, *rear, *size),
        Lamp(Part.LEFT_INDICATOR, True, *front, *size),
    )


def _rear_and_front(
    brake: tuple[float, float], head: tuple[float, float], size: tuple[float, float] = (0.2, 0.12)
) -> tuple[Lamp, Lamp]:
    return (Lamp(Part.BRAKE_LAMP, False, *brake, *size), Lamp(Part.HEADLAMP, True, *head, *size))


_MIRROR = "sweethome3d_window_mirror"

RECIPES: tuple[Recipe, ...] = (
    _scopia(
        "car_compact", "smart-car", "Smart car",
        painted=("first-color", "second-color"), glass=("glass", "black-glass"), detailed=("textured",),
        recolored={"grey-light": _HEADLAMP, "back-lights": _BRAKE, _MIRROR: (120, 124, 128)},
        parts={"grey-light": Part.HEADLAMP, "back-lights": Part.BRAKE_LAMP},
        lamps=_indicators((0.72, 0.60), (0.62, 0.34), (0.12, 0.07)),
    ),
    _scopia(
        "car_hatchback", "seat_leon", "Seat Leon",
        triangles=4400,
        painted=("chapa_roja", "plastico_negro"), glass=("cristales",), dropped=("asientos",),
        recolored={"faros_rojos": _BRAKE, "faros_blan_back": (200, 204, 208), "neumaticos": (30, 30, 32),
                   "faros_blancos_faro1_leon.jpg": _HEADLAMP, "marca": (150, 152, 156)},
        parts={"faros_rojos": Part.BRAKE_LAMP, "faros_blancos_faro1_leon.jpg": Part.HEADLAMP},
        lamps=_indicators((0.72, 0.5), (0.62, 0.34), (0.14, 0.06)),
    ),
    _scopia(
        "car_estate", "renault-scenic", "Renault Scenic",
        painted=("color-beige-green",), glass=("glass", "dark-glass"), dropped=("black-plastic2",),
        recolored={"back-lights": _BRAKE, "front-lights": _HEADLAMP},
        parts={"back-lights": Part.BRAKE_LAMP, "front-lights": Part.HEADLAMP},
        lamps=_indicators((0.72, 0.5), (0.6, 0.34), (0.14, 0.07)),
    ),
    _scopia(
        "car_suv", "suv", "SUV",
        painted=("firstcolor", "doorlines"), dropped=("interior",), detailed=("textured",),
        recolored={_MIRROR: (120, 124, 128)},
        lamps=_rear_and_front((0.72, 0.6), (0.66, 0.46))
        + _indicators((0.72, 0.52), (0.62, 0.34), (0.16, 0.06)),
    ),
    _scopia(
        "car_coupe", "chevrolet", "Chevrolet",
        painted=("firstcolor",), dropped=("interior",), detailed=("textured",),
        recolored={"glassfocus": _HEADLAMP, _MIRROR: (120, 124, 128)},
        parts={"glassfocus": Part.HEADLAMP},
        lamps=(Lamp(Part.BRAKE_LAMP, False, 0.66, 0.56, 0.2, 0.12),
               *_indicators((0.36, 0.56), (0.62, 0.30), (0.14, 0.08))),
    ),
    _scopia(
        "van", "van", "Van",
        painted=("firstcolor",), glass=("glass", "whiteglass"), dropped=("interior",), detailed=("textured",),
        recolored={"redlights": _BRAKE, _MIRROR: (120, 124, 128)},
        parts={"redlights": Part.BRAKE_LAMP},
        lamps=_rear_and_front((0.86, 0.36), (0.74, 0.36), (0.16, 0.16))
        + _indicators((0.86, 0.42), (0.7, 0.28), (0.12, 0.1)),
    ),
    _scopia(
        "truck", "truck", "Truck",
        triangles=6200,
        painted=("red-cabin",), simplified=("grey-metal-wheels", "grey-metal", "black-metal"),
        recolored={"white-container": (226, 226, 222), "orange-lights": _INDICATOR, _MIRROR: (120, 124, 128)},
        lamps=_rear_and_front((0.72, 0.2), (0.66, 0.2), (0.24, 0.14))
        + _indicators((0.5, 0.2), (0.86, 0.2), (0.12, 0.14)),
    ),
    _scopia(
        "bus_coach", "bus", "Bus",
        painted=("firstcolor", "lines"), dropped=("interior",), detailed=("textured",),
        lamps=_rear_and_front((0.86, 0.34), (0.72, 0.2), (0.2, 0.26))
        + _indicators((0.86, 0.44), (0.88, 0.2), (0.16, 0.14)),
    ),
)  # fmt: skip
