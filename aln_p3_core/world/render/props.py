"""Trees, street lamps and traffic lights: their meshes, and where they stand."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.assets.mesh import Mesh
from aln_p3_core.world.assets.shapes import MeshBuilder
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.render.objects import (
    LIT_GREEN,
    LIT_RED,
    LIT_STREET,
    LIT_YELLOW,
    SHOW_LIMBS,
    Instances,
    MeshLibrary,
    actor_meshes,
    join_instances,
    still_instances,
)
from aln_p3_core.world.state import SignalColor

# Parts beyond those of actors: what shines in shaders/object.vert.
_RED, _YELLOW, _GREEN, _STREET = 11, 12, 13, 14
_TREES = 5
#: Order of the props' meshes, behind those of the actors.
TREE, LAMP, SIGNAL, POST = 0, _TREES, _TREES + 1, _TREES + 2
_SIGNAL_BITS = {
    SignalColor.OFF: 0,
    SignalColor.RED: LIT_RED,
    SignalColor.YELLOW: LIT_YELLOW,
    SignalColor.GREEN: LIT_GREEN,
    SignalColor.GREEN_YIELD: LIT_GREEN,
}
_SIGNAL_BITS_OF = np.array([_SIGNAL_BITS[color] for color in SignalColor])
_LAMP_HEIGHT_M = 8.0


def prop_meshes() -> list[Mesh]:
    """Meshes of all props."""
    return [*(_tree(kind) for kind in range(_TREES)), _lamp(), _signal_head(), _post()]


@cache
def world_meshes() -> tuple[MeshLibrary, int]:
    """All meshes of actors and props, the same for every renderer, and the row of the first prop."""
    actors = actor_meshes()
    return MeshLibrary([*actors, *prop_meshes()]), len(actors)


class Props:
    """The props of a city as instances; only what the traffic lights show changes."""

    def __init__(self, library: MeshLibrary, first_mesh: int, city: CityMap, scenery: Scenery, lamps: float) -> None:
        rng = np.random.default_rng([scenery.seed, 4])
        groups = [
            self._trees(library, first_mesh, scenery, rng),
            self._lamps(library, first_mesh, scenery, lamps),
            self._posts(library, first_mesh, city),
        ]
        self.still = join_instances(groups)
        self._signals = self._heads(library, first_mesh, city)
        self.lamp_heads = _lamp_heads(scenery)

    def signals(self, shown: NDArray[np.int64]) -> Instances:
        """The heads of the traffic lights with their lamps as in `WorldState.signals`."""
        if not len(self._signals.mesh):
            return self._signals
        data = self._signals.data.copy()
        data[:, 11] = _SIGNAL_BITS_OF[np.asarray(shown)] | SHOW_LIMBS
        return Instances(self._signals.mesh, self._signals.middle, self._signals.radius, data)

    @staticmethod
    def _trees(library: MeshLibrary, first: int, scenery: Scenery, rng: np.random.Generator) -> Instances:
        trees = scenery.trees
        count = len(trees)
        height = trees[:, 2]
        width = height * rng.uniform(0.75, 1.15, count)
        paints = np.array([74, 92, 44]) * rng.uniform(0.75, 1.25, (count, 1)) + rng.normal(0, 7, (count, 3))
        return still_instances(
            library,
            first + TREE + rng.integers(0, _TREES, count),
            np.column_stack([trees[:, :2], np.zeros(count)]),
            rng.uniform(0, 2 * np.pi, count),
            np.column_stack([width, width, height]),
            np.clip(paints, 0, 255).astype(np.uint8),
        )

    @staticmethod
    def _lamps(library: MeshLibrary, first: int, scenery: Scenery, lit: float) -> Instances:
        poles = scenery.poles
        count = len(poles)
        scale = np.column_stack([np.ones(count), np.ones(count), poles[:, 3] / _LAMP_HEIGHT_M])
        place = np.column_stack([poles[:, :2], np.zeros(count)])
        lamps = still_instances(library, np.full(count, first + LAMP), place, poles[:, 2], scale)
        lamps.data[:, 11] = SHOW_LIMBS | (LIT_STREET if lit > 0 else 0)
        return lamps

    @staticmethod
    def _posts(library: MeshLibrary, first: int, city: CityMap) -> Instances:
        heads = np.array([signal.head for signal in city.signals]).reshape(-1, 3)
        count = len(heads)
        back = np.array([[np.cos(s.heading), np.sin(s.heading), 0.0] for s in city.signals]).reshape(-1, 3)
        place = (heads - 0.18 * back) * [1, 1, 0]
        scale = np.column_stack([np.ones(count), np.ones(count), heads[:, 2] + 0.5])
        return still_instances(library, np.full(count, first + POST), place, np.zeros(count), scale)

    @staticmethod
    def _heads(library: MeshLibrary, first: int, city: CityMap) -> Instances:
        heads = np.array([signal.head for signal in city.signals]).reshape(-1, 3)
        count = len(heads)
        headings = np.array([signal.heading for signal in city.signals])
        return still_instances(library, np.full(count, first + SIGNAL), heads, headings, np.ones((count, 3)))


def _lamp_heads(scenery: Scenery) -> FloatArray:
    """[L, 3] where the light of each street lamp comes from."""
    poles = scenery.poles
    arm = 1.6 * np.column_stack([np.cos(poles[:, 2]), np.sin(poles[:, 2])])
    return np.column_stack([poles[:, :2] + arm, poles[:, 3] - 0.2])


def _tree(kind: int) -> Mesh:
    """A tree of height 1 and crown width about 0.55, painted by its instance."""
    rng = np.random.default_rng([5, kind])
    builder = MeshBuilder()
    bark = (86, 70, 56)
    if kind == _TREES - 1:  # a conifer
        builder.tube([(0, 0, 0), (0, 0, 0.25)], [0.03, 0.025], bark, segments=6, caps=False)
        for low, high, radius in ((0.12, 0.55, 0.22), (0.35, 0.78, 0.17), (0.6, 1.0, 0.11)):
            builder.tube([(0, 0, low), (0, 0, high)], [radius, 0.01], segments=9, paint=True)
        return builder.build()
    builder.tube([(0, 0, 0), (0, 0, 0.45)], [0.028, 0.016], bark, segments=7, caps=False)
    for k in range(7):
        angle, out = 2.4 * k, (0.0 if k == 0 else 0.13 + 0.04 * rng.random())
        center = (out * np.cos(angle), out * np.sin(angle), 0.66 + (0.1 if k == 0 else rng.uniform(-0.16, 0.12)))
        radius = 0.2 if k == 0 else rng.uniform(0.12, 0.17)
        builder.ellipsoid(center, (radius, radius, 0.85 * radius), segments=8, rows=6, paint=True)
    mesh = builder.build()
    # Leaves: the surface is bumpy, darker below and inside.
    bump = 1 + rng.normal(0, 0.06, len(mesh.vertices))
    crown = mesh.paint > 0
    middle = np.array([0, 0, 0.66])
    vertices = mesh.vertices.copy()
    vertices[crown] = middle + (vertices[crown] - middle) * bump[crown, None]
    vertices[:, 2] /= vertices[:, 2].max()
    return Mesh(vertices.astype(np.float32), mesh.normals, mesh.colors, mesh.paint, mesh.parts, mesh.pivots, mesh.faces)


def _lamp() -> Mesh:
    """A street lamp 8 m high with its arm along x."""
    builder = MeshBuilder()
    gray = (110, 114, 118)
    builder.tube([(0, 0, 0), (0, 0, 0.9)], [0.11, 0.10], gray, segments=8)
    builder.tube([(0, 0, 0.9), (0, 0, 7.7), (0.25, 0, 7.9)], [0.075, 0.055, 0.05], gray, segments=8)
    builder.tube([(0.2, 0, 7.88), (1.4, 0, 8.0)], [0.045, 0.04], gray, segments=6)
    builder.box((1.25, -0.13, 7.92), (1.95, 0.13, 8.0), gray)
    builder.box((1.30, -0.10, 7.88), (1.90, 0.10, 7.92), (225, 222, 210), part=_STREET)  # type: ignore[arg-type]
    return builder.build()


def _signal_head() -> Mesh:
    """Three lamps one above the other, shining along x; the origin is the middle of the head."""
    builder = MeshBuilder()
    black = (26, 28, 28)
    builder.box((-0.14, -0.17, -0.5), (0.0, 0.17, 0.5), black)
    builder.box((-0.16, -0.26, -0.6), (-0.14, 0.26, 0.6), (18, 18, 18))
    for part, z, dim in ((_RED, 0.32, (70, 16, 14)), (_YELLOW, 0.0, (72, 56, 12)), (_GREEN, -0.32, (12, 62, 34))):
        angle = np.arange(12) * (2 * np.pi / 12)
        disc = np.column_stack([np.full(12, 0.012), 0.125 * np.cos(angle), z + 0.125 * np.sin(angle)])
        builder.panel(disc, dim, part=part)  # type: ignore[arg-type]
        builder.panel(
            [(0.0, -0.14, z + 0.15), (0.16, -0.12, z + 0.14), (0.16, 0.12, z + 0.14), (0.0, 0.14, z + 0.15)], black
        )
        builder.panel(
            [(0.0, 0.14, z + 0.149), (0.16, 0.12, z + 0.139), (0.16, -0.12, z + 0.139), (0.0, -0.14, z + 0.149)], black
        )
    return builder.build()


def _post() -> Mesh:
    """A thin post of height 1."""
    builder = MeshBuilder()
    builder.tube([(0, 0, 0), (0, 0, 1)], [0.06, 0.05], (70, 74, 76), segments=8)
    return builder.build()
