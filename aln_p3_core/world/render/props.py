"""Trees, street lamps and traffic lights: their meshes, and where they stand."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.assets.mesh import Mesh
from aln_p3_core.world.assets.scenery_meshes import (
    LAMP_ARM_M,
    LAMP_HEIGHT_M,
    TREE_KINDS,
    post_mesh,
    signal_head_mesh,
    street_lamp_mesh,
    tree_mesh,
)
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

#: Order of the props' meshes, behind those of the actors.
TREE, LAMP, SIGNAL, POST = 0, TREE_KINDS, TREE_KINDS + 1, TREE_KINDS + 2
_SIGNAL_BITS = {
    SignalColor.OFF: 0,
    SignalColor.RED: LIT_RED,
    SignalColor.YELLOW: LIT_YELLOW,
    SignalColor.GREEN: LIT_GREEN,
    SignalColor.GREEN_YIELD: LIT_GREEN,
}
_SIGNAL_BITS_OF = np.array([_SIGNAL_BITS[color] for color in SignalColor])


def prop_meshes() -> list[Mesh]:
    """Meshes of all props."""
    return [*(tree_mesh(kind) for kind in range(TREE_KINDS)), street_lamp_mesh(), signal_head_mesh(), post_mesh()]


@cache
def world_meshes() -> tuple[MeshLibrary, int]:
    """All meshes of actors and props, the same for every renderer, and the row of the first prop."""
    actors = actor_meshes()
    return MeshLibrary([*actors, *prop_meshes()]), len(actors)


class Props:
    """The props of a city as instances; only what the traffic lights show changes."""

    def __init__(self, library: MeshLibrary, first_mesh: int, city: CityMap, scenery: Scenery, lamps: float) -> None:
        rng = np.random.default_rng([scenery.seed, 4])
        self.trees = self._trees(library, first_mesh, scenery, rng)
        self.still = join_instances(
            [self._lamps(library, first_mesh, scenery, lamps), self._posts(library, first_mesh, city)]
        )
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
            first + TREE + rng.integers(0, TREE_KINDS, count),
            np.column_stack([trees[:, :2], np.zeros(count)]),
            rng.uniform(0, 2 * np.pi, count),
            np.column_stack([width, width, height]),
            np.clip(paints, 0, 255).astype(np.uint8),
        )

    @staticmethod
    def _lamps(library: MeshLibrary, first: int, scenery: Scenery, lit: float) -> Instances:
        poles = scenery.poles
        count = len(poles)
        scale = np.column_stack([np.ones(count), np.ones(count), poles[:, 3] / LAMP_HEIGHT_M])
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
    arm = LAMP_ARM_M * np.column_stack([np.cos(poles[:, 2]), np.sin(poles[:, 2])])
    return np.column_stack([poles[:, :2] + arm, poles[:, 3] - 0.2])
