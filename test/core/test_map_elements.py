"""Map lines from an expansion file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from map_helpers import LOCATION, ExpansionWriter, rectangle

from aln_p3_core.datasets.map_elements import MapReader, MapTargets
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, make_transform, virtual_T_ego_model
from aln_p3_core.scene import MAP_CLASSES


@pytest.fixture
def street() -> ExpansionWriter:
    """A road along global x, 8 m wide, in two overlapping pieces; dividers, a crossing at x = 110 to 114."""
    writer = ExpansionWriter()
    writer.polygon("road_segment", rectangle(0, 46, 105, 54))
    writer.polygon("lane", rectangle(100, 46, 300, 54))
    writer.line("road_divider", [(0, 50), (300, 50)])
    writer.line("lane_divider", [(90, 52), (120, 52)])
    writer.line("lane_divider", [(500, 52), (520, 52)])  # far away
    writer.polygon("ped_crossing", rectangle(110, 46, 114, 54))
    return writer


def at(x: float, y: float, yaw: float) -> FloatArray:
    """Model frame of a car at this place; the model origin is put on the ego origin to keep numbers round."""
    model = virtual_T_ego_model()
    model[:3, 3] = 0
    return make_transform([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)], [x, y, 0.0]) @ model


def lines_of(elements: MapTargets | None, name: str) -> list[FloatArray]:
    assert elements is not None
    return list(elements.points_model[elements.class_ids == MAP_CLASSES.index(name)])


def test_lines_lie_where_the_car_sees_them(street: ExpansionWriter, tmp_path: Path) -> None:
    street.write(tmp_path)
    elements = MapReader(tmp_path).elements(LOCATION, at(100, 49, 0.0))
    assert elements is not None and elements.points_model.shape[1:] == (20, 2)
    road, lane = sorted(lines_of(elements, "divider"), key=lambda line: np.ptp(line[:, 1]), reverse=True)
    # x right, y forward: the middle line runs 1 m to our left through the whole patch, evenly spaced.
    np.testing.assert_allclose(road, np.c_[np.full(20, -1.0), np.linspace(-30, 30, 20)], atol=1e-9)
    np.testing.assert_allclose(lane, np.c_[np.full(20, -3.0), np.linspace(-10, 20, 20)], atol=1e-9)
    # The two pieces of road have one outline; where the patch cuts them there is no line.
    edges = sorted(lines_of(elements, "boundary"), key=lambda line: line[0, 0])
    assert [round(float(edge[:, 0].mean()), 6) for edge in edges] == [-5, 3]
    for edge in edges:
        np.testing.assert_allclose(np.sort(edge[[0, -1], 1]), [-29.8, 29.8], atol=1e-9)
    (crossing,) = lines_of(elements, "ped_crossing")
    np.testing.assert_allclose(crossing.min(axis=0), [-5, 10], atol=0.6)  # resampling cuts corners
    np.testing.assert_allclose(crossing.max(axis=0), [3, 14], atol=0.6)
    np.testing.assert_allclose(crossing[0], crossing[-1], atol=1e-9)


def test_the_patch_turns_with_the_car(street: ExpansionWriter, tmp_path: Path) -> None:
    street.write(tmp_path)
    reader = MapReader(tmp_path)
    across = lines_of(reader.elements(LOCATION, at(100, 49, np.pi / 2)), "divider")
    # Looking along global y, the road crosses: 1 m ahead, from 15 m left to 15 m right.
    road = min(across, key=lambda line: abs(line[0, 1] - 1))
    np.testing.assert_allclose(road[:, 1], 1, atol=1e-9)
    np.testing.assert_allclose(np.sort(road[[0, -1], 0]), [-15, 15], atol=1e-9)
    lane = next(line for line in across if line is not road)  # x 90..120 is cut at 15 m to our right
    np.testing.assert_allclose(np.sort(lane[[0, -1], 0]), [-10, 15], atol=1e-9)


def test_holes_bound_the_road_and_turn_the_other_way(tmp_path: Path) -> None:
    writer = ExpansionWriter()
    writer.polygon("road_segment", rectangle(90, 40, 110, 60), hole=rectangle(98, 48, 102, 52))
    writer.write(tmp_path)
    outlines = lines_of(MapReader(tmp_path).elements(LOCATION, at(100, 50, 0.0), 81), "boundary")
    assert len(outlines) == 2

    def area(line: FloatArray) -> float:
        x, y = line[:, 0], line[:, 1]
        return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)

    outer, hole = sorted(outlines, key=lambda line: -abs(area(line)))
    assert area(outer) == pytest.approx(-400, abs=1) and area(hole) == pytest.approx(16, abs=0.5)


def test_an_outline_that_the_patch_cuts_is_one_line_wherever_it_starts(tmp_path: Path) -> None:
    for start in range(4):
        corners = rectangle(90, 45, 150, 55)  # reaches out of the patch to the front
        writer = ExpansionWriter()
        writer.polygon("road_segment", corners[start:] + corners[:start])
        writer.write(tmp_path)
        (outline,) = lines_of(MapReader(tmp_path).elements(LOCATION, at(100, 50, 0.0)), "boundary")
        np.testing.assert_allclose(outline[[0, -1], 1], [29.8, 29.8], atol=1e-9)


def test_all_vertices_of_lines_where_they_are_asked_for(street: ExpansionWriter, tmp_path: Path) -> None:
    street.write(tmp_path)
    elements = MapReader(tmp_path).elements(LOCATION, at(100, 49, 0.0), None)
    assert elements is not None and elements.points_model.shape[1] == 5, "those of the outline of the crossing"
    (crossing,) = lines_of(elements, "ped_crossing")
    assert {tuple(point.round(9)) for point in crossing} == {(-5, 10), (-5, 14), (3, 10), (3, 14)}
    road = max(lines_of(elements, "divider"), key=lambda line: np.ptp(line[:, 1]))
    np.testing.assert_allclose(road, [[-1, -30], *[[-1, 30]] * 4], atol=1e-9)
    few = MapReader(tmp_path).elements(LOCATION, at(100, 49, 0.0))
    assert few is not None and few.class_ids.tolist() == elements.class_ids.tolist()


def test_far_away_there_is_nothing(street: ExpansionWriter, tmp_path: Path) -> None:
    street.write(tmp_path)
    elements = MapReader(tmp_path).elements(LOCATION, at(1000, 1000, 0.3))
    assert elements is not None and len(elements) == 0 and elements.points_model.shape == (0, 20, 2)
    elements = MapReader(tmp_path).elements(LOCATION, at(1000, 1000, 0.3), None)
    assert elements is not None and len(elements) == 0 and elements.points_model.shape == (0, 2, 2)


def test_without_the_expansion_there_are_no_elements(tmp_path: Path) -> None:
    assert MapReader(tmp_path).elements(LOCATION, at(0, 0, 0)) is None


@pytest.mark.parametrize("damage", ["cut short", "too old", "no lanes"])
def test_a_broken_expansion_file_is_named(street: ExpansionWriter, tmp_path: Path, damage: str) -> None:
    if damage == "too old":
        street.content["version"] = "1.2"
    if damage == "no lanes":
        del street.content["lane"]
    path = street.write(tmp_path)
    if damage == "cut short":
        path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=f"{LOCATION}.json cannot be read as a nuScenes map"):
        MapReader(tmp_path).elements(LOCATION, at(0, 0, 0))


def test_targets_carry_the_map_of_their_scene(street: ExpansionWriter, make_root: Callable[..., Path]) -> None:
    root = make_root()
    street.write(root)
    elements = NuScenesDataset(root).targets("sample-0").map_elements
    road = max(lines_of(elements, "divider"), key=lambda line: np.ptp(line[:, 1]))
    np.testing.assert_allclose(road, np.c_[np.zeros(20), np.linspace(-30, 30, 20)], atol=1e-9)
    truth = NuScenesDataset(root).map_truth("sample-0")
    assert elements is not None and truth is not None and truth.class_ids.tolist() == elements.class_ids.tolist()
    road = max(lines_of(truth, "divider"), key=lambda line: np.ptp(line[:, 1]))
    np.testing.assert_allclose(road[:2], [[0, -30], [0, 30]], atol=1e-9)
