"""Tools of bake_assets.py: reads OBJ models, keeps what is seen from outside, simplifies, shades, finds surfaces.

A `Soup` is triangles without shared vertices, in the actor's frame (x forward, y left, z up).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Soup:
    """Triangles. F = faces.

    Attributes:
        corners: [F, 3, 3] places of the corners.
        colors: [F, 3, 3] sRGB 0..255 at the corners.
        materials: [F] name of the material.
        uv: [F, 3, 2] texture coordinates, NaN where there is no texture.
    """

    corners: FloatArray
    colors: FloatArray
    materials: NDArray[np.str_]
    uv: FloatArray

    def __len__(self) -> int:
        return len(self.corners)

    def select(self, rows: NDArray) -> Soup:
        """Some of the faces."""
        return Soup(self.corners[rows], self.colors[rows], self.materials[rows], self.uv[rows])

    @property
    def normals(self) -> FloatArray:
        """[F, 3] unit normals of the faces."""
        cross = np.cross(self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0])
        return cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-12)


def join(soups: list[Soup]) -> Soup:
    """All faces of several soups."""
    return Soup(
        np.concatenate([soup.corners for soup in soups]),
        np.concatenate([soup.colors for soup in soups]),
        np.concatenate([soup.materials for soup in soups]),
        np.concatenate([soup.uv for soup in soups]),
    )


def read_obj(path: Path) -> tuple[Soup, dict[str, NDArray[np.uint8]]]:
    """Reads an OBJ file that looks along +z with y up; gives its faces, and the textures by material."""
    colors, textures = _read_materials(path.with_suffix(".mtl"))
    places: list[list[float]] = []
    coordinates: list[list[float]] = []
    corners, uv, materials = [], [], []
    material = ""
    for line in path.read_text(errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            places.append([float(value) for value in rest[:3]])
        elif word == "vt":
            coordinates.append([float(value) for value in rest[:2]])
        elif word == "usemtl":
            material = rest[0]
        elif word == "f":
            polygon = [_corner(item, len(places), len(coordinates)) for item in rest]
            for k in range(1, len(polygon) - 1):
                triangle = (polygon[0], polygon[k], polygon[k + 1])
                corners.append([places[p] for p, _ in triangle])
                uv.append([coordinates[t] if t in range(len(coordinates)) else (np.nan, np.nan) for _, t in triangle])
                materials.append(material)
    names = np.array(materials)
    grey = np.array([colors.get(name, (0.8, 0.8, 0.8)) for name in materials])
    shades = np.repeat(255 * np.clip(grey, 0, 1)[:, None] ** (1 / 2.2), 3, axis=1)
    soup = Soup(np.array(corners)[..., [2, 0, 1]], shades, names, np.array(uv, dtype=np.float64))
    return sample_textures(soup, textures), textures


def _corner(item: str, places: int, coordinates: int) -> tuple[int, int | None]:
    """Indices of place and texture coordinate of "12/7/3", "12//3", "-1/-1"."""
    fields = item.split("/")
    place = int(fields[0])
    place = place - 1 if place > 0 else places + place
    if len(fields) < 2 or not fields[1]:
        return place, None
    texture = int(fields[1])
    return place, texture - 1 if texture > 0 else coordinates + texture


def _read_materials(path: Path) -> tuple[dict[str, tuple[float, ...]], dict[str, NDArray[np.uint8]]]:
    """Diffuse colours and pictures by material."""
    colors: dict[str, tuple[float, ...]] = {}
    textures: dict[str, NDArray[np.uint8]] = {}
    name = ""
    for line in path.read_text(errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "newmtl":
            name = rest[0]
        elif word == "Kd":
            colors[name] = tuple(float(value) for value in rest[:3])
        elif word == "map_Kd":
            picture = path.parent / " ".join(rest)
            if picture.is_file():
                textures[name] = np.asarray(Image.open(picture).convert("RGB"))
    return colors, textures


def sample_textures(soup: Soup, textures: dict[str, NDArray[np.uint8]]) -> Soup:
    """The soup with the textures' colours at its corners."""
    colors = soup.colors.copy()
    for name, picture in textures.items():
        rows = (soup.materials == name) & np.isfinite(soup.uv).all(axis=(1, 2))
        # A little towards the middle: corners often lie on the seam to another part of the picture.
        inner = 0.9 * soup.uv[rows] + 0.1 * soup.uv[rows].mean(axis=1, keepdims=True)
        colors[rows] = _look_up(picture, inner)
    return replace(soup, colors=colors)


