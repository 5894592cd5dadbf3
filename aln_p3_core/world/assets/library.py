"""The mesh of a model, wherever it comes from."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from aln_p3_core.world.assets.baked import baked_mesh
from aln_p3_core.world.assets.mesh import Mesh, box_mesh
from aln_p3_core.world.assets.procedural import procedural_mesh


@cache
def load_mesh(name: str, size_lwh: tuple[float, float, float]) -> Mesh:
    """The mesh of a model, with the extents `size_lwh`: the baked one, else one made by code, else a box.

    The arrays are shared by all callers and cannot be written to.
    """
    mesh = baked_mesh(name, size_lwh) or procedural_mesh(name, size_lwh) or box_mesh(size_lwh)
    for field in fields(mesh):
        getattr(mesh, field.name).flags.writeable = False
    return mesh
