"""Meshes of what stands beside the road: trees, street lamps, traffic lights, bus stops, buildings.

Each is a `Mesh` in a frame of its own: origin on the ground, z up, m; what faces somewhere faces +x.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import numpy as np

from aln_p3_core.world.assets.mesh import Mesh, box_mesh
from aln_p3_core.world.assets.shapes import Color, MeshBuilder, smooth_normals

#: Kinds of `tree_mesh`.
TREE_KINDS = ("broadleaf", "conifer")

_BARK: Color = (88, 70, 54)
_STEEL: Color = (118, 122, 124)
_DARK: Color = (34, 36, 38)


class SignalPart(IntEnum):
    """Which part of a traffic light a vertex belongs to: `Mesh.parts` of `traffic_light_mesh`."""

    POLE = 0
    RED = 1
    YELLOW = 2
    GREEN = 3


def tree_mesh(kind: str = "broadleaf", seed: int = 0) -> Mesh:
    """A tree 1 m high, to be scaled to its height. `kind` is one of `TREE_KINDS`; seeds give different shapes."""
    rng = np.random.default_rng(seed)
    builder = MeshBuilder()
    if kind == "conifer":
        builder.tube([(0, 0, 0), (0, 0, 0.3)], [0.022, 0.016], _BARK, segments=6)
        tiers = 5
        for tier in range(tiers):
            low = 0.14 + 0.66 * tier / tiers
            high = min(low + 0.34 - 0.02 * tier, 1.0)
            _needle_tier(builder, rng, low, high, 0.19 * (1 - 0.78 * tier / tiers))
        return builder.build()
    builder.tube([(0, 0, 0), (0.01, 0, 0.22), (0, 0.01, 0.5)], [0.030, 0.021, 0.014], _BARK, segments=7)
    for turn in rng.uniform(0, 2 * np.pi) + np.arange(3) * 2.1:
        tip = (0.16 * np.cos(turn), 0.16 * np.sin(turn), 0.58)
        builder.tube([(0, 0, 0.30), tip], [0.012, 0.006], _BARK, segments=5)
    _leaf_ball(builder, rng, np.array([0, 0, 0.68]), np.array([0.24, 0.24, 0.27]))
    for turn in rng.uniform(0, 2 * np.pi) + np.arange(5) * 1.26:
        reach, height = rng.uniform(0.14, 0.2), rng.uniform(0.52, 0.72)
        radii = rng.uniform(0.13, 0.18) * np.array([1.0, 1.0, rng.uniform(0.8, 1.0)])
        _leaf_ball(builder, rng, np.array([reach * np.cos(turn), reach * np.sin(turn), height]), radii)
    mesh = builder.build()
    vertices = mesh.vertices.copy()
    vertices[:, 2] *= 1.0 / vertices[:, 2].max()
    return replace(mesh, vertices=vertices)


def street_lamp_mesh(height_m: float = 8.0, arm_m: float = 1.8) -> Mesh:
    """A street lamp: the pole stands at the origin, its arm reaches along +x."""
    builder = MeshBuilder()
    builder.tube([(0, 0, 0), (0, 0, 0.6)], [0.10, 0.09], _STEEL, segments=8)
    bend = [(0, 0, 0.6), (0, 0, height_m - 0.6)]
    builder.tube(bend, [0.075, 0.05], _STEEL, segments=8, caps=False)
    top = [(0, 0, height_m - 0.62), (0.12 * arm_m, 0, height_m - 0.22)]
    builder.tube(top, [0.05, 0.045], _STEEL, segments=8, caps=False)
    builder.tube([top[1], (arm_m, 0, height_m - 0.06)], [0.045, 0.035], _STEEL, segments=8)
    builder.hexahedron(
        [
            (x, y, z)
            for z, s in ((height_m - 0.12, 1.0), (height_m, 0.6))
            for x, y in (
                (arm_m - 0.1, -0.14 * s),
                (arm_m + 0.6, -0.10 * s),
                (arm_m + 0.6, 0.10 * s),
                (arm_m - 0.1, 0.14 * s),
            )
        ],
        (92, 96, 98),
    )
    glow = [(arm_m, y, height_m - 0.125) for y in (0.09, -0.09)] + [
        (arm_m + 0.52, y, height_m - 0.125) for y in (-0.07, 0.07)
    ]
    builder.panel(glow[::-1] if _faces_up(glow) else glow, (240, 236, 220))
    return builder.build()


def traffic_light_mesh(head_m: float = 2.6) -> Mesh:
    """A pole with a head of three lamps that face +x; `parts` are `SignalPart`, so that each lamp can be lit.

    Lamps that are off have their dim colours.

    Args:
        head_m: height of the head's lower edge.
    """
    builder = MeshBuilder()
    top = head_m + 1.02
    builder.tube([(0, 0, 0), (0, 0, top + 0.05)], [0.07, 0.06], (72, 76, 78), segments=8)
    front, half = 0.26, 0.16
    builder.box((0.07, -half, head_m), (front, half, top), _DARK)
    plate = half + 0.10
    builder.box((0.085, -plate, head_m - 0.10), (0.10, plate, top + 0.10), _DARK)
    for row, (part, color) in enumerate(_LAMPS):
        height = top - 0.18 - 0.33 * row
        turn = np.arange(14) * (2 * np.pi / 14)
        disc = np.column_stack([np.full(14, front + 0.006), 0.115 * np.cos(turn), height + 0.115 * np.sin(turn)])
        builder.panel(disc, color, part=part)  # type: ignore[arg-type]
        hood = np.linspace(np.radians(-10), np.radians(190), 8)
        rings = np.stack(
            [
                np.column_stack([np.full(8, x), 0.135 * np.cos(hood), height + 0.135 * np.sin(hood)])
                for x in (front, front + 0.17)
            ]
        )
        for k in range(7):
            quad = np.array([rings[0, k], rings[1, k], rings[1, k + 1], rings[0, k + 1]])
            builder.panel(quad, _DARK)
            builder.panel(quad[::-1], (20, 21, 22))
    return builder.build()


_LAMPS = (
    (SignalPart.RED, (74, 18, 16)),
    (SignalPart.YELLOW, (82, 62, 14)),
    (SignalPart.GREEN, (14, 62, 40)),
)


def bus_stop_mesh() -> Mesh:
    """A bus stop's sign, which faces +x and back, and a waste bin at its foot."""
    builder = MeshBuilder()
    builder.tube([(0, 0, 0), (0, 0, 2.75)], [0.035, 0.035], _STEEL, segments=8)
    builder.box((-0.02, -0.05, 2.10), (0.02, 0.50, 2.70), (34, 78, 150))
    for side in (-0.024, 0.024):
        letter = [(side, 0.12, 2.24), (side, 0.33, 2.24), (side, 0.33, 2.56), (side, 0.12, 2.56)]
        builder.panel(letter if side > 0 else letter[::-1], (238, 208, 60))
    builder.box((-0.018, -0.02, 1.15), (0.018, 0.42, 1.75), (232, 232, 228))
    builder.tube([(0, -0.22, 0.35), (0, -0.22, 0.95)], [0.16, 0.18], (58, 84, 66), segments=10)
    return builder.build()


