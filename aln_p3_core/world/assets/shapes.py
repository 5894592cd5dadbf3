"""`MeshBuilder` puts meshes together from boxes, tubes and panels, in the actor's frame: x forward, y left, z up, m."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.assets.mesh import Mesh, Part

Color = tuple[int, int, int]

#: Grey under the paint: seen only where nobody gives a colour.
PRIMER: Color = (160, 160, 160)


class MeshBuilder:
    """Collects triangles. Every method takes a colour, or `paint=True` for the actor's own, and a `Part`."""

    def __init__(self) -> None:
        self._vertices: list[NDArray[np.float64]] = []
        self._normals: list[NDArray[np.float64]] = []
        self._colors: list[NDArray[np.uint8]] = []
        self._paint: list[NDArray[np.uint8]] = []
        self._parts: list[NDArray[np.uint8]] = []
        self._faces: list[NDArray[np.int64]] = []
        self._count = 0
        self.pivots = np.zeros((5, 3))

    def add(
        self,
        vertices: ArrayLike,
        normals: ArrayLike,
        faces: ArrayLike,
        color: Color = PRIMER,
        *,
        paint: bool = False,
        part: Part = Part.BODY,
    ) -> None:
        """Adds triangles: [V, 3] vertices and outward unit normals, [F, 3] counter-clockwise indices."""
        places = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
        count = len(places)
        self._vertices.append(places)
        self._normals.append(np.asarray(normals, dtype=np.float64).reshape(-1, 3))
        self._colors.append(np.tile(np.array(color, np.uint8), (count, 1)))
        self._paint.append(np.full(count, 255 if paint else 0, np.uint8))
        self._parts.append(np.full(count, int(part), np.uint8))
        self._faces.append(np.asarray(faces, dtype=np.int64).reshape(-1, 3) + self._count)
        self._count += count

    def add_shaded(
        self, vertices: ArrayLike, normals: ArrayLike, faces: ArrayLike, colors: ArrayLike, *, paint: int = 0
    ) -> None:
        """Adds triangles as `add` does, with a colour [V, 3] for each vertex and a share of the paint, 0..255."""
        self.add(vertices, normals, faces)
        self._colors[-1] = np.asarray(colors).astype(np.uint8)
        self._paint[-1][:] = paint

    def panel(self, points: ArrayLike, color: Color = PRIMER, *, paint: bool = False, part: Part = Part.BODY) -> None:
        """A flat convex polygon [K, 3], counter-clockwise seen from outside."""
        corners = np.asarray(points, dtype=np.float64)
        following = np.roll(corners, -1, axis=0)
        normal = np.cross(corners, following).sum(axis=0)  # Newell: also for corners that coincide.
        normal /= max(float(np.linalg.norm(normal)), 1e-12)
        fan = [(0, k, k + 1) for k in range(1, len(corners) - 1)]
        self.add(corners, np.tile(normal, (len(corners), 1)), fan, color, paint=paint, part=part)

    def mirrored_panel(
        self, points: ArrayLike, color: Color = PRIMER, *, paint: bool = False, part: Part = Part.BODY
    ) -> None:
        """A panel and its mirror image on the other side of the plane y = 0."""
        corners = np.asarray(points, dtype=np.float64)
        self.panel(corners, color, paint=paint, part=part)
        self.panel(corners[::-1] * (1, -1, 1), color, paint=paint, part=part)

    def hexahedron(
        self, corners: ArrayLike, color: Color = PRIMER, *, paint: bool = False, part: Part = Part.BODY
    ) -> None:
        """Six flat faces on 8 corners: four of the lower face counter-clockwise from above, then four of the upper."""
        c = np.asarray(corners, dtype=np.float64)
        for face in ((3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)):
            self.panel(c[list(face)], color, paint=paint, part=part)

    def box(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        color: Color = PRIMER,
        *,
        paint: bool = False,
        part: Part = Part.BODY,
    ) -> None:
        """An upright box from its lowest to its highest corner."""
        (x0, y0, z0), (x1, y1, z1) = lower, upper
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.hexahedron([(x, y, z) for z in (z0, z1) for x, y in ring], color, paint=paint, part=part)

    def loft(
        self,
        rings: ArrayLike,
        color: Color = PRIMER,
        *,
        caps: bool = True,
        paint: bool = False,
        part: Part = Part.BODY,
    ) -> None:
        """A smooth skin over rings [R, K, 3]; rings turn counter-clockwise seen from the far end."""
        ring = np.asarray(rings, dtype=np.float64)
        rows, columns = ring.shape[:2]
        here = np.arange(rows * columns).reshape(rows, columns)
        a, b = here[:-1], np.roll(here[:-1], -1, axis=1)
        c, d = np.roll(here[1:], -1, axis=1), here[1:]
        faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
        places = ring.reshape(-1, 3)
        self.add(places, smooth_normals(places, faces), faces, color, paint=paint, part=part)
        if caps:
            self.panel(ring[0][::-1], color, paint=paint, part=part)
            self.panel(ring[-1], color, paint=paint, part=part)

    def tube(
        self,
        path: ArrayLike,
        radii: ArrayLike,
        color: Color = PRIMER,
        *,
        segments: int = 8,
        caps: bool = True,
        paint: bool = False,
        part: Part = Part.BODY,
    ) -> None:
        """A tube along a path [K, 3]; radii [K], or [K, 2] for an oval (first across, second in the upright plane)."""
        points = np.asarray(path, dtype=np.float64)
        width = np.asarray(radii, dtype=np.float64)
        width = np.column_stack([width, width]) if width.ndim == 1 else width
        along = np.gradient(points, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        steep = abs(along[:, 2]).mean() > 0.7
        across = np.cross(along, [1.0, 0, 0]) if steep else np.cross([0, 0, 1.0], along)
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        upright = np.cross(along, across)
        angle = np.arange(segments) * (2 * np.pi / segments)
        cos, sin = np.cos(angle)[None, :, None], np.sin(angle)[None, :, None]
        rings = (
            points[:, None] + across[:, None] * cos * width[:, None, :1] + upright[:, None] * sin * width[:, None, 1:]
        )
        self.loft(rings, color, caps=caps, paint=paint, part=part)

    def ellipsoid(
        self,
        center: Sequence[float] | FloatArray,
        radii: Sequence[float] | FloatArray,
        color: Color = PRIMER,
        *,
        segments: int = 10,
        rows: int = 6,
        top_only: bool = False,
        paint: bool = False,
        part: Part = Part.BODY,
    ) -> None:
        """A ball with three radii, or its upper half."""
        tilt = np.linspace(0 if top_only else -np.pi / 2 + 0.2, np.pi / 2 - 0.2, rows)
        turn = np.arange(segments) * (2 * np.pi / segments)
        unit = np.stack(
            [
                np.cos(tilt)[:, None] * np.cos(turn),
                np.cos(tilt)[:, None] * np.sin(turn),
                np.repeat(np.sin(tilt)[:, None], segments, axis=1),
            ],
            axis=-1,
        )
        self.loft(np.array(center) + unit * np.array(radii), color, paint=paint, part=part)

    def wheel(
        self, center: Sequence[float], radius: float, width: float, *, hub: Color = (150, 152, 156), segments: int = 14
    ) -> None:
        """A wheel with its axle along y: rubber, and a hub on both faces."""
        x, y, z = center
        rubber = (28, 28, 30)
        ends = [(x, y - width / 2, z), (x, y + width / 2, z)]
        self.tube(ends, [radius, radius], rubber, segments=segments)
        for side in (-1.0, 1.0):
            face = y + side * (width / 2 + 0.006)
            turn = side * -np.arange(8) * (np.pi / 4)
            disc = np.column_stack(
                [x + 0.62 * radius * np.cos(turn), np.full(8, face), z + 0.62 * radius * np.sin(turn)]
            )
            self.panel(disc, hub)

    def build(self, size_lwh: tuple[float, float, float] | None = None) -> Mesh:
        """The mesh; scaled and shifted to the extents `size_lwh` where they are given."""
        mesh = Mesh(
            vertices=np.concatenate(self._vertices).astype(np.float32),
            normals=np.concatenate(self._normals).astype(np.float32),
            colors=np.concatenate(self._colors),
            paint=np.concatenate(self._paint),
            parts=np.concatenate(self._parts),
            pivots=self.pivots.astype(np.float32),
            faces=np.concatenate(self._faces).astype(np.uint32),
        )
        return mesh if size_lwh is None else fit_mesh(mesh, size_lwh)


def smooth_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """[V, 3] unit normals: means of the faces around each vertex, weighted by area."""
    corners = np.asarray(vertices, dtype=np.float64)[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for column in range(3):
        np.add.at(normals, faces[:, column], area)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def fit_mesh(mesh: Mesh, size_lwh: tuple[float, float, float]) -> Mesh:
    """The mesh scaled and shifted so that its extents are exactly `size_lwh`, on the ground, centred in x and y."""
    vertices = mesh.vertices.astype(np.float64)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    scale = np.array(size_lwh) / (high - low)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    normals = mesh.normals / scale
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return replace(
        mesh,
        vertices=((vertices - origin) * scale).astype(np.float32),
        normals=normals.astype(np.float32),
        pivots=np.where(mesh.pivots.any(axis=1, keepdims=True), (mesh.pivots - origin) * scale, 0).astype(np.float32),
    )
