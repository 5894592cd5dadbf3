"""Everything drawn as instances of meshes: which meshes there are, and where each instance stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.assets.library import load_mesh
from aln_p3_core.world.assets.mesh import Mesh
from aln_p3_core.world.render.camera import PlacedCamera
from aln_p3_core.world.render.images import NO_ACTOR
from aln_p3_core.world.render.simplify import simplified

VERTEX = np.dtype([("position", "f4", 3), ("normal", "f4", 3), ("color", "u1", 4), ("pivot", "f4", 2), ("part", "f4")])
VERTEX_FORMAT = "3f 3f 4f1 2f 1f"
VERTEX_NAMES = ("in_position", "in_normal", "in_color", "in_pivot", "in_part")
#: place x, y, z, heading; scale x, y, z, swing; paint and lamps; label, offset of its shadow x, y, gloss.
INSTANCE_FLOATS = 16
INSTANCE_FORMAT = "4f 4f 4f 4f/i"
INSTANCE_NAMES = ("in_place", "in_shape", "in_paint", "in_extra")

#: What is lit or shown: as in shaders/object.vert.
LIT_BRAKE, LIT_LEFT, LIT_RIGHT, LIT_HEAD, LIT_TAIL, SHOW_LIMBS = 1, 2, 4, 8, 16, 32
LIT_RED, LIT_YELLOW, LIT_GREEN, LIT_STREET = 64, 128, 256, 512

#: Cell sizes of the coarser meshes, m. One is used where its cells are no larger than so many pixels.
_CELLS_M = (0.0, 0.09, 0.18, 0.36)
_PIXELS = 2.0
_SWING_RAD = 0.5
_WALKING_SPEED = 0.2
_BLINKS_PER_S = 1.5


@dataclass(frozen=True, eq=False)
class Instances:
    """Things to draw. mesh: [N] index into the library. radius: [N] of a sphere about the middle. data: [N, 16]."""

    mesh: NDArray[np.int64]
    middle: FloatArray
    radius: FloatArray
    data: NDArray[np.float32]

    def select(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Instances:
        """The named rows."""
        return Instances(self.mesh[rows], self.middle[rows], self.radius[rows], self.data[rows])


def join_instances(groups: Sequence[Instances]) -> Instances:
    """All of several groups."""
    names = ("mesh", "middle", "radius", "data")
    return Instances(*(np.concatenate([getattr(g, n) for g in groups]) for n in names))


class MeshLibrary:
    """All meshes in one vertex list and one index list, each in several levels of detail."""

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        vertices, faces = [], []
        self.first = np.zeros((len(meshes), len(_CELLS_M)), np.int64)
        self.count = np.zeros_like(self.first)
        self.extents = np.zeros((len(meshes), 2, 3))
        start = indices = 0
        for row, mesh in enumerate(meshes):
            self.extents[row] = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
            for level, cell in enumerate(_CELLS_M):
                coarse = simplified(mesh, cell) if cell else mesh
                if level and not len(coarse.faces):
                    self.first[row, level], self.count[row, level] = (
                        self.first[row, level - 1],
                        self.count[row, level - 1],
                    )
                    continue
                vertices.append(_vertices(coarse))
                faces.append(coarse.faces.astype(np.uint32).reshape(-1) + np.uint32(start))
                self.first[row, level], self.count[row, level] = indices, faces[-1].size
                start += len(coarse.vertices)
                indices += faces[-1].size
        self.vertices = np.concatenate(vertices)
        self.indices = np.concatenate(faces)
        self.radii = np.linalg.norm(self.extents[:, 1] - self.extents[:, 0], axis=1) / 2

    def draws(
        self, instances: Instances, distance: FloatArray, meters_per_pixel: float
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Instance data and indirect draws [D, 5], nearest groups first.

        Args:
            instances: what to draw.
            distance: [N] m from the eye.
            meters_per_pixel: size of a pixel at a distance of 1 m.
        """
        # Meshes of 1 m that are scaled up (trees) may be coarser than others.
        pixel = distance * meters_per_pixel / np.maximum(instances.data[:, 6], 1e-3) ** 0.25
        level = np.searchsorted(np.array(_CELLS_M[1:]), pixel * _PIXELS, side="right")
        key = instances.mesh * len(_CELLS_M) + level
        order = np.lexsort((distance, key))
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        counts = np.diff(np.append(starts, len(order)))
        near_first = np.argsort(distance[order][starts], kind="stable")
        starts, counts = starts[near_first], counts[near_first]
        head = order[starts]
        draws = np.zeros((len(starts), 5), np.uint32)
        draws[:, 0] = self.count[instances.mesh[head], level[head]]
        draws[:, 1] = counts
        draws[:, 2] = self.first[instances.mesh[head], level[head]]
        draws[:, 4] = starts
        return instances.data[order], draws


