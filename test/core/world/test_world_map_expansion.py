"""The map expansion, asked through the devkit's own class."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.utils.map_mask import MapMask
from shapely.geometry import Point, Polygon
from shapely.ops import unary_union
from world_helpers import CROSSING_X, cornering_city, straight_city

from aln_p3_core.datasets.map_elements import MapReader
from aln_p3_core.datasets.world_map import WorldMap
from aln_p3_core.geometry import make_transform
from aln_p3_core.scene import MAP_CLASSES
from aln_p3_core.world.city.cities import load_city
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.recorder.arcline import fit_arcline
from aln_p3_core.world.recorder.map_expansion import expansion_of, lane_token
from aln_p3_core.world.recorder.map_raster import encoded_raster, map_raster
from aln_p3_core.world.recorder.tables import write_bytes, write_json

matplotlib.use("Agg")


def shifted(city: CityMap, dx: float, dy: float) -> CityMap:
    """The city moved to positive coordinates, as the world's cities have them."""
    from dataclasses import replace

    from shapely import affinity

    move, move_3d = np.array([dx, dy]), np.array([dx, dy, 0.0])
    return replace(
        city,
        lanes=tuple(replace(lane, centerline=lane.centerline + move) for lane in city.lanes),
        boundaries=tuple(line + move for line in city.boundaries),
        drivable=affinity.translate(city.drivable, dx, dy),
        dividers=tuple(replace(d, points=d.points + move) for d in city.dividers),
        signals=tuple(replace(s, stop_line=s.stop_line + move, head=s.head + move_3d) for s in city.signals),
        crossings=tuple(line + move for line in city.crossings),
        walkways=tuple(line + move for line in city.walkways),
    )


def write(root: Path, city: CityMap, parking: np.ndarray | None = None) -> WorldMap:
    write_json(root / "maps" / "expansion" / f"{city.name}.json", expansion_of(city, parking))
    write_bytes(root / "maps" / f"{city.name}.png", encoded_raster(city))
    return WorldMap(root, city.name)


@pytest.fixture(scope="module")
def street() -> CityMap:
    return shifted(straight_city(signal=True), 50.0, 50.0)


@pytest.fixture(scope="module")
def street_map(street: CityMap, tmp_path_factory: pytest.TempPathFactory) -> WorldMap:
    parking = np.array([[100.0, 61.0, 0.0]])
    return write(tmp_path_factory.mktemp("street"), street, parking)


class TestQueries:
    def test_the_devkit_alone_refuses_the_name(self, street_map: WorldMap) -> None:
        with pytest.raises(AssertionError, match="Unknown map name"):
            NuScenesMap(street_map.dataroot, street_map.map_name)

    def test_closest_lane_and_its_successors(self, street: CityMap, street_map: WorldMap) -> None:
        token = street_map.get_closest_lane(100.0, 48.0, radius=2.0)
        assert token == lane_token(street, 0)
        assert street_map.get_outgoing_lane_ids(token) == [lane_token(street, 4)]
        assert street_map.get_incoming_lane_ids(lane_token(street, 4)) == [token]
        poses = np.array(street_map.discretize_lanes([token], 1.0)[token])
        np.testing.assert_allclose(poses[[0, -1], :2], street.lanes[0].centerline[[0, -1]], atol=1e-6)
        np.testing.assert_allclose(poses[:, 2], 0.0, atol=1e-6)

    def test_layers_on_point(self, street_map: WorldMap) -> None:
        road = street_map.layers_on_point(100.0, 48.0)
        assert road["drivable_area"] and road["lane"] and road["road_segment"] and road["road_block"]
        assert not road["walkway"] and not road["ped_crossing"]
        assert street_map.layers_on_point(50.0 + sum(CROSSING_X) / 2, 48.0)["ped_crossing"]
        assert street_map.layers_on_point(100.0, 58.0)["walkway"]
        assert street_map.layers_on_point(100.0, 61.0)["carpark_area"]

    def test_records_in_patch(self, street_map: WorldMap) -> None:
        names = ["lane", "lane_connector", "stop_line", "traffic_light", "lane_divider", "road_divider"]
        found = street_map.get_records_in_patch((340.0, 40.0, 360.0, 60.0), names)
        assert all(found[name] for name in names), found
        light = street_map.get("traffic_light", found["traffic_light"][0])
        assert light["pose"]["tz"] == 3.5 and len(light["items"]) == 3
        stop = street_map.get("stop_line", found["stop_line"][0])
        assert stop["cue"][0]["token"] == light["token"]

    def test_next_roads(self, street_map: WorldMap) -> None:
        assert street_map.get_next_roads(100.0, 48.0).keys() == {"road_segment", "road_block", "lane"}

    def test_pictures(self, street_map: WorldMap) -> None:
        import matplotlib.pyplot as plt

        street_map.render_layers(["drivable_area", "lane", "lane_divider"])
        street_map.render_centerlines()
        mask = street_map.get_map_mask((350.0, 50.0, 20.0, 40.0), 0.0, ["drivable_area"], (40, 80))
        assert mask.shape == (1, 40, 80) and 0.6 < mask.mean() < 0.8  # 14 of 20 m
        plt.close("all")


