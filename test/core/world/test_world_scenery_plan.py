"""Scenery: nothing stands where people walk or drive, or where drivers must see."""

from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Polygon, box
from shapely.strtree import STRtree
from world_helpers import straight_city

from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.city.cities import load_city
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.city.scenery_plan import footprints_of, make_scenery, without


@pytest.fixture(params=("gorse-round", "hazel-end"), scope="module")
def built(request: pytest.FixtureRequest) -> tuple[CityMap, Scenery]:
    city = load_city(request.param)
    return city, make_scenery(city, 3)


def test_buildings_stand_behind_the_pavements_and_apart(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    assert len(scenery.buildings) > 300
    paved = shapely.union_all([city.drivable, *(Polygon(o).buffer(0) for o in (*city.walkways, *city.crossings))])
    shapely.prepare(paved)
    houses = footprints_of(scenery.buildings)
    assert not shapely.intersects(paved, houses).any()
    pairs = STRtree(houses).query(houses, predicate="intersects")
    assert (pairs[0] == pairs[1]).all(), "buildings overlap"
    assert (scenery.buildings[:, 3:5] > 5.0).all()
    assert (scenery.buildings[:, 5] > 4.0).all() and scenery.buildings[:, 5].max() < 60.0


def test_most_of_a_road_has_buildings_beside_it(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    houses = STRtree(footprints_of(scenery.buildings))
    lanes = [lane for lane in city.lanes if not lane.is_connector and lane.length > 40]
    middles = shapely.points([lane.centerline[len(lane.centerline) // 2] for lane in lanes])
    near = np.unique(houses.query(middles, predicate="dwithin", distance=30.0)[0])
    assert len(near) > 0.8 * len(lanes)


def test_houses_are_higher_along_big_roads(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    big = STRtree([LineString(lane.centerline) for lane in city.lanes if max(lane.left, lane.right) >= 0])
    near = np.zeros(len(scenery.buildings), bool)
    near[big.query(shapely.points(scenery.buildings[:, :2]), predicate="dwithin", distance=30.0)[0]] = True
    assert scenery.buildings[near, 5].mean() > 1.4 * scenery.buildings[~near, 5].mean()


def test_trees_and_lamps_stand_off_the_road(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    assert len(scenery.trees) > 200 and len(scenery.poles) > 150
    paved = shapely.union_all([city.drivable, *(Polygon(o).buffer(0) for o in city.walkways)])
    shapely.prepare(paved)
    houses = shapely.union_all(footprints_of(scenery.buildings))
    shapely.prepare(houses)
    for rows in (scenery.trees, scenery.poles):
        assert not shapely.contains_xy(paved, rows[:, 0], rows[:, 1]).any()
        assert not shapely.contains_xy(houses, rows[:, 0], rows[:, 1]).any()


def test_lamps_reach_towards_the_road(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    arms = scenery.poles[:, :2] + 1.6 * np.stack([np.cos(scenery.poles[:, 2]), np.sin(scenery.poles[:, 2])], axis=1)
    before = shapely.distance(city.drivable, shapely.points(scenery.poles[:, :2]))
    after = shapely.distance(city.drivable, shapely.points(arms))
    assert (after < before - 0.8).mean() > 0.95


def test_drivers_see_their_signals(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    assert city.signals
    houses = shapely.union_all(footprints_of(scenery.buildings))
    trunks = shapely.union_all(shapely.points(scenery.trees[:, :2]))
    for signal in city.signals:
        view = LineString([signal.head[:2], signal.stop_line.mean(axis=0)])
        assert not view.intersects(houses), signal.id
        assert view.distance(trunks) > 3.0, signal.id


def test_parked_cars_fit_beside_the_lane(built: tuple[CityMap, Scenery]) -> None:
    city, scenery = built
    assert len(scenery.parking) > 40
    cars = footprints_of(np.column_stack([scenery.parking, np.full((len(scenery.parking), 2), [5.0, 1.95])]))
    assert shapely.contains(city.drivable.buffer(0.1), cars).all()
    lanes = [LineString(lane.centerline) for lane in city.lanes]
    tree = STRtree(lanes)
    swept = shapely.union_all([line.buffer(0.95) for line in lanes])
    assert shapely.intersection(shapely.union_all(cars), swept).area < 1.0, "in the way of driving cars"
    pairs = STRtree(cars).query(cars, predicate="intersects")
    assert (pairs[0] == pairs[1]).all(), "parked cars overlap"
    for (x, y, heading), index in zip(
        scenery.parking, tree.nearest(shapely.points(scenery.parking[:, :2])), strict=True
    ):
        lane = city.lanes[index]
        along = lanes[index].project(shapely.Point(x, y))
        assert abs(float(wrap_angle(heading_at(lane.centerline, along) - heading))) < 0.35
    crossings = shapely.union_all([Polygon(outline).buffer(0) for outline in city.crossings])
    assert shapely.distance(crossings, cars).min() > 6.0
    connectors = shapely.union_all([line for line, lane in zip(lanes, city.lanes, strict=True) if lane.is_connector])
    assert shapely.distance(connectors, cars).min() > 5.0


def test_a_map_without_pavements_keeps_its_edge_free() -> None:
    city = straight_city()
    bare = CityMap(city.name, city.lanes, city.boundaries, city.drivable)
    scenery = make_scenery(bare, 0)
    assert len(scenery.buildings) > 20 and not len(scenery.parking)
    assert shapely.distance(bare.drivable, footprints_of(scenery.buildings)).min() > 3.0


def test_scenery_can_be_cleared() -> None:
    scenery = make_scenery(straight_city(), 0)
    area = box(100, -100, 300, 100)
    cleared = without(scenery, area)
    assert len(cleared.buildings) < len(scenery.buildings) and len(cleared.trees) < len(scenery.trees)
    assert not shapely.intersects(area, footprints_of(cleared.buildings)).any()


def test_the_same_seed_gives_the_same_scenery_in_another_process() -> None:
    code = (
        "from aln_p3_core.world.city.cities import load_city\n"
        "from aln_p3_core.world.city.scenery_plan import make_scenery\n"
        "import zlib\ns = make_scenery(load_city('oak-dale'), 5)\n"
        "print(zlib.crc32(b''.join(a.tobytes() for a in (s.buildings, s.trees, s.poles, s.parking))))"
    )
    told = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    here = make_scenery(load_city("oak-dale"), 5)
    parts = (here.buildings, here.trees, here.poles, here.parking)
    assert told == zlib.crc32(b"".join(part.tobytes() for part in parts))
    assert here.trees.tobytes() != make_scenery(load_city("oak-dale"), 6).trees.tobytes()