def actor_meshes() -> list[Mesh]:
    """The mesh of every model of the catalogue, in its order."""
    return [load_mesh(model.name, model.size_lwh) for model in MODELS]


def actor_instances(
    library: MeshLibrary, actors: Actors, time_s: float, *, lamps: float, reference: Actors | None = None
) -> Instances:
    """Actors as instances; their label is their row.

    Args:
        library: begins with `actor_meshes`.
        actors: who to draw, and where.
        time_s: for the indicators, which blink.
        lamps: above 0, vehicles with drivers have their lights on.
        reference: the same actors in the same rows where the shadow map has them.
    """
    count = len(actors)
    data = np.zeros((count, INSTANCE_FLOATS), np.float32)
    data[:, 0:3], data[:, 3] = actors.positions, actors.headings
    data[:, 4:7] = 1.0
    walking = actors.speeds > _WALKING_SPEED
    data[:, 7] = np.where(walking, _SWING_RAD * np.sin(actors.phases), 0.0)
    data[:, 8:11] = actors.colors / 255.0
    data[:, 11] = lit_bits(actors, time_s, lamps)
    data[:, 12] = np.arange(count)
    if reference is not None and len(reference) == count:
        data[:, 13:15] = (reference.positions - actors.positions)[:, :2]
    data[:, 15] = _GLOSSY[actors.models]
    middle = actors.positions + np.array([0, 0, 1]) * library.extents[actors.models, 1] / 2
    return Instances(actors.models, middle, library.radii[actors.models], data)


def still_instances(
    library: MeshLibrary,
    mesh: NDArray[np.int64],
    places: FloatArray,
    headings: FloatArray,
    scales: FloatArray,
    paints: NDArray[np.uint8] | None = None,
) -> Instances:
    """Scenery as instances: places [N, 3], headings [N], scales [N, 3], paints [N, 3] sRGB."""
    data = np.zeros((len(mesh), INSTANCE_FLOATS), np.float32)
    data[:, 0:3], data[:, 3], data[:, 4:7] = places, headings, scales
    data[:, 8:11] = 0.5 if paints is None else paints / 255.0
    data[:, 11] = SHOW_LIMBS
    data[:, 12] = NO_ACTOR
    extents = library.extents[mesh]
    middle = places + np.array([0, 0, 1]) * (extents[:, 0] + extents[:, 1]) / 2 * scales
    return Instances(mesh, middle, library.radii[mesh] * scales.max(axis=1, initial=0.0), data)


def near_camera(instances: Instances, camera: PlacedCamera, reach_m: float) -> tuple[Instances, FloatArray]:
    """Those that a camera may see within `reach_m`, and their distances."""
    seen, distance = camera.sees(instances.middle, instances.radius, reach_m)
    return instances.select(seen), distance[seen]


def lit_bits(actors: Actors, time_s: float, lamps: float) -> NDArray[np.int64]:
    """[N] bits of what is lit or shown: `LIT_BRAKE` and so on."""
    flags = actors.flags
    bits = flags & ActorFlag.BRAKE.value
    if (time_s * _BLINKS_PER_S) % 1.0 < 0.5:
        bits = bits | (flags & (ActorFlag.LEFT.value | ActorFlag.RIGHT.value))
    driven = (flags & ActorFlag.PARKED.value) == 0
    if lamps > 0:
        bits = bits | np.where(driven, LIT_HEAD | LIT_TAIL, 0)
    shown = ~_CYCLE[actors.models] | ((flags & ActorFlag.RIDER.value) != 0)
    return bits | np.where(shown, SHOW_LIMBS, 0)


def _vertices(mesh: Mesh) -> NDArray[np.void]:
    vertices = np.zeros(len(mesh.vertices), VERTEX)
    vertices["position"], vertices["normal"] = mesh.vertices, mesh.normals
    vertices["color"][:, :3], vertices["color"][:, 3] = mesh.colors, mesh.paint
    vertices["part"] = mesh.parts
    limb = np.where(mesh.parts < len(mesh.pivots), mesh.parts, 0)
    vertices["pivot"] = mesh.pivots[limb][:, [0, 2]]
    return vertices


_GLOSSY = np.array([float(m.kind.is_vehicle) for m in MODELS])
_CYCLE = np.array([m.kind in (ActorKind.MOTORCYCLE, ActorKind.BICYCLE) for m in MODELS])
