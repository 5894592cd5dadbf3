"""Vehicles made from a few numbers: cars, vans, trucks and buses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aln_p3_core.world.assets.mesh import Mesh, Part
from aln_p3_core.world.assets.shapes import Color, MeshBuilder

GLASS: Color = (38, 46, 54)
TRIM: Color = (42, 43, 46)
BRAKE: Color = (128, 16, 18)
INDICATOR: Color = (196, 110, 20)
HEADLAMP: Color = (214, 218, 222)
PLATE: Color = (226, 226, 216)
_PROUD = 0.012  # How far lamps and trim stand off the body, m: depth buffers keep them apart.

Size = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class CarShape:
    """Side view of a car, in fractions of its length (0 rear, 1 front) and height.

    Attributes:
        belt: height of the lower edge of the windows.
        hood, trunk: heights of the bonnet's front edge and of the tail.
        glass: x of the windows' lower edge at the rear and at the front.
        roof: x of the roof's rear and front edge.
        wheels: x of the two axles.
        wheel_radius_m: of the tyres.
        bed: x at which a pickup's cab ends, 0 for a car.
    """

    belt: float = 0.60
    hood: float = 0.50
    trunk: float = 0.58
    glass: tuple[float, float] = (0.10, 0.74)
    roof: tuple[float, float] = (0.25, 0.55)
    wheels: tuple[float, float] = (0.19, 0.81)
    wheel_radius_m: float = 0.32
    bed: float = 0.0


def car_mesh(size: Size, shape: CarShape, *, taxi: bool = False) -> Mesh:
    """A car; everything but windows, wheels and lamps takes the actor's colour."""
    length, width, height = size
    builder = MeshBuilder()
    top = height - (0.14 if taxi else 0.0)
    rear, half, ground = -length / 2, width / 2, 0.17

    def at(fraction: float) -> float:
        return rear + fraction * length

    belt, hood, trunk = shape.belt * top, shape.hood * top, shape.trunk * top
    # Lower body: stations from rear to front, each with heights of sill, waist and top edge, and a half width.
    stations = [
        (0.0, 0.40, 0.62 * trunk, 0.80 * trunk, 0.86),
        (0.015, 0.26, 0.55 * trunk, 0.97 * trunk, 0.94),
        (0.10, ground, 0.5 * belt, max(trunk, 0.99 * belt) if shape.glass[0] < 0.06 else trunk, 1.0),
        (shape.glass[0] + 0.04, ground, 0.5 * belt, belt, 1.0),
        (shape.glass[1] - 0.02, ground, 0.5 * belt, belt, 1.0),
        (0.90, ground, 0.52 * belt, 0.5 * (hood + belt), 0.99),
        (0.985, 0.24, 0.5 * hood, hood, 0.92),
        (1.0, 0.34, 0.52 * hood, 0.80 * hood, 0.82),
    ]
    rings = []
    for fraction, sill, waist, edge, wide in sorted(stations):
        side, x = half * wide, at(fraction)
        right = [(-0.88 * side, sill), (-side, waist), (-0.95 * side, edge - 0.05), (-0.80 * side, edge)]
        rings.append([(x, y, z) for y, z in right[::-1]] + [(x, -y, z) for y, z in right])
    builder.loft(rings, paint=True)
    _cabin(builder, at, half, belt, top, shape)
    if shape.bed:
        _bed(builder, at(0.02), at(shape.bed), 0.9 * half, belt)
    for fraction in shape.wheels:
        for side in (-1.0, 1.0):
            centre = (at(fraction), side * (half - 0.10), shape.wheel_radius_m)
            _wheel_arch(builder, centre, side, half)
            builder.wheel(centre, shape.wheel_radius_m, 0.21)
    builder.box((at(0.05), -0.8 * half, 0.2), (at(0.95), 0.8 * half, 0.3), (20, 20, 22))
    _mirrors(builder, at(shape.glass[1] - 0.07), half, belt)
    _tail_lamps(builder, rear, 0.80 * half, 0.66 * trunk, 0.15)
    _front_lamps(builder, at(1.0), 0.74 * half, 0.60 * hood)
    _grille(builder, at(1.0), 0.42 * half, 0.42 * hood, 0.68 * hood)
    if taxi:
        middle = at(0.5 * sum(shape.roof))
        builder.box((middle - 0.09, -0.30, top), (middle + 0.09, 0.30, height), (250, 214, 60))
    return builder.build(size)


