"""Meshes of what stands beside the road: trees, street lamps, traffic lights.

Each is a `Mesh` in a frame of its own: z up, m; what faces somewhere faces +x. The origin is on the ground, but for
the head of a traffic light, which has it in its middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.assets.mesh import Mesh
from aln_p3_core.world.assets.shapes import Color, MeshBuilder, smooth_normals

#: How many different trees there are: the last two are conifers.
TREE_KINDS = 7
#: Height of `street_lamp_mesh`, and reach of its arm, m.
LAMP_HEIGHT_M, LAMP_ARM_M = 8.0, 1.6
#: Height of the three lamps above the middle of `signal_head_mesh`: red, yellow, green, m.
SIGNAL_LAMPS_Z = (0.36, 0.0, -0.36)

_BARK: Color = (84, 68, 54)
_STEEL: Color = (112, 116, 120)
_BLACK: Color = (24, 26, 26)
#: Share of a tree's own paint in the colour of its leaves: the rest is light and shade within the crown.
_LEAF_PAINT = 170


class PropPart(IntEnum):
    """Parts of these meshes beyond `mesh.Part`: what can shine, in shaders/object.vert."""

    RED = 11
    YELLOW = 12
    GREEN = 13
    STREET_LAMP = 14


def tree_mesh(kind: int) -> Mesh:
    """A tree 1 m high, to be scaled to its height; crowns are about 0.6 wide. `kind` is below `TREE_KINDS`."""
    rng = np.random.default_rng([5, kind])
    builder = MeshBuilder()
    if kind >= TREE_KINDS - 2:
        builder.tube([(0, 0, 0), (0, 0, 0.3)], [0.022, 0.016], _BARK, segments=6, caps=False)
        tiers = 5 + kind % 2
        for tier in range(tiers):
            low = 0.12 + 0.70 * tier / tiers
            _needles(builder, rng, low, min(low + 0.36 - 0.02 * tier, 1.0), 0.24 * (1 - 0.78 * tier / tiers))
        mesh = builder.build()
    else:
        slender = 0.8 if kind % 3 == 2 else 1.0
        builder.tube([(0, 0, 0), (0.01, 0, 0.22), (0, 0.01, 0.5)], [0.028, 0.020, 0.013], _BARK, segments=7, caps=False)
        for turn in rng.uniform(0, 2 * np.pi) + np.arange(3) * 2.1:
            tip = (0.16 * slender * np.cos(turn), 0.16 * slender * np.sin(turn), 0.58)
            builder.tube([(0, 0, 0.28), tip], [0.012, 0.006], _BARK, segments=5, caps=False)
        _leaf_ball(builder, rng, np.array([0, 0, 0.70]), np.array([0.22 * slender, 0.22 * slender, 0.27]))
        count = int(rng.integers(6, 9))
        for turn in rng.uniform(0, 2 * np.pi) + np.arange(count) * 2.4:
            reach, height = slender * rng.uniform(0.13, 0.21), rng.uniform(0.46, 0.78)
            radius = rng.uniform(0.11, 0.17)
            center = np.array([reach * np.cos(turn), reach * np.sin(turn), height])
            _leaf_ball(builder, rng, center, np.array([radius, radius, radius * rng.uniform(0.8, 1.0)]))
        mesh = builder.build()
    vertices = mesh.vertices.copy()
    vertices[:, 2] *= 1.0 / vertices[:, 2].max()
    return replace(mesh, vertices=vertices)


def street_lamp_mesh() -> Mesh:
    """A street lamp whose arm reaches along +x."""
    builder = MeshBuilder()
    builder.tube([(0, 0, 0), (0, 0, 0.9)], [0.11, 0.10], _STEEL, segments=8)
    builder.tube([(0, 0, 0.9), (0, 0, 7.7), (0.25, 0, 7.9)], [0.075, 0.055, 0.05], _STEEL, segments=8)
    builder.tube([(0.2, 0, 7.88), (1.4, 0, 8.0)], [0.045, 0.04], _STEEL, segments=6)
    builder.box((1.25, -0.13, 7.92), (1.95, 0.13, 8.0), _STEEL)
    _lit_box(builder, (1.30, -0.10, 7.88), (1.90, 0.10, 7.92), (225, 222, 210), PropPart.STREET_LAMP)
    return builder.build()


def signal_head_mesh() -> Mesh:
    """Three lamps one above the other before a dark plate; the origin is the middle.

    The lamps are half as large again as real ones, so that small pictures show their colour.
    """
    builder = MeshBuilder()
    builder.box((-0.14, -0.19, -0.56), (0.0, 0.19, 0.56), _BLACK)
    builder.box((-0.17, -0.32, -0.70), (-0.14, 0.32, 0.70), (16, 17, 17))
    colors = ((64, 15, 13), (66, 52, 12), (11, 56, 32))
    for part, height, color in zip(PropPart, SIGNAL_LAMPS_Z, colors, strict=False):
        turn = np.arange(14) * (2 * np.pi / 14)
        disc = np.column_stack([np.full(14, 0.012), 0.155 * np.cos(turn), height + 0.155 * np.sin(turn)])
        builder.panel(disc, color, part=part)  # type: ignore[arg-type]
        hood = np.linspace(np.radians(5), np.radians(175), 7)
        rings = np.stack(
            [np.column_stack([np.full(7, x), 0.17 * np.cos(hood), height + 0.17 * np.sin(hood)]) for x in (0.0, 0.2)]
        )
        for k in range(6):
            quad = np.array([rings[0, k], rings[1, k], rings[1, k + 1], rings[0, k + 1]])
            builder.panel(quad, _BLACK)
            builder.panel(quad[::-1], _BLACK)
    return builder.build()


def post_mesh() -> Mesh:
    """A thin post 1 m high, to be scaled."""
    builder = MeshBuilder()
    builder.tube([(0, 0, 0), (0, 0, 1)], [0.07, 0.055], (74, 78, 80), segments=8)
    return builder.build()


def _lit_box(
    builder: MeshBuilder,
    lower: Sequence[float] | FloatArray,
    upper: Sequence[float] | FloatArray,
    color: Color,
    part: PropPart,
) -> None:
    builder.box(lower, upper, color, part=part)  # type: ignore[arg-type]


def _needles(builder: MeshBuilder, rng: np.random.Generator, low: float, high: float, radius: float) -> None:
    """A ragged cone of a conifer: dark under the rim, lighter towards the tip."""
    count = 14
    turn = np.arange(count) * (2 * np.pi / count)
    reach = radius * np.where(np.arange(count) % 2, 0.72, 1.0) * rng.uniform(0.9, 1.1, count)
    drop = low + np.where(np.arange(count) % 2, 0.03, 0.0) + rng.uniform(-0.01, 0.01, count)
    rim = np.column_stack([reach * np.cos(turn), reach * np.sin(turn), drop])
    following = (np.arange(count) + 1) % count
    for top, color, faces in (
        (high, (96, 112, 66), np.column_stack([np.arange(count), following, np.full(count, count)])),
        (low + 0.06, (10, 14, 8), np.column_stack([following, np.arange(count), np.full(count, count)])),
    ):
        places = np.concatenate([rim, [[0, 0, top]]])
        _leaves(builder, places, smooth_normals(places, faces), faces, np.tile(color, (count + 1, 1)))


def _leaf_ball(builder: MeshBuilder, rng: np.random.Generator, center: FloatArray, radii: FloatArray) -> None:
    """A lump of leaves: a coarse ball, dented at random, light above and dark below."""
    segments, rows = 10, 7
    tilt = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)[1:-1]
    turn = np.arange(segments) * (2 * np.pi / segments) + 0.3 * np.arange(len(tilt))[:, None]
    ring = np.stack(
        [
            np.cos(tilt)[:, None] * np.cos(turn),
            np.cos(tilt)[:, None] * np.sin(turn),
            np.repeat(np.sin(tilt)[:, None], segments, axis=1),
        ],
        axis=-1,
    ).reshape(-1, 3)
    unit = np.concatenate([ring, [[0, 0, -1], [0, 0, 1]]]) * rng.uniform(0.82, 1.14, (len(ring) + 2, 1))
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
    light = 0.62 + 0.36 * unit[:, 2] + 0.5 * (places[:, 2] - 0.68) + rng.uniform(-0.16, 0.16, len(unit))
    colors = np.clip(np.outer(light, (118, 142, 76)), 0, 255)
    _leaves(builder, places, smooth_normals(places, faces), faces, colors)


def _leaves(
    builder: MeshBuilder, places: FloatArray, normals: FloatArray, faces: FloatArray, colors: FloatArray
) -> None:
    builder.add_shaded(places, normals, faces, colors, paint=_LEAF_PAINT)