def bus_shelter_mesh(length_m: float = 3.6) -> Mesh:
    """A shelter whose open side faces +x: back wall, side walls, roof, bench."""
    builder = MeshBuilder()
    half, depth, height = length_m / 2, 1.5, 2.45
    for y in (-half, half):
        for x in (-depth / 2, depth / 2 - 0.06):
            builder.box((x, y - 0.03, 0), (x + 0.06, y + 0.03, height), _STEEL)
        builder.box((-depth / 2 + 0.06, y - 0.012, 0.25), (depth / 2 - 0.4, y + 0.012, 2.2), (120, 138, 142))
    builder.box((-depth / 2, -half + 0.03, 0.25), (-depth / 2 + 0.024, half - 0.03, 2.2), (120, 138, 142))
    builder.box((-depth / 2 - 0.1, -half - 0.1, height), (depth / 2 + 0.15, half + 0.1, height + 0.10), (66, 70, 74))
    builder.box((-depth / 2 + 0.10, -half + 0.4, 0.44), (-depth / 2 + 0.50, half - 0.9, 0.50), (128, 92, 60))
    return builder.build()


def building_mesh(length_m: float, width_m: float, height_m: float) -> Mesh:
    """A plain block; the façade is the renderer's. Every vertex is painted."""
    return box_mesh((length_m, width_m, height_m))