def _cabin(
    builder: MeshBuilder, at: Callable[[float], float], half: float, belt: float, top: float, shape: CarShape
) -> None:
    """Windows, pillars and roof on the lower body."""
    low, high = 0.90 * half, 0.70 * half
    roof = top - 0.045
    x = [at(shape.glass[0]), at(shape.glass[1]), at(shape.roof[0]), at(shape.roof[1])]
    sill, base = belt - 0.02, 0.80 * half
    builder.mirrored_panel(
        [(x[0], low, sill), (x[2], high, roof), (x[3], high, roof), (x[1], low, sill)], GLASS, part=Part.GLASS
    )
    builder.panel(
        [(x[1], -base, sill), (x[1], base, sill), (x[3], high, roof), (x[3], -high, roof)], GLASS, part=Part.GLASS
    )
    builder.panel(
        [(x[0], base, sill), (x[0], -base, sill), (x[2], -high, roof), (x[2], high, roof)], GLASS, part=Part.GLASS
    )
    for lower, upper in ((x[0], x[2]), (x[1], x[3])):  # C and A pillars close the gap between side and end windows.
        inward = -1 if upper < lower else 1
        quad = [(lower, base, sill), (lower, low, sill), (upper, high + 0.012, roof), (upper, high - 0.04, roof)]
        builder.mirrored_panel(quad[::-1] if inward > 0 else quad, paint=True)
        wide = 0.10 * inward
        post = [
            (lower, low + 0.008, sill),
            (lower + wide, low + 0.008, sill),
            (upper + wide, high + 0.012, roof),
            (upper, high + 0.012, roof),
        ]
        builder.mirrored_panel(post[::-1] if inward > 0 else post, paint=True)
    middle = 0.5 * (max(x[0], x[2]) + min(x[1], x[3])) - 0.06
    post = [
        (middle, low + 0.01, sill),
        (middle + 0.1, low + 0.01, sill),
        (middle + 0.1, high + 0.014, roof),
        (middle, high + 0.014, roof),
    ]
    builder.mirrored_panel(post[::-1], TRIM)
    eaves = [(x[2] - 0.03, high + 0.02, roof - 0.01), (x[3] + 0.03, high + 0.02, roof - 0.01)]
    crown = [(x[2] + 0.10, high - 0.12, top), (x[3] - 0.10, high - 0.12, top)]
    builder.panel([(crown[0][0], -crown[0][1], top), (crown[1][0], -crown[1][1], top), crown[1], crown[0]], paint=True)
    builder.mirrored_panel([eaves[1], eaves[0], crown[0], crown[1]], paint=True)
    for (ex, ey, ez), (cx, cy, cz), sign in ((eaves[1], crown[1], 1), (eaves[0], crown[0], -1)):
        quad = [(ex, -ey, ez), (ex, ey, ez), (cx, cy, cz), (cx, -cy, cz)]
        builder.panel(quad if sign > 0 else quad[::-1], paint=True)


def _bed(builder: MeshBuilder, rear: float, front: float, half: float, belt: float) -> None:
    """The open load bed of a pickup: dark floor and three walls."""
    floor = belt + 0.01
    builder.panel(
        [(rear, -half, floor), (front, -half, floor), (front, half, floor), (rear, half, floor)], (34, 34, 36)
    )
    wall = 0.16
    for y in (-half, half):
        builder.box((rear, y - 0.04, belt - 0.05), (front, y + 0.04, belt + wall), paint=True)
    builder.box((rear, -half, belt - 0.05), (rear + 0.07, half, belt + wall), paint=True)


def _wheel_arch(builder: MeshBuilder, centre: tuple[float, float, float], side: float, half: float) -> None:
    """A dark half disc behind the wheel, on the body's side."""
    x, _, z = centre
    radius = 1.18 * z
    turn = np.linspace(-0.15, np.pi + 0.15, 11)
    y = side * (half + 0.002)
    disc = np.column_stack([x + radius * np.cos(turn), np.full(len(turn), y), z + radius * np.sin(turn)])
    builder.panel(disc if side < 0 else disc[::-1], (22, 22, 24))


def _mirrors(builder: MeshBuilder, x: float, half: float, z: float) -> None:
    for side in (-1.0, 1.0):
        y0, y1 = sorted((side * 0.9 * half, side * (half + 0.07)))
        builder.box((x - 0.10, y0, z + 0.02), (x + 0.02, y1, z + 0.15), paint=True)


