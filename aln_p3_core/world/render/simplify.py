"""Coarser versions of a mesh, for far away and for shadows."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.assets.mesh import Mesh


def simplified(mesh: Mesh, cell_m: float) -> Mesh:
    """The mesh with its vertices merged within cells of a grid, and without the faces that vanish by it.

    Vertices of one cell share their place, so that no holes open; those that belong to different parts, colours or
    sides keep their own normal and colour.
    """
    cells = np.floor(mesh.vertices / cell_m).astype(np.int64)
    _, place = np.unique(cells, axis=0, return_inverse=True)
    place = place.reshape(-1)
    # Limbs must not be welded to the body: they swing.
    side = np.abs(mesh.normals).argmax(axis=1)
    sign = np.take_along_axis(mesh.normals, side[:, None], axis=1)[:, 0] > 0
    _, place = np.unique(np.stack([place, mesh.parts]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    looks = np.stack([place, side * 2 + sign, mesh.paint > 127, *(mesh.colors // 64).T])
    _, first, group = np.unique(looks, axis=1, return_index=True, return_inverse=True)
    group = group.reshape(-1)

    where = _means(mesh.vertices, place)[place]
    faces = group[mesh.faces]
    corners = place[mesh.faces]
    kept = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    _, unique = np.unique(np.sort(corners[kept], axis=1), axis=0, return_index=True)
    faces = faces[kept][np.sort(unique)]
    normals = _means(mesh.normals, group)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    return Mesh(
        vertices=where[first].astype(np.float32),
        normals=normals.astype(np.float32),
        colors=_means(mesh.colors, group).astype(np.uint8),
        paint=mesh.paint[first],
        parts=mesh.parts[first],
        pivots=mesh.pivots,
        faces=faces.astype(np.uint32),
    )


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """[G, 3] mean of the rows of each group."""
    count = np.bincount(group)
    return np.stack([np.bincount(group, values[:, k]) / count for k in range(values.shape[1])], axis=1)