def _look_up(picture: NDArray[np.uint8], uv: FloatArray) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    column = np.clip((uv[..., 0] % 1.0) * width, 0, width - 1).astype(int)
    row = np.clip((1 - uv[..., 1] % 1.0) * height, 0, height - 1).astype(int)
    return picture[row, column]


def refine(soup: Soup, textures: dict[str, NDArray[np.uint8]], edge_m: float, contrast: float, rounds: int = 4) -> Soup:
    """Splits textured triangles whose picture varies by more than `contrast`, down to edges of `edge_m`."""
    weights = np.array([(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)]) / 6.0
    for _ in range(rounds):
        varied = np.zeros(len(soup), bool)
        for name, picture in textures.items():
            rows = np.flatnonzero((soup.materials == name) & np.isfinite(soup.uv).all(axis=(1, 2)))
            if len(rows):
                inside = _look_up(picture, np.einsum("sk,fkc->fsc", weights, soup.uv[rows])).astype(np.float64)
                varied[rows] = inside.std(axis=1).max(axis=1) > contrast
        sides = np.linalg.norm(soup.corners - np.roll(soup.corners, -1, axis=1), axis=2)
        split = varied & (sides.max(axis=1) > edge_m)
        if not split.any():
            break
        soup = join([soup.select(~split), _halve(soup.select(split), sides[split].argmax(axis=1))])
        soup = sample_textures(soup, textures)
    return soup


def _halve(soup: Soup, longest: NDArray) -> Soup:
    """Every triangle cut in two through the middle of its longest side."""
    order = (longest[:, None] + np.arange(3)) % 3
    rows = np.arange(len(soup))[:, None]

    def cut(values: FloatArray) -> FloatArray:
        a, b, c = np.moveaxis(values[rows, order], 1, 0)
        middle = (a + b) / 2
        return np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])

    return Soup(cut(soup.corners), cut(soup.colors), np.tile(soup.materials, 2), cut(soup.uv))


def seen_from_outside(corners: FloatArray, views: int = 90, pixels: int = 900) -> tuple[NDArray, NDArray]:
    """Pixels in which each triangle is seen from its front and from its back, over views all around. [F], [F]."""
    import moderngl

    context = moderngl.create_context(standalone=True, backend="egl", require=330)
    program = context.program(
        vertex_shader=(
            "#version 330\nuniform mat4 view; in vec3 place; void main() { gl_Position = view * vec4(place, 1); }"
        ),
        fragment_shader=(
            "#version 330\nout ivec2 seen; void main() { seen = ivec2(gl_PrimitiveID + 1, gl_FrontFacing ? 1 : 0); }"
        ),
    )
    target = context.texture((pixels, pixels), 2, dtype="i4")
    frame = context.framebuffer([target], context.depth_renderbuffer((pixels, pixels)))
    frame.use()
    context.enable(moderngl.DEPTH_TEST)
    buffer = context.buffer(corners.reshape(-1, 3).astype("f4").tobytes())
    array = context.vertex_array(program, [(buffer, "3f", "place")])
    flat = corners.reshape(-1, 3)
    middle = (flat.min(axis=0) + flat.max(axis=0)) / 2
    radius = float(np.linalg.norm(flat - middle, axis=1).max())
    front, back = np.zeros(len(corners), np.int64), np.zeros(len(corners), np.int64)
    for k in range(views):
        # A spiral over the sphere, without the underside.
        height = 1 - 1.25 * (k + 0.5) / views
        turn = k * np.pi * (3 - np.sqrt(5))
        flat_radius = np.sqrt(1 - height**2)
        axis = np.array([flat_radius * np.cos(turn), flat_radius * np.sin(turn), height])
        side = np.cross([0, 0, 1.0], axis)
        side /= np.linalg.norm(side)
        rotation = np.stack([side, np.cross(axis, side), -axis]) / radius
        view = np.eye(4)
        view[:3, :3], view[:3, 3] = rotation, -rotation @ middle
        program["view"].write(view.T.astype("f4").tobytes())
        context.clear()
        array.render(moderngl.TRIANGLES)
        face, forward = np.frombuffer(target.read(), np.int32).reshape(-1, 2).T
        hit = face > 0
        front += np.bincount(face[hit & (forward == 1)] - 1, minlength=len(corners))
        back += np.bincount(face[hit & (forward == 0)] - 1, minlength=len(corners))
    context.release()
    return front, back