def _lamp(
    builder: MeshBuilder, x: float, y: tuple[float, float], z: tuple[float, float], color: Color, part: Part
) -> None:
    """A lamp glass that faces forward (x > 0) or backward, a little proud of the body."""
    thick = _PROUD if x > 0 else -_PROUD
    x0, x1 = sorted((x - 6 * thick, x + thick))
    builder.box((x0, min(y), min(z)), (x1, max(y), max(z)), color, part=part)


def _tail_lamps(
    builder: MeshBuilder, x: float, half: float, z: float, tall: float, *, third: float | None = None
) -> None:
    for side, indicator in ((1.0, Part.LEFT_INDICATOR), (-1.0, Part.RIGHT_INDICATOR)):
        _lamp(builder, x, (side * half, side * 0.62 * half), (z, z + tall), BRAKE, Part.BRAKE_LAMP)
        _lamp(builder, x, (side * half, side * 0.62 * half), (z - 0.07, z - 0.005), INDICATOR, indicator)
    _lamp(builder, x, (-0.26, 0.26), (z - 0.12, z - 0.01), PLATE, Part.BODY)
    if third is not None:
        _lamp(builder, x, (-0.22, 0.22), (third, third + 0.06), BRAKE, Part.BRAKE_LAMP)


def _front_lamps(builder: MeshBuilder, x: float, half: float, z: float) -> None:
    for side, indicator in ((1.0, Part.LEFT_INDICATOR), (-1.0, Part.RIGHT_INDICATOR)):
        _lamp(builder, x, (side * 0.88 * half, side * 0.55 * half), (z, z + 0.12), HEADLAMP, Part.HEADLAMP)
        _lamp(builder, x, (side * 1.04 * half, side * 0.9 * half), (z, z + 0.12), INDICATOR, indicator)


def _grille(builder: MeshBuilder, x: float, half: float, low: float, high: float) -> None:
    _lamp(builder, x, (-half, half), (low, high), TRIM, Part.BODY)
    _lamp(builder, x + 0.004, (-0.26, 0.26), (low - 0.09, low + 0.02), PLATE, Part.BODY)


def van_mesh(size: Size) -> Mesh:
    """A delivery van: one volume with a short sloping bonnet, windows in front, closed at the back."""
    length, width, height = size
    builder = MeshBuilder()
    rear, front, half = -length / 2, length / 2, width / 2 - 0.07
    belt, ground = 0.50 * height, 0.2
    profile = [
        (rear, 0.40, 0.95 * height, 0.97),
        (rear + 0.05, ground, 0.985 * height, 1.0),
        (front - 0.40 * length, ground, height, 1.0),
        (front - 0.27 * length, ground, 0.985 * height, 1.0),
        (front - 0.14 * length, ground, 0.56 * height, 0.99),
        (front - 0.03, 0.24, 0.42 * height, 0.94),
        (front, 0.32, 0.36 * height, 0.88),
    ]
    rings = []
    for x, low, high, wide in profile:
        side = half * wide
        waist, edge = low + 0.45 * (high - low), high - 0.07 * (high - low)
        right = [(-0.94 * side, low), (-side, waist), (-0.91 * side, edge), (-0.80 * side, high)]
        rings.append([(x, y, z) for y, z in right[::-1]] + [(x, -y, z) for y, z in right])
    builder.loft(rings, paint=True)
    top_x, low_x = front - 0.27 * length, front - 0.14 * length
    slope = (0.56 - 0.985) * height / (low_x - top_x)

    def screen(x: float, y: float) -> tuple[float, float, float]:
        return (x + 0.02, y, 0.985 * height + slope * (x - top_x) + 0.01)

    high_x = top_x + 0.1 * (low_x - top_x)
    pane = [screen(low_x, -0.78 * half), screen(low_x, 0.78 * half), screen(high_x, 0.75 * half)]
    builder.panel([*pane, screen(high_x, -0.75 * half)], GLASS, part=Part.GLASS)
    door = [
        (front - 0.43 * length, belt),
        (low_x - 0.10, belt),
        (top_x + 0.02, 0.86 * height),
        (front - 0.43 * length, 0.86 * height),
    ]
    builder.mirrored_panel(
        [(x, half * (1.0 if z == belt else 0.945) + 0.012, z) for x, z in door][::-1], GLASS, part=Part.GLASS
    )
    for y in (0.06, -0.70 * half):
        window = [
            (y, 0.58 * height),
            (y + 0.64 * half, 0.58 * height),
            (y + 0.64 * half, 0.86 * height),
            (y, 0.86 * height),
        ]
        builder.panel([(rear - 0.004, y, z) for y, z in window][::-1], GLASS, part=Part.GLASS)
    builder.box((rear + 0.1, -half - 0.01, 0.34), (front - 0.15, half + 0.01, 0.40), TRIM)
    for x in (rear + 0.20 * length, front - 0.17 * length):
        for side in (-1.0, 1.0):
            centre = (x, side * (half - 0.10), 0.34)
            _wheel_arch(builder, centre, side, half)
            builder.wheel(centre, 0.34, 0.22)
    _mirrors(builder, low_x - 0.15, half, belt + 0.05)
    _tail_lamps(builder, rear, 0.95 * half, 0.36 * height, 0.30)
    _front_lamps(builder, front, 0.82 * half, 0.26 * height)
    _grille(builder, front, 0.45 * half, 0.19 * height, 0.26 * height)
    return builder.build(size)