def _faces_up(quad: list[tuple[float, float, float]]) -> bool:
    a, b, c = (np.array(point) for point in quad[:3])
    return bool(np.cross(b - a, c - a)[2] > 0)


def _needle_tier(builder: MeshBuilder, rng: np.random.Generator, low: float, high: float, radius: float) -> None:
    """A ragged cone of a conifer: dark under the rim, lighter towards the tip."""
    count = 14
    turn = np.arange(count) * (2 * np.pi / count)
    reach = radius * np.where(np.arange(count) % 2, 0.72, 1.0) * rng.uniform(0.9, 1.1, count)
    drop = low + np.where(np.arange(count) % 2, 0.03, 0.0) + rng.uniform(-0.01, 0.01, count)
    rim = np.column_stack([reach * np.cos(turn), reach * np.sin(turn), drop])
    tip, under = np.array([[0, 0, high]]), np.array([[0, 0, low + 0.06]])
    following = (np.arange(count) + 1) % count
    shade = int(rng.integers(-6, 7))
    outer = np.column_stack([np.arange(count), following, np.full(count, count)])
    places = np.concatenate([rim, tip])
    builder.add(places, smooth_normals(places, outer), outer, (46, 76 + shade, 50))
    inner = np.column_stack([following, np.arange(count), np.full(count, count)])
    places = np.concatenate([rim, under])
    builder.add(places, smooth_normals(places, inner), inner, (26, 44, 30))


def _leaf_ball(builder: MeshBuilder, rng: np.random.Generator, center: np.ndarray, radii: np.ndarray) -> None:
    """A lump of leaves: a coarse ball, dented at random, in facets of slightly different greens."""
    segments, rows = 9, 6
    tilt = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)[1:-1]
    turn = np.arange(segments) * (2 * np.pi / segments)
    ring = np.stack(
        [
            np.cos(tilt)[:, None] * np.cos(turn + 0.2 * np.arange(len(tilt))[:, None]),
            np.cos(tilt)[:, None] * np.sin(turn + 0.2 * np.arange(len(tilt))[:, None]),
            np.repeat(np.sin(tilt)[:, None], segments, axis=1),
        ],
        axis=-1,
    ).reshape(-1, 3)
    unit = np.concatenate([ring, [[0, 0, -1], [0, 0, 1]]]) * rng.uniform(0.82, 1.12, (len(ring) + 2, 1))
    here = np.arange(len(tilt) * segments).reshape(len(tilt), segments)
    a, b = here[:-1], np.roll(here[:-1], -1, axis=1)
    c, d = np.roll(here[1:], -1, axis=1), here[1:]
    south, north = len(ring), len(ring) + 1
    faces = np.concatenate(
        [
            np.stack([a, b, c], -1).reshape(-1, 3),
            np.stack([a, c, d], -1).reshape(-1, 3),
            np.column_stack([np.roll(here[0], -1), here[0], np.full(segments, south)]),
            np.column_stack([here[-1], np.roll(here[-1], -1), np.full(segments, north)]),
        ]
    )
    places = center + unit * radii
    normals = smooth_normals(places, faces)
    for face in faces:
        height = float(unit[face, 2].mean())
        light = 1.0 + 0.22 * height + float(rng.uniform(-0.12, 0.12))
        color = tuple(int(np.clip(value * light, 0, 255)) for value in (66, 96, 44))
        builder.add(places[face], normals[face], [(0, 1, 2)], color)  # type: ignore[arg-type]