def outer_skin(soup: Soup, least_pixels: int = 3) -> Soup:
    """Only what is seen from outside, turned to face outward; sheets that are seen from both sides become two."""
    front, back = seen_from_outside(soup.corners)
    both = (np.minimum(front, back) > 0.25 * np.maximum(front, back)) & (np.minimum(front, back) > 8 * least_pixels)
    forward = (front >= least_pixels) & ((front >= back) | both)
    turned = (back >= least_pixels) & ((back > front) | both)
    flipped = soup.select(turned)
    flipped = Soup(
        flipped.corners[:, ::-1].copy(), flipped.colors[:, ::-1].copy(), flipped.materials, flipped.uv[:, ::-1].copy()
    )
    return join([soup.select(forward), flipped])


def weld(corners: FloatArray, step: float) -> tuple[FloatArray, NDArray[np.int64]]:
    """Shared vertices [V, 3] and faces [F, 3] of triangles whose corners coincide to `step`; slivers are left out."""
    flat = corners.reshape(-1, 3)
    _, first, index = np.unique(np.round(flat / step).astype(np.int64), axis=0, return_index=True, return_inverse=True)
    return flat[first], index.reshape(-1, 3)


def simplify(soup: Soup, count: int, step: float = 1e-3) -> Soup:
    """About `count` triangles with the shape of the soup; each takes colours and material from the nearest original."""
    import fast_simplification
    from scipy.spatial import cKDTree

    vertices, faces = weld(soup.corners, step)
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    faces = faces[whole]
    if len(faces) <= count:
        return soup
    places, triangles = fast_simplification.simplify(
        vertices.astype(np.float32), faces.astype(np.int32), target_count=count, agg=5
    )
    corners = np.asarray(places, np.float64)[np.asarray(triangles)]
    weights = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (1 / 3,) * 3])
    weights = 0.94 * weights + 0.02
    samples = np.einsum("sk,fkc->fsc", weights, soup.corners).reshape(-1, 3)
    shades = np.einsum("sk,fkc->fsc", weights, soup.colors).reshape(-1, 3)
    names, kind = np.unique(soup.materials, return_inverse=True)
    kind_of_sample = np.repeat(kind, len(weights))
    # A triangle is of the material that most of it lies on; its corners take their colours from that material only.
    inside = np.einsum("sk,fkc->fsc", weights, corners)
    near = kind_of_sample[cKDTree(samples).query(inside.reshape(-1, 3))[1]].reshape(len(corners), -1)
    votes = np.stack([(near == k).sum(axis=1) for k in range(len(names))], axis=1)
    chosen = votes.argmax(axis=1)
    colors = np.zeros_like(corners)
    for k in np.unique(chosen):
        own, of_kind = chosen == k, kind_of_sample == k
        nearest = cKDTree(samples[of_kind]).query(corners[own].reshape(-1, 3))[1]
        colors[own] = shades[of_kind][nearest].reshape(-1, 3, 3)
    return Soup(corners, colors, names[chosen], np.full((len(corners), 3, 2), np.nan))


def shade(corners: FloatArray, crease_deg: float, step: float = 1e-3) -> FloatArray:
    """[F, 3, 3] normals at the corners: smooth over edges flatter than `crease_deg`, sharp over the others."""
    _, index = weld(corners, step)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-15)
    flat = index.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    limit = np.cos(np.radians(crease_deg))
    normals = np.zeros((len(flat), 3))
    for group in np.split(order, starts[1:]):
        around = group // 3
        close = (unit[around] @ unit[around].T) >= limit
        normals[group] = close @ cross[around]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 1e-15, normals / np.maximum(length, 1e-15), np.repeat(unit, 3, axis=0))
    return normals.reshape(-1, 3, 3)


def surface_x(corners: FloatArray, y: float, z: float, *, front: bool) -> float | None:
    """x of the foremost (or rearmost) surface at a place (y, z); None where there is none."""
    a, b, c = corners[:, 0, 1:], corners[:, 1, 1:], corners[:, 2, 1:]
    point = np.array([y, z])

    def area(p: FloatArray, q: FloatArray, r: FloatArray) -> FloatArray:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    whole = area(a, b, c)
    weights = np.stack([area(b, c, point), area(c, a, point), area(a, b, point)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights /= whole[:, None]
    hit = (np.abs(whole) > 1e-9) & (weights > -1e-6).all(axis=1)
    if not hit.any():
        return None
    x = (weights[hit] * corners[hit][:, :, 0]).sum(axis=1)
    return float(x.max() if front else x.min())