def truck_mesh(size: Size) -> Mesh:
    """A truck with a cab over the engine and a closed box; the cab is painted, the box is light grey."""
    length, width, height = size
    builder = MeshBuilder()
    rear, front, half = -length / 2, length / 2, width / 2 - 0.08
    cab, roof = front - 1.75, min(height - 0.15, 2.85)
    corners = [(cab, -0.96 * half, 0.5), (front, -0.96 * half, 0.4), (front, 0.96 * half, 0.4), (cab, 0.96 * half, 0.5)]
    waist = [(cab, -0.98 * half, 1.5), (front, -0.98 * half, 1.5), (front, 0.98 * half, 1.5), (cab, 0.98 * half, 1.5)]
    upper = [
        (cab, -0.9 * half, roof),
        (front - 0.25, -0.9 * half, roof),
        (front - 0.25, 0.9 * half, roof),
        (cab, 0.9 * half, roof),
    ]
    builder.hexahedron(corners + waist, paint=True)
    builder.hexahedron(waist + upper, paint=True)

    def slope(z: float) -> float:
        return front - 0.25 * (z - 1.5) / (roof - 1.5) + 0.012

    builder.panel(
        [(slope(z), y * half, z) for y, z in ((-0.88, 1.58), (0.88, 1.58), (0.82, roof - 0.25), (-0.82, roof - 0.25))],
        GLASS,
        part=Part.GLASS,
    )
    side = [(cab + 0.55, 1.55), (front - 0.12, 1.55), (front - 0.34, roof - 0.35), (cab + 0.55, roof - 0.35)]
    builder.mirrored_panel(
        [(x, 0.98 * half - 0.08 * half * (z - 1.5) / (roof - 1.5) + 0.012, z) for x, z in side][::-1],
        GLASS,
        part=Part.GLASS,
    )
    builder.box((rear, -half, 1.02), (cab - 0.12, half, height), (206, 208, 210))
    builder.box((rear - 0.005, -half + 0.06, 1.10), (rear + 0.01, -0.02, height - 0.08), (190, 192, 194))
    builder.box((rear - 0.005, 0.02, 1.10), (rear + 0.01, half - 0.06, height - 0.08), (190, 192, 194))
    builder.mirrored_panel(
        [
            (rear + 0.5, half + 0.006, 1.35),
            (cab - 0.6, half + 0.006, 1.35),
            (cab - 0.6, half + 0.006, 1.75),
            (rear + 0.5, half + 0.006, 1.75),
        ][::-1],
        paint=True,
    )
    builder.box((rear + 0.05, -0.42, 0.70), (cab + 0.2, 0.42, 1.02), (46, 46, 48))
    builder.box((rear + 0.02, -0.95 * half, 0.5), (rear + 0.10, 0.95 * half, 0.66), TRIM)
    for y in (-0.92 * half, 0.86 * half):
        builder.box((rear + 2.6, y, 0.48), (cab - 1.0, y + 0.06 * half, 0.95), (70, 72, 75))
    axles = [front - 1.15, rear + 1.9] + ([rear + 3.05] if length > 9.0 else [])
    for x in axles:
        for sign in (-1.0, 1.0):
            builder.wheel((x, sign * (half - 0.17), 0.48), 0.48, 0.32)
    _mirrors(builder, front - 0.15, half, 1.85)
    _tail_lamps(builder, rear, 0.92 * half, 0.74, 0.16)
    _front_lamps(builder, front, 0.9 * half, 0.62)
    _grille(builder, front, 0.6 * half, 0.86, 1.36)
    return builder.build(size)


