"""People and two-wheelers made from tubes: walkers with separate limbs, cycles with somebody on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.assets.mesh import Mesh, Part
from aln_p3_core.world.assets.procedural_vehicles import BRAKE, GLASS, HEADLAMP, INDICATOR
from aln_p3_core.world.assets.shapes import Color, MeshBuilder

Size = tuple[float, float, float]
Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Clothes:
    """Colours of a person; the upper body takes the actor's own.

    Attributes:
        trousers, shoes, skin, hair: colours.
        skirt: a skirt to the knee, and bare legs below.
        bag: a bag on the back.
    """

    trousers: Color = (52, 58, 76)
    shoes: Color = (36, 32, 30)
    skin: Color = (205, 160, 130)
    hair: Color = (58, 40, 28)
    skirt: bool = False
    bag: bool = False


def walker_mesh(size: Size, clothes: Clothes) -> Mesh:
    """A standing person whose limbs hang straight; hips and shoulders are the pivots."""
    height = size[2]
    builder = MeshBuilder()
    hip, shoulder, knee = 0.50 * height, 0.80 * height, 0.28 * height
    u = height / 1.75
    for side, leg, arm in ((1.0, Part.LEFT_LEG, Part.LEFT_ARM), (-1.0, Part.RIGHT_LEG, Part.RIGHT_ARM)):
        y = side * 0.095 * u
        builder.pivots[leg] = (0.0, y, hip)
        path = [
            (0, 0.9 * y, hip + 0.03 * u),
            (0, y, hip - 0.10 * u),
            (0.01 * u, y, knee),
            (-0.01 * u, y, 0.16 * u),
            (-0.015 * u, y, 0.07 * u),
        ]
        radii = np.array([0.070, 0.090, 0.062, 0.055, 0.045]) * u
        cut = 2 if clothes.skirt else len(path)
        if clothes.skirt:
            builder.tube(path[1:], radii[1:], clothes.skin, part=leg)
        builder.tube(path[:cut], radii[:cut], clothes.trousers, part=leg)
        sole = [(-0.09 * u, y, 0.045 * u), (0.02 * u, y, 0.05 * u), (0.15 * u, y, 0.035 * u), (0.175 * u, y, 0.02 * u)]
        builder.tube(
            sole, np.array([[0.04, 0.045], [0.048, 0.05], [0.045, 0.035], [0.03, 0.02]]) * u, clothes.shoes, part=leg
        )
        x, outer = -0.01 * u, side * 0.215 * u
        builder.pivots[arm] = (x, outer, shoulder - 0.03 * u)
        elbow, wrist = shoulder - 0.31 * u, shoulder - 0.56 * u
        sleeve = [
            (x, outer * 0.92, shoulder + 0.01 * u),
            (x, outer, shoulder - 0.05 * u),
            (x - 0.02 * u, outer * 1.06, elbow),
            (x + 0.03 * u, outer * 1.08, wrist),
        ]
        builder.tube(sleeve, np.array([0.045, 0.056, 0.045, 0.036]) * u, paint=True, segments=7, part=arm)
        builder.ellipsoid(
            (x + 0.045 * u, outer * 1.08, wrist - 0.05 * u),
            np.array([0.036, 0.026, 0.07]) * u,
            clothes.skin,
            segments=6,
            rows=4,
            part=arm,
        )
    torso = [
        (0, 0, hip - 0.04 * u),
        (0, 0, hip + 0.06 * u),
        (0, 0, hip + 0.2 * u),
        (0.005 * u, 0, shoulder - 0.1 * u),
        (0, 0, shoulder + 0.01 * u),
        (0, 0, shoulder + 0.05 * u),
    ]
    widths = (
        np.array([[0.180, 0.105], [0.182, 0.115], [0.150, 0.102], [0.188, 0.118], [0.175, 0.088], [0.07, 0.06]]) * u
    )
    builder.tube(torso, widths, segments=12, paint=True)
    if clothes.skirt:
        builder.tube(
            [(0, 0, 0.33 * height), (0, 0, hip), (0, 0, hip + 0.08 * u)],
            np.array([[0.22, 0.19], [0.185, 0.13], [0.168, 0.112]]) * u,
            clothes.trousers,
            segments=12,
        )
    _head(builder, (0.0, 0.0, shoulder), height, u, clothes)
    if clothes.bag:
        builder.hexahedron(
            [
                (x * u, y * u, z)
                for z in (hip + 0.12 * u, shoulder - 0.02 * u)
                for x, y in ((-0.26, -0.14), (-0.10, -0.14), (-0.10, 0.14), (-0.26, 0.14))
            ],
            (64, 70, 52),
        )
    return builder.build(size)


def _head(builder: MeshBuilder, neck: Point, top: float, u: float, clothes: Clothes, part: Part = Part.BODY) -> None:
    """Neck, head and hair up to the height `top`, above the point between the shoulders."""
    x, y, z = neck
    middle = top - 0.125 * u
    builder.tube(
        [(x, y, z + 0.02 * u), (x + 0.01 * u, y, middle)],
        np.array([0.052, 0.048]) * u,
        clothes.skin,
        segments=8,
        part=part,
    )
    builder.ellipsoid((x + 0.015 * u, y, middle), np.array([0.098, 0.078, 0.120]) * u, clothes.skin, part=part)
    builder.ellipsoid(
        (x - 0.008 * u, y, middle + 0.03 * u),
        np.array([0.105, 0.087, 0.097]) * u,
        clothes.hair,
        top_only=True,
        rows=4,
        part=part,
    )
    builder.ellipsoid(
        (x - 0.045 * u, y, middle + 0.005 * u), np.array([0.068, 0.080, 0.095]) * u, clothes.hair, rows=5, part=part
    )


def _rider(
    builder: MeshBuilder,
    hip: Point,
    neck: Point,
    hand: Point,
    feet: tuple[Point, Point],
    top: float,
    *,
    helmet: Color,
    clothes: Clothes,
    knee_out: float = 0.13,
) -> None:
    """Somebody who sits at `hip` and holds the bar at `hand` (left; mirrored); feet: left and right."""
    spine = np.linspace(hip, neck, 4)
    builder.tube(
        spine, [[0.165, 0.11], [0.15, 0.11], [0.185, 0.12], [0.12, 0.075]], segments=10, paint=True, part=Part.RIDER
    )
    for side, foot, leg in ((1.0, feet[0], Part.LEFT_LEG), (-1.0, feet[1], Part.RIGHT_LEG)):
        joint = np.array((hip[0], hip[1] + side * 0.09, hip[2] + 0.02))
        builder.pivots[leg] = joint
        ankle = np.array((foot[0] - 0.06, foot[1], foot[2] + 0.09))
        knee = _knee(joint, ankle, 0.45, 0.45)
        knee[1] += side * (knee_out - 0.09)
        for a, b, ra, rb in ((joint, knee, 0.088, 0.062), (knee, ankle, 0.064, 0.045)):
            builder.tube([a, b], [ra, rb], clothes.trousers, part=leg)
        builder.tube(
            ankle + np.array([(-0.07, 0, -0.04), (0.05, 0, -0.05), (0.17, 0, -0.06)]),
            [[0.04, 0.04], [0.045, 0.045], [0.035, 0.025]],
            clothes.shoes,
            part=leg,
        )
        start = np.array((neck[0] - 0.02, neck[1] + side * 0.19, neck[2] - 0.04))
        grip = np.array((hand[0], side * hand[1], hand[2]))
        elbow = 0.5 * (start + grip) + (0.02, side * 0.07, -0.09)
        builder.tube([start, elbow], [0.057, 0.044], paint=True, segments=7, part=Part.RIDER)
        builder.tube([elbow, grip], [0.045, 0.034], paint=True, segments=7, part=Part.RIDER)
        builder.ellipsoid(grip, (0.055, 0.045, 0.045), clothes.skin, segments=6, rows=4, part=Part.RIDER)
    lean = (neck[0] + 0.05, neck[1], neck[2])
    _head(builder, lean, top - 0.01, 1.0, clothes, part=Part.RIDER)
    middle = (lean[0] - 0.005, lean[1], top - 0.11)
    builder.ellipsoid(middle, (0.128, 0.105, 0.11), helmet, top_only=True, rows=5, part=Part.RIDER)


def _knee(hip: NDArray, ankle: NDArray, thigh: float, shin: float) -> NDArray:
    """Where the knee bends, forward, between hip and ankle."""
    line = ankle - hip
    distance = min(float(np.linalg.norm(line)), thigh + shin - 1e-3)
    along = (distance**2 + thigh**2 - shin**2) / (2 * distance)
    out = np.sqrt(max(thigh**2 - along**2, 0.0))
    direction = line / np.linalg.norm(line)
    forward = np.array([1.0, 0, 0]) - direction[0] * direction
    return hip + along * direction + out * forward / np.linalg.norm(forward)


def bicycle_mesh(size: Size, clothes: Clothes, *, sporty: bool = False) -> Mesh:
    """A bicycle with a rider; the frame keeps its colour, the rider's jacket is painted."""
    height = size[2]
    builder = MeshBuilder()
    frame: Color = (150, 34, 30) if sporty else (40, 62, 92)
    radius = 0.34
    rear, front, crank = (-0.52, 0.0, radius), (0.54, 0.0, radius), (-0.06, 0.0, 0.30)
    for hub in (rear, front):
        _cycle_wheel(builder, hub, radius)
    saddle = (-0.22, 0.0, 0.98)
    head, bar = (0.36, 0.0, 0.86), (0.30 if not sporty else 0.40, 0.0, 1.06 if not sporty else 0.92)
    seat_tube = (-0.19, 0.0, 0.82)
    for a, b in (
        (crank, seat_tube),
        (seat_tube, head),
        (crank, (0.39, 0.0, 0.74)),
        (crank, rear),
        (seat_tube, rear),
        (bar, front),
    ):
        builder.tube([a, b], [0.020, 0.020], frame, segments=6)
    builder.tube([seat_tube, saddle], [0.014, 0.014], (120, 122, 126), segments=6)
    builder.tube(
        [(saddle[0] - 0.12, 0, saddle[2]), (saddle[0] + 0.14, 0, saddle[2])],
        [[0.075, 0.025], [0.025, 0.02]],
        (26, 26, 28),
    )
    half_bar = size[1] / 2 - 0.02
    builder.tube([(bar[0], -half_bar, bar[2]), (bar[0], half_bar, bar[2])], [0.014, 0.014], (30, 30, 32), segments=6)
    builder.box((rear[0] - 0.12, -0.03, 0.72), (rear[0] - 0.10, 0.03, 0.78), BRAKE, part=Part.BRAKE_LAMP)
    builder.box((head[0] + 0.06, -0.03, 0.82), (head[0] + 0.10, 0.03, 0.90), HEADLAMP, part=Part.HEADLAMP)
    feet = ((crank[0] + 0.12, 0.14, crank[2] - 0.16), (crank[0] - 0.02, -0.14, crank[2] + 0.10))
    neck = (saddle[0] + (0.40 if sporty else 0.22), 0.0, height - 0.27)
    helmet: Color = (226, 226, 222) if sporty else (40, 42, 46)
    _rider(
        builder,
        (saddle[0], 0, saddle[2] + 0.06),
        neck,
        (bar[0], half_bar - 0.05, bar[2] + 0.02),
        feet,
        height,
        helmet=helmet,
        clothes=clothes,
    )
    return builder.build(size)


