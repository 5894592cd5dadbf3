"""Meshes of actors: their sizes, their parts, and where the shipped ones come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.errors import DataError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.baked import MESH_FOLDER, baked_mesh, read_mesh, write_mesh
from aln_p3_core.world.assets.catalogue import MODELS, Model
from aln_p3_core.world.assets.library import load_mesh
from aln_p3_core.world.assets.mesh import Mesh, Part, box_mesh
from aln_p3_core.world.assets.procedural import procedural_mesh

BAKED = sorted(path.stem for path in MESH_FOLDER.glob("*.npz"))
_FOUR_WHEELS = (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.BUS)
_LIMBS = {Part.LEFT_LEG, Part.RIGHT_LEG, Part.LEFT_ARM, Part.RIGHT_ARM}

models = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def _mesh(model: Model) -> Mesh:
    return load_mesh(model.name, model.size_lwh)


def _faces_of(mesh: Mesh, part: Part) -> np.ndarray:
    return mesh.faces[(mesh.parts[mesh.faces] == part).all(axis=1)]


@models
def test_a_mesh_has_the_extents_of_its_label(model: Model) -> None:
    vertices = _mesh(model).vertices.astype(np.float64)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), model.size_lwh, atol=1e-3)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    np.testing.assert_allclose((low + high)[:2] / 2, 0.0, atol=1e-3)
    assert low[2] == pytest.approx(0.0, abs=1e-3)


@models
def test_arrays_fit_together(model: Model) -> None:
    mesh = _mesh(model)
    count = len(mesh.vertices)
    assert mesh.normals.shape == (count, 3) and mesh.colors.shape == (count, 3)
    assert mesh.paint.shape == mesh.parts.shape == (count,) and mesh.pivots.shape == (5, 3)
    assert mesh.faces.max() < count and 100 < len(mesh.faces) < 7000
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-3)
    assert not mesh.vertices.flags.writeable


@models
def test_normals_and_faces_look_outward(model: Model) -> None:
    mesh = _mesh(model)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    agree = (cross * mesh.normals[mesh.faces].mean(axis=1)).sum(axis=1) > 0
    assert area[agree].sum() > 0.97 * area.sum(), "normals against the winding"
    # Seen from afar, what faces the viewer is in front: the outermost faces along each axis look outward.
    for axis in (0, 1, 2):
        for sign in (1.0, -1.0) if axis < 2 else (1.0,):
            middle = sign * corners.mean(axis=1)[:, axis]
            outer = (middle >= np.quantile(middle, 0.97)) & (area > 0)
            facing = sign * cross[outer, axis]
            assert facing[facing > 0].sum() > -facing[facing < 0].sum(), (axis, sign)


@models
def test_parts_are_where_they_belong(model: Model) -> None:
    mesh = _mesh(model)
    parts = {Part(int(p)) for p in np.unique(mesh.parts)}
    if model.kind in _FOUR_WHEELS:
        assert {
            Part.BODY, Part.GLASS, Part.BRAKE_LAMP, Part.HEADLAMP, Part.LEFT_INDICATOR, Part.RIGHT_INDICATOR
        } <= parts  # fmt: skip
        assert not parts & _LIMBS
        painted = mesh.paint > 0
        assert 0.05 < painted.mean() < 0.98
        assert not painted[mesh.parts != Part.BODY].any(), "paint on lamps or windows"
        place = {part: mesh.vertices[mesh.parts == part] for part in parts}
        assert np.median(place[Part.BRAKE_LAMP][:, 0]) < -0.3 * model.size_lwh[0]
        assert np.median(place[Part.HEADLAMP][:, 0]) > 0.2 * model.size_lwh[0]
        assert (place[Part.LEFT_INDICATOR][:, 1] > 0).all() and (place[Part.RIGHT_INDICATOR][:, 1] < 0).all()
        for part in (Part.LEFT_INDICATOR, Part.RIGHT_INDICATOR):
            assert {-1.0, 1.0} <= set(np.sign(place[part][:, 0]).tolist()), "indicators at both ends"
        assert mesh.vertices[mesh.parts == Part.GLASS][:, 2].min() > 0.1 * model.size_lwh[2]
    elif model.kind is ActorKind.PEDESTRIAN:
        assert parts >= _LIMBS
        legs = mesh.vertices[np.isin(mesh.parts, (Part.LEFT_LEG, Part.RIGHT_LEG))]
        assert legs[:, 2].min() < 0.02 and legs[:, 2].max() < 0.62 * model.size_lwh[2]
        assert (mesh.pivots[1:, 2] > 0.3 * model.size_lwh[2]).all()
        assert mesh.pivots[1, 1] > 0 > mesh.pivots[2, 1]
    elif model.kind in (ActorKind.BICYCLE, ActorKind.MOTORCYCLE):
        assert {Part.RIDER, Part.LEFT_LEG, Part.RIGHT_LEG} <= parts


@pytest.mark.parametrize("model", [m for m in MODELS if m.kind.is_vehicle], ids=lambda model: model.name)
def test_brake_lamps_can_be_seen_from_behind(model: Model) -> None:
    mesh = _mesh(model)
    corners = mesh.vertices[_faces_of(mesh, Part.BRAKE_LAMP)].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert -cross[cross[:, 0] < 0, 0].sum() / 2 > 0.002, "square metres"


def test_every_shipped_mesh_belongs_to_a_model_and_is_attributed() -> None:
    assert len(BAKED) >= 6
    assert set(BAKED) <= {model.name for model in MODELS}
    text = (MESH_FOLDER / "ATTRIBUTION.md").read_text()
    rows = [line for line in text.splitlines() if ".npz" in line]
    assert sorted(row.split("|")[1].strip().removesuffix(".npz") for row in rows) == BAKED
    for row in rows:
        _, _, title, author, licence, _ = row.split("|")
        assert title.strip() and author.strip() and "creativecommons.org/" in licence
    assert "Changed in all of them" in text


def test_shipped_meshes_are_small() -> None:
    files = [path for path in MESH_FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000


@pytest.mark.parametrize("name", BAKED)
def test_a_baked_mesh_has_about_the_proportions_of_its_file(name: str) -> None:
    model = next(model for model in MODELS if model.name == name)
    size = np.ptp(read_mesh(MESH_FOLDER / f"{name}.npz").vertices, axis=0)
    np.testing.assert_allclose(size, model.size_lwh, rtol=0.01)
    assert load_mesh(name, model.size_lwh).vertices.shape == read_mesh(MESH_FOLDER / f"{name}.npz").vertices.shape


def test_writing_and_reading_keeps_a_mesh(tmp_path: Path) -> None:
    mesh = procedural_mesh("car_sedan", (4.7, 1.9, 1.48))
    assert mesh is not None
    for name in ("a", "b"):
        write_mesh(tmp_path / f"{name}.npz", mesh)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = read_mesh(tmp_path / "a.npz")
    np.testing.assert_allclose(again.vertices, mesh.vertices, atol=2e-4)
    assert (again.faces == mesh.faces).all() and (again.paint == mesh.paint).all()


def test_a_mesh_of_another_layout_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "old.npz"
    np.savez(file, version=np.array(99))
    with pytest.raises(DataError, match="layout 99"):
        read_mesh(file)


def test_an_unknown_model_is_a_box() -> None:
    assert baked_mesh("zeppelin", (9.0, 3.0, 3.0)) is None and procedural_mesh("zeppelin", (9.0, 3.0, 3.0)) is None
    np.testing.assert_allclose(np.ptp(load_mesh("zeppelin", (9.0, 3.0, 2.0)).vertices, axis=0), (9, 3, 2))
    assert len(box_mesh((1.0, 1.0, 1.0)).faces) == 12
