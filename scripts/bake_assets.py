"""Bakes the meshes that ship with the package, and writes their attribution.

python scripts/bake_assets.py FOLDER [NAME ...]

FOLDER holds the .sh3f archives of Debian's sweethome3d-furniture 1.8 (usr/share/sweethome3d/furniture). Needs EGL, and
fast-simplification (pip install ".[assets]"). The same input gives the same bytes.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import mesh_baking as baking
import numpy as np
from bake_recipes import RECIPES, Lamp, Recipe
from mesh_baking import FloatArray, Soup
from numpy.typing import NDArray

from aln_p3_core.world.assets.baked import MESH_FOLDER, write_mesh
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.assets.mesh import Mesh, Part
from aln_p3_core.world.assets.shapes import MeshBuilder, fit_mesh

_CREASE_DEG = 38.0
_GLASS = (38, 46, 54)
#: Materials with fewer triangles are not simplified.
_FEW = 80
#: Lamps stand off the body by this, m.
_PROUD_M = 0.012
#: On a textured body, what is darker than this share of the paint is a line or a gap, not paint.
_LINE_SHARE = 0.55


@dataclass(frozen=True, eq=False)
class _Corners:
    """Per corner of every face: [F, 3, 3] places, normals, colours; [F, 3] paint and part."""

    places: FloatArray
    normals: FloatArray
    colors: FloatArray
    paint: NDArray[np.int64]
    parts: NDArray[np.int64]


def bake(recipe: Recipe, archives: Path) -> Mesh:
    """The mesh of a recipe, with the extents of the catalogue."""
    size = next(model.size_lwh for model in MODELS if model.name == recipe.name)
    soup = _scaled(_read(recipe, archives), size)
    skin = baking.outer_skin(soup)
    # Windows and small things are few triangles already; simplified they would go first.
    _, kind, counts = np.unique(skin.materials, return_inverse=True, return_counts=True)
    fine = (counts[kind] < _FEW) | np.isin(skin.materials, recipe.glass)
    if recipe.simplified:
        fine |= ~np.isin(skin.materials, recipe.simplified)
    rest = baking.simplify(skin.select(~fine), recipe.triangles - int(fine.sum()), step=0.002)
    simple = baking.join([skin.select(fine), rest])
    simple = simple.select(np.linalg.norm(simple.normals, axis=1) > 0.5)
    corners = _dressed(recipe, simple)
    lamps = _lamps(recipe.lamps, simple.corners, size)
    return fit_mesh(_joined(corners, lamps), size)


def _read(recipe: Recipe, archives: Path) -> Soup:
    folder = recipe.model.rpartition("/")[0] + "/"
    with zipfile.ZipFile(archives / f"{recipe.archive}.sh3f") as archive, tempfile.TemporaryDirectory() as scratch:
        archive.extractall(scratch, [name for name in archive.namelist() if name.startswith(folder)])
        soup, textures = baking.read_obj(Path(scratch) / recipe.model)
        soup = soup.select(~np.isin(soup.materials, recipe.dropped))
        if recipe.detailed:
            unit = float(np.ptp(soup.corners.reshape(-1, 3), axis=0)[0]) / 4.5
            pictures = {name: textures[name] for name in recipe.detailed}
            soup = baking.refine(soup, pictures, edge_m=0.11 * unit, contrast=36.0)
    return soup


def _scaled(soup: Soup, size: tuple[float, float, float]) -> Soup:
    flat = soup.corners.reshape(-1, 3)
    low, high = flat.min(axis=0), flat.max(axis=0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return Soup((soup.corners - origin) * (np.array(size) / (high - low)), soup.colors, soup.materials, soup.uv)


def _dressed(recipe: Recipe, soup: Soup) -> _Corners:
    """Colours, paint and parts by material."""
    colors = soup.colors.copy()
    paint = np.zeros(colors.shape[:2], np.int64)
    parts = np.full(colors.shape[:2], int(Part.BODY))
    glass = np.isin(soup.materials, recipe.glass)
    colors[glass], parts[glass] = _GLASS, int(Part.GLASS)
    for material, color in recipe.recolored.items():
        colors[soup.materials == material] = color
    for material in recipe.painted:
        rows = soup.materials == material
        paint[rows] = 255
        if material in recipe.detailed:
            shade = colors[rows].max(axis=2)
            paint[rows] = np.where(shade > _LINE_SHARE * np.quantile(shade, 0.8), 255, 0)
    for material, part in recipe.parts.items():
        parts[soup.materials == material] = int(part)
    return _Corners(soup.corners, baking.shade(soup.corners, _CREASE_DEG), colors, paint, parts)


def _lamps(lamps: tuple[Lamp, ...], body: FloatArray, size: tuple[float, float, float]) -> Mesh | None:
    """Lamps as small panels on the body, on both sides."""
    builder = MeshBuilder()
    for lamp in lamps:
        for side in (1.0, -1.0):
            # Bodies are narrower there than the mirrors: a lamp beside the body slides inward.
            shares = [y for y in np.arange(lamp.y, 0.3, -0.02) if _hits(body, side * y, lamp, size)]
            if not shares:
                raise SystemExit(f"a lamp at y {lamp.y}, z {lamp.z} misses the body")
            y, z = side * shares[0] * size[1] / 2, lamp.z * size[2]
            across, up = np.linspace(-lamp.width / 2, lamp.width / 2, 4), np.linspace(-0.5, 0.5, 3) * lamp.height
            places = [(y + dy, z + dz) for dz in up for dy in across]
            found = [baking.surface_x(body, *place, front=lamp.front) for place in places]
            base = float(np.median([x for x in found if x is not None]))
            # Beside the body, or in a hole of it, a lamp stays in its plane.
            near = [x if x is not None and abs(x - base) < 0.4 else base for x in found]
            out = _PROUD_M if lamp.front else -_PROUD_M
            grid = np.array([(x + out, *place) for x, place in zip(near, places, strict=True)]).reshape(3, 4, 3)
            if not lamp.front:
                grid = grid[:, ::-1]
            part = lamp.part
            if part is Part.LEFT_INDICATOR and side < 0:
                part = Part.RIGHT_INDICATOR
            for row in range(2):
                for column in range(3):
                    block = grid[row : row + 2, column : column + 2]
                    builder.panel([block[0, 0], block[0, 1], block[1, 1], block[1, 0]], lamp.color, part=part)
    return builder.build() if lamps else None


def _hits(body: FloatArray, y: float, lamp: Lamp, size: tuple[float, float, float]) -> bool:
    """Whether most of a lamp lies on an end of the body, not on something far behind it."""
    half = size[1] / 2
    edge = y + np.copysign(lamp.width / size[1], y)
    x = baking.surface_x(body, edge * half, lamp.z * size[2], front=lamp.front)
    return x is not None and (x if lamp.front else -x) > 0.5 * size[0] - 0.12 * size[0]


def _joined(corners: _Corners, lamps: Mesh | None) -> Mesh:
    """One mesh; corners that agree in everything share a vertex."""
    normals = np.round(corners.normals.reshape(-1, 3) * 127).astype(np.int64)
    places = np.round(corners.places.reshape(-1, 3) * 5000).astype(np.int64)
    rest = np.column_stack(
        [np.round(corners.colors.reshape(-1, 3)).astype(np.int64), corners.paint.ravel(), corners.parts.ravel()]
    )
    rows, first, index = np.unique(
        np.concatenate([places, normals, rest], axis=1), axis=0, return_index=True, return_inverse=True
    )
    faces = index.reshape(-1, 3)
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    vertices = corners.places.reshape(-1, 3)[first]
    smooth = corners.normals.reshape(-1, 3)[first]
    kinds = rows[:, 6:]
    arrays = [vertices, smooth, kinds[:, :3], kinds[:, 3], kinds[:, 4], faces[whole]]
    if lamps is not None:
        more = [lamps.vertices, lamps.normals, lamps.colors, lamps.paint, lamps.parts, lamps.faces + len(vertices)]
        arrays = [np.concatenate([a, b]) for a, b in zip(arrays, more, strict=True)]
    return Mesh(
        vertices=arrays[0].astype(np.float32),
        normals=arrays[1].astype(np.float32),
        colors=np.clip(arrays[2], 0, 255).astype(np.uint8),
        paint=arrays[3].astype(np.uint8),
        parts=arrays[4].astype(np.uint8),
        pivots=np.zeros((5, 3), np.float32),
        faces=arrays[5].astype(np.uint32),
    )


def attribution() -> str:
    """The text of ATTRIBUTION.md."""
    lines = [
        "# Where the meshes come from",
        "",
        "The meshes in this folder were made by `scripts/bake_assets.py` from models of the Debian package",
        "sweethome3d-furniture 1.8 (the additional furniture libraries of Sweet Home 3D). All other meshes of the",
        "world are made by code (`aln_p3_core/world/assets/`).",
        "",
        "| mesh | original model | author | licence |",
        "|---|---|---|---|",
    ]
    lines += [f"| {r.name}.npz | {r.title} | {r.author} | [{r.licence}]({r.licence_url}) |" for r in RECIPES]
    lines += [
        "",
        "Changed in all of them: parts that are not seen from outside were removed, the shape was simplified to a few",
        "thousand triangles and scaled to the sizes of our catalogue, pictures and materials were baked into colours",
        "at the corners, the body was made to take any paint, windows were made dark and opaque, and lamps were added",
        "or named. The authors do not endorse this project or its use of their work.",
        "",
        "The models, like the licences' texts say, come without warranties of any kind.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Bakes the named meshes, or all, and writes the attribution."""
    if len(sys.argv) < 2:
        raise SystemExit((__doc__ or "").strip())
    archives, names = Path(sys.argv[1]), sys.argv[2:]
    MESH_FOLDER.mkdir(exist_ok=True)
    for recipe in RECIPES:
        if names and recipe.name not in names:
            continue
        mesh = bake(recipe, archives)
        file = MESH_FOLDER / f"{recipe.name}.npz"
        write_mesh(file, mesh)
        print(f"{recipe.name}: {len(mesh.faces)} triangles, {file.stat().st_size / 1000:.0f} kB")
    (MESH_FOLDER / "ATTRIBUTION.md").write_text(attribution())


if __name__ == "__main__":
    main()