def _cycle_wheel(builder: MeshBuilder, hub: Point, radius: float) -> None:
    """A thin tyre, seen through between the spokes."""
    x, y, z = hub
    turn = np.linspace(0, 2 * np.pi, 17)
    for start, end in pairwise(turn):
        ring = [(x + (radius - 0.022) * np.cos(a), y, z + (radius - 0.022) * np.sin(a)) for a in (start, end)]
        builder.tube(ring, [0.022, 0.022], (26, 26, 28), segments=4, caps=False)
    for spoke in np.arange(6) * np.pi / 3:
        tip = (x + (radius - 0.03) * np.cos(spoke), y, z + (radius - 0.03) * np.sin(spoke))
        builder.tube([hub, tip], [0.006, 0.006], (130, 132, 136), segments=3, caps=False)
    builder.tube([(x, y - 0.05, z), (x, y + 0.05, z)], [0.025, 0.025], (110, 112, 116), segments=6)


def motorcycle_mesh(size: Size, clothes: Clothes, *, scooter: bool = False) -> Mesh:
    """A motorcycle or a scooter with a rider; tank or fairing are painted, and the jacket."""
    length, width, height = size
    builder = MeshBuilder()
    radius = 0.24 if scooter else 0.31
    rear, front = -length / 2 + radius, length / 2 - radius
    for x in (rear, front):
        builder.wheel((x, 0.0, radius), radius, 0.13, hub=(120, 122, 126))
    seat = 0.78
    half_bar = width / 2 - 0.03
    if scooter:
        builder.tube(
            [(rear - 0.12, 0, 0.62), (rear + 0.2, 0, 0.58), (-0.05, 0, 0.55), (0.02, 0, 0.30)],
            [[0.13, 0.12], [0.19, 0.17], [0.17, 0.15], [0.15, 0.08]],
            paint=True,
            segments=8,
        )
        builder.box((-0.1, -0.17, 0.26), (front - 0.25, 0.17, 0.33), (44, 44, 46))
        builder.hexahedron(
            [
                (x, y, z)
                for z, s in ((0.32, 0.0), (1.0, -0.14))
                for x, y in (
                    (front - 0.30 + s, -0.2),
                    (front - 0.20 + s, -0.15),
                    (front - 0.20 + s, 0.15),
                    (front - 0.30 + s, 0.2),
                )
            ],
            paint=True,
        )
    else:
        builder.tube(
            [(0.30, 0, 0.88), (0.12, 0, 0.92), (-0.14, 0, 0.80)],
            [[0.11, 0.08], [0.16, 0.13], [0.11, 0.07]],
            paint=True,
            segments=8,
        )
        builder.tube(
            [(-0.10, 0, seat - 0.02), (-0.45, 0, seat), (rear - 0.16, 0, seat + 0.06)],
            [[0.12, 0.06], [0.14, 0.06], [0.07, 0.04]],
            (26, 26, 28),
            segments=8,
        )
        builder.box((-0.25, -0.16, 0.34), (0.26, 0.16, 0.70), (72, 74, 78))
        builder.tube([(rear, 0.08, radius), (-0.2, 0.08, 0.5)], [0.035, 0.035], (52, 52, 54), segments=6)
        builder.tube([(0.05, -0.16, 0.34), (rear - 0.1, -0.17, 0.42)], [0.045, 0.06], (150, 152, 156), segments=8)
        builder.box((rear - 0.3, -0.07, seat - 0.06), (rear + 0.1, 0.07, seat + 0.02), paint=True)
    for y in (-0.08, 0.08):
        builder.tube([(front, y, radius), (front - 0.28, y, 0.98)], [0.025, 0.03], (140, 142, 146), segments=6)
    bar = (front - 0.36, half_bar, 1.04)
    builder.tube([(bar[0], -half_bar, bar[2]), (bar[0], half_bar, bar[2])], [0.016, 0.016], (30, 30, 32), segments=6)
    builder.hexahedron(
        [
            (x, y, z)
            for z, s in ((0.95, 0.0), (1.22, -0.12))
            for x, y in (
                (front - 0.28 + s, -0.14),
                (front - 0.24 + s, -0.12),
                (front - 0.24 + s, 0.12),
                (front - 0.28 + s, 0.14),
            )
        ],
        GLASS,
        part=Part.GLASS,
    )
    builder.box((front - 0.24, -0.09, 0.80), (front - 0.16, 0.09, 0.94), HEADLAMP, part=Part.HEADLAMP)
    tail = rear - 0.20
    builder.box((tail - 0.03, -0.08, seat - 0.06), (tail + 0.03, 0.08, seat + 0.01), BRAKE, part=Part.BRAKE_LAMP)
    for side, part in ((1.0, Part.LEFT_INDICATOR), (-1.0, Part.RIGHT_INDICATOR)):
        for x in (tail, front - 0.22):
            y0, y1 = sorted((side * 0.12, side * 0.20))
            builder.box((x - 0.03, y0, seat - 0.05), (x + 0.03, y1, seat + 0.01), INDICATOR, part=part)
    foot_x = 0.25 if scooter else -0.08
    feet = ((foot_x, 0.19, 0.34), (foot_x, -0.19, 0.34))
    hip = (-0.30, 0.0, seat + 0.12)
    _rider(
        builder,
        hip,
        (hip[0] + (0.12 if scooter else 0.24), 0.0, height - 0.27),
        (bar[0], half_bar - 0.07, bar[2] + 0.02),
        feet,
        height,
        helmet=(228, 228, 226) if scooter else (34, 34, 38),
        clothes=clothes,
        knee_out=0.19,
    )
    return builder.build(size)