def test_road_segments_cover_the_drivable_area(street: CityMap, street_map: WorldMap) -> None:
    segments = [street_map.extract_polygon(row["polygon_token"]) for row in street_map.road_segment]
    union = unary_union(segments)
    assert union.symmetric_difference(street.drivable).area < 0.01
    assert union.geom_type == "Polygon" and not union.interiors
    crossed = [row["is_intersection"] for row in street_map.road_segment]
    assert any(crossed) and not all(crossed)


def test_our_reader_takes_world_locations(street: CityMap, street_map: WorldMap) -> None:
    pose = make_transform([np.sqrt(0.5), 0, 0, -np.sqrt(0.5)], [345.0, 48.25, 0.0])  # y forward = east
    targets = MapReader(Path(street_map.dataroot)).elements(street.name, pose)
    assert targets is not None
    counts = {name: int((targets.class_ids == i).sum()) for i, name in enumerate(MAP_CLASSES)}
    # Two edges of one road: no line inside it where road segments meet.
    assert counts == {"divider": 3, "ped_crossing": 1, "boundary": 2}


def test_raster(street: CityMap, street_map: WorldMap) -> None:
    mask = MapMask(str(Path(street_map.dataroot) / "maps" / f"{street.name}.png"))
    places = np.array([[100.0, 48.0], [100.0, 58.0], [100.0, 70.0], [100.0, 43.5]])
    assert mask.is_on_mask(places[:, 0], places[:, 1]).tolist() == [True, True, False, True]
    inside = street.drivable.contains(Point(100.0, 56.9))
    assert inside and map_raster(street)[-569, 1000] == 255
    decoded = cv2.imdecode(np.frombuffer(encoded_raster(street), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, map_raster(street))


def test_a_corner_is_an_arc(tmp_path: Path) -> None:
    city = shifted(cornering_city(10.0), 20.0, 20.0)
    corner = fit_arcline(city.lanes[1].centerline)
    assert any(piece["shape"] == "LSL" and abs(piece["radius"] - 10) < 0.2 for piece in corner)
    world = write(tmp_path, city)
    for index, lane in enumerate(city.lanes):
        poses = np.array(world.discretize_lanes([lane_token(city, index)], 0.5)[lane_token(city, index)])
        distance = np.linalg.norm(lane.centerline[:, None] - poses[None, :, :2], axis=2).min(axis=1)
        assert distance.max() < 0.3
        np.testing.assert_allclose(poses[-1, :2], lane.centerline[-1], atol=1e-3)
    turned = poses[-1, 2] - np.array(world.discretize_lanes([lane_token(city, 0)], 0.5)[lane_token(city, 0)])[0, 2]
    assert turned == pytest.approx(np.pi / 2, abs=0.05)


def test_arcs_of_any_curve_stay_close() -> None:
    t = np.linspace(0, 6, 200)
    curve = np.stack([20 * t, 15 * np.sin(t)], axis=1)
    pieces = fit_arcline(curve)
    assert len(pieces) < 60
    for before, after in itertools.pairwise(pieces):
        np.testing.assert_allclose(before["end_pose"][:2], after["start_pose"][:2], atol=1e-9)
    for piece in pieces:
        assert sum(length > 0 for length in piece["segment_length"]) == 1
    json.dumps(pieces)


def test_no_hairline_is_left_between_the_roads_of_a_city() -> None:
    """Their union has the holes of the drivable area and no others: a gap would be learnt as a boundary."""
    expansion = expansion_of(load_city("juniper-gate"))
    nodes = {node["token"]: (node["x"], node["y"]) for node in expansion["node"]}
    polygons = {polygon["token"]: polygon for polygon in expansion["polygon"]}

    def shape(token: str) -> Polygon:
        rings = [polygons[token]["exterior_node_tokens"], *(hole["node_tokens"] for hole in polygons[token]["holes"])]
        outline, *holes = [[nodes[node] for node in ring] for ring in rings]
        return Polygon(outline, holes).buffer(0)

    areas = [shape(row["polygon_token"]) for layer in ("road_segment", "lane") for row in expansion[layer]]
    united = unary_union(areas)
    holes = [Polygon(ring) for part in getattr(united, "geoms", [united]) for ring in part.interiors]
    assert len(holes) > 3
    assert min(hole.area / hole.length for hole in holes) > 1.0
