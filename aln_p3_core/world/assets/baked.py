"""Meshes that ship with the package: `meshes/<model>.npz`, written by scripts/bake_assets.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.world.assets.mesh import Mesh
from aln_p3_core.world.assets.shapes import fit_mesh

MESH_FOLDER = Path(__file__).parent / "meshes"

#: Layout of the files. Counted up when it changes.
FORMAT_VERSION = 1


def baked_mesh(name: str, size_lwh: tuple[float, float, float]) -> Mesh | None:
    """The baked mesh of a model, fitted to the extents `size_lwh`; None where none is shipped.

    Raises:
        DataError: the file is of another layout than this program reads.
    """
    path = MESH_FOLDER / f"{name}.npz"
    return fit_mesh(read_mesh(path), size_lwh) if path.is_file() else None


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Writes a mesh compactly: places to 1/65535 of the extents (under 0.2 mm for a bus), normals to 1/127."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    steps = (mesh.vertices - low) / (high - low) * 65535
    index_type = np.uint16 if len(mesh.vertices) <= 65536 else np.uint32
    np.savez_compressed(
        path,
        version=np.array(FORMAT_VERSION, np.int32),
        bounds=np.stack([low, high]).astype(np.float32),
        vertices=np.round(steps).astype(np.uint16),
        normals=np.round(mesh.normals * 127).astype(np.int8),
        colors=mesh.colors,
        paint=mesh.paint,
        parts=mesh.parts,
        pivots=mesh.pivots.astype(np.float32),
        faces=mesh.faces.astype(index_type),
    )


def read_mesh(path: Path) -> Mesh:
    """Reads what `write_mesh` wrote."""
    with np.load(path, allow_pickle=False) as file:
        version = int(file["version"])
        if version != FORMAT_VERSION:
            raise DataError(
                f"{path} has mesh layout {version}, this program reads {FORMAT_VERSION}. "
                "Install the package again, or write the meshes anew with scripts/bake_assets.py."
            )
        low, high = file["bounds"].astype(np.float64)
        normals = file["normals"].astype(np.float64)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return Mesh(
            vertices=(low + file["vertices"] / 65535.0 * (high - low)).astype(np.float32),
            normals=normals.astype(np.float32),
            colors=file["colors"],
            paint=file["paint"],
            parts=file["parts"],
            pivots=file["pivots"],
            faces=file["faces"].astype(np.uint32),
        )
