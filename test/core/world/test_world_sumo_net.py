"""City maps read from SUMO networks: lanes that connect, areas that hold them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Polygon

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.city.cities import load_city, load_sumo_city
from aln_p3_core.world.city.city_map import CityMap, Turn
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.city.sumo_net import read_sumo_net

CITIES = ("cedar-ring", "hazel-end", "maple-port")


@pytest.fixture(params=CITIES, scope="module")
def city(request: pytest.FixtureRequest) -> CityMap:
    return load_city(request.param)


def test_lanes_and_connectors_meet(city: CityMap) -> None:
    for index, lane in enumerate(city.lanes):
        for after in lane.successors:
            assert index in city.lanes[after].predecessors
            gap = np.linalg.norm(lane.centerline[-1] - city.lanes[after].centerline[0])
            assert gap < 0.5, (lane.id, city.lanes[after].id)
        if lane.is_connector:
            assert len(lane.successors) == len(lane.predecessors) == 1


def test_neighbours_are_mutual_and_on_their_side(city: CityMap) -> None:
    pairs = 0
    for index, lane in enumerate(city.lanes):
        if lane.left < 0:
            continue
        other = city.lanes[lane.left]
        pairs += 1
        assert other.right == index and other.road == lane.road
        heading = heading_at(lane.centerline, 0.0)
        offset = other.centerline[0] - lane.centerline[0]
        across = -np.sin(heading) * offset[0] + np.cos(heading) * offset[1]
        assert across == pytest.approx((lane.width + other.width) / 2, abs=0.4)
    assert pairs


def test_the_turn_of_a_connector_is_its_change_of_heading(city: CityMap) -> None:
    turns = {lane.turn for lane in city.lanes if lane.is_connector}
    assert {Turn.LEFT, Turn.RIGHT, Turn.STRAIGHT} <= turns
    for lane in city.lanes:
        bend = float(wrap_angle(heading_at(lane.centerline, np.inf) - heading_at(lane.centerline, 0.0)))
        if lane.turn is Turn.LEFT:
            assert bend > 0.3, lane.id
        if lane.turn is Turn.RIGHT:
            assert bend < -0.3, lane.id


def test_lanes_lie_in_the_drivable_area(city: CityMap) -> None:
    shapely.prepare(city.drivable)
    for lane in city.lanes:
        inside = shapely.contains_xy(city.drivable, lane.centerline[:, 0], lane.centerline[:, 1])
        if lane.turn is not Turn.U_TURN:
            assert inside[1:-1].all(), lane.id
    assert shapely.union_all([LineString(b) for b in city.boundaries]).length == pytest.approx(
        city.drivable.boundary.length, rel=1e-6
    )


def test_dividers_never_cross_junctions(city: CityMap) -> None:
    middles = [lane for lane in city.lanes if lane.is_connector and lane.length > 12.0]
    dividers = shapely.union_all([LineString(divider.points) for divider in city.dividers])
    shapely.prepare(dividers)
    assert any(divider.is_road_divider for divider in city.dividers)
    for lane in middles:
        inner = LineString(lane.centerline).interpolate(0.5, normalized=True)
        assert inner.distance(dividers) > 1.0, lane.id


def test_who_yields_yields_to_somebody_whose_way_meets_its_own(city: CityMap) -> None:
    lines = [LineString(lane.centerline) for lane in city.lanes]
    yielding = [(i, foe) for i, lane in enumerate(city.lanes) for foe in lane.yields_to]
    assert len(yielding) > 20
    assert all(city.lanes[i].junction == city.lanes[foe].junction for i, foe in yielding)
    meets = [lines[i].distance(lines[foe]) < 3.0 for i, foe in yielding]
    assert np.mean(meets) > 0.95


def test_crossings_reach_over_the_road(city: CityMap) -> None:
    assert city.crossings
    for outline in city.crossings:
        area = Polygon(outline).buffer(0)
        assert area.intersection(city.drivable).area > 0.4 * area.area


def test_parking_lanes_are_drivable_but_no_lanes(city: CityMap) -> None:
    assert city.parking_lanes
    lanes = shapely.union_all([LineString(lane.centerline) for lane in city.lanes if not lane.is_connector])
    for line in city.parking_lanes:
        middle = LineString(line).interpolate(0.5, normalized=True)
        assert city.drivable.contains(middle)
        assert middle.distance(lanes) > 2.0


def test_ids_lead_back_to_sumo() -> None:
    city = load_sumo_city("alder-town")
    assert len(city.crossing_ids) == len(city.city.crossings)
    assert all(city.city.lanes[index].id == name for name, index in city.lane_of.items() if not name.startswith(":"))


@pytest.mark.parametrize("content", [b"no xml", b"<net></net>"])
def test_says_that_a_file_is_no_network(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.net.xml.gz"
    file.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="bad"):
        read_sumo_net(file, "bad")
    with pytest.raises(DataError, match="missing"):
        read_sumo_net(tmp_path / "missing.net.xml", "missing")