def bus_mesh(size: Size, *, coach: bool = False) -> Mesh:
    """A bus with a band of windows, doors on the right, and a sign above the windscreen."""
    length, width, height = size
    builder = MeshBuilder()
    rear, front, half = -length / 2, length / 2, width / 2 - 0.10
    sill, belt, eaves = 0.32, (1.55 if coach else 1.15), height - 0.32
    rings = []
    for x, tuck, drop in ((rear, 0.10, 0.12), (rear + 0.12, 0.0, 0.0), (front - 0.25, 0.0, 0.0), (front, 0.10, 0.16)):
        side = half - tuck
        right = [
            (-side, sill + drop),
            (-side, eaves),
            (-0.88 * side, height - 0.06 - drop),
            (-0.6 * side, height - drop),
        ]
        rings.append([(x, y, z) for y, z in right[::-1]] + [(x, -y, z) for y, z in right])
    builder.loft(rings, paint=True)
    count = round(length / 1.5)
    pitch = (length - 1.1) / count
    for row in range(count):
        x0, x1 = rear + 0.5 + row * pitch + 0.05, rear + 0.5 + (row + 1) * pitch - 0.05
        pane = [
            (x0, half + 0.01, belt),
            (x0, half + 0.01, eaves - 0.02),
            (x1, half + 0.01, eaves - 0.02),
            (x1, half + 0.01, belt),
        ]
        builder.mirrored_panel(pane, GLASS, part=Part.GLASS)
    for x in [front - 1.5] if coach else [front - 1.5, rear + 0.48 * length]:
        door = [
            (x, -half - 0.016, 0.42),
            (x + 1.15, -half - 0.016, 0.42),
            (x + 1.15, -half - 0.016, eaves),
            (x, -half - 0.016, eaves),
        ]
        builder.panel(door, (58, 66, 74), part=Part.GLASS)
        builder.panel(
            [
                (x + 0.55, -half - 0.02, 0.42),
                (x + 0.60, -half - 0.02, 0.42),
                (x + 0.60, -half - 0.02, eaves),
                (x + 0.55, -half - 0.02, eaves),
            ],
            TRIM,
        )
    inside = half - 0.14
    builder.panel(
        [
            (front + 0.012, y, z)
            for y, z in ((-inside, 0.95), (inside, 0.95), (inside, eaves - 0.12), (-inside, eaves - 0.12))
        ],
        GLASS,
        part=Part.GLASS,
    )
    builder.panel(
        [
            (front + 0.02, y, z)
            for y, z in (
                (-0.75 * inside, eaves - 0.08),
                (0.75 * inside, eaves - 0.08),
                (0.75 * inside, eaves + 0.1),
                (-0.75 * inside, eaves + 0.1),
            )
        ],
        (30, 30, 32),
    )
    builder.panel(
        [
            (front + 0.026, y, z)
            for y, z in (
                (-0.5 * inside, eaves - 0.04),
                (0.5 * inside, eaves - 0.04),
                (0.5 * inside, eaves + 0.06),
                (-0.5 * inside, eaves + 0.06),
            )
        ],
        (250, 170, 40),
    )
    builder.panel(
        [
            (rear - 0.012, y, z)
            for y, z in ((inside, 1.5), (-inside, 1.5), (-inside, eaves - 0.1), (inside, eaves - 0.1))
        ],
        GLASS,
        part=Part.GLASS,
    )
    builder.box((rear + 0.1, -half + 0.02, sill - 0.08), (front - 0.15, half - 0.02, sill + 0.04), TRIM)
    builder.box(
        (rear + 0.2 * length, -0.5 * half, height - 0.02),
        (rear + 0.42 * length, 0.5 * half, height + 0.14),
        (200, 202, 204),
    )
    for x in (front - 2.65, rear + 3.2):
        for sign in (-1.0, 1.0):
            centre = (x, sign * (half - 0.13), 0.48)
            _wheel_arch(builder, centre, sign, half)
            builder.wheel(centre, 0.48, 0.30)
    _mirrors(builder, front - 0.05, half, 1.9)
    _tail_lamps(builder, rear, 0.9 * half, 0.85, 0.30, third=eaves + 0.02)
    _front_lamps(builder, front, 0.86 * half, 0.56)
    return builder.build(size)
