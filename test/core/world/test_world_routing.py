"""Routes: smooth, drivable, with their stops in order."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point
from world_helpers import straight_city

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import Command
from aln_p3_core.world.boxes import ego_footprint
from aln_p3_core.world.city.cities import load_city
from aln_p3_core.world.city.city_map import CityMap, Turn
from aln_p3_core.world.city.routing import make_route, random_route, route_along_lanes, shortest_lanes
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route, StopKind

CITIES = ("elm-court", "cedar-ring", "hazel-end")


def _random(name: str, seed: int, length: float = 450.0) -> tuple[CityMap, Route]:
    city = load_city(name)
    return city, random_route(city, np.random.default_rng([3, seed]), length)


@pytest.mark.parametrize("name", CITIES)
@pytest.mark.parametrize("seed", range(2))
def test_random_routes_can_be_driven(name: str, seed: int) -> None:
    city, route = _random(name, seed)
    assert 430.0 < route.length < 1500.0
    assert np.abs(route.curvatures).max() < 0.21, "tighter than the car steers"
    assert np.abs(np.diff(route.curvatures) / np.diff(route.s)).max() < 0.12, "the wheel would jerk"
    assert np.diff(route.s) == pytest.approx(0.5, abs=0.06)
    assert (route.lane_of >= 0).all()
    shapely.prepare(city.drivable)
    assert shapely.contains_xy(city.drivable.buffer(-0.6), route.points[:, 0], route.points[:, 1]).all()
    limits = np.array([lane.speed_limit for lane in city.lanes])
    np.testing.assert_allclose(route.speed_limits, limits[route.lane_of])


@pytest.mark.parametrize("name", CITIES)
def test_lanes_under_a_route_follow_upon_each_other(name: str) -> None:
    city, route = _random(name, 11)
    lines = [LineString(lane.centerline) for lane in city.lanes]
    for before, after in zip(route.lane_of[:-1], route.lane_of[1:], strict=True):
        lane = city.lanes[before]
        assert before == after or after in (*lane.successors, lane.left, lane.right)
    away = [lines[lane].distance(Point(p)) for lane, p in zip(route.lane_of, route.points, strict=True)]
    # Half a lane's width, while lanes are changed.
    assert max(away) < 2.0 and np.median(away) < 0.15


@pytest.mark.parametrize("name", CITIES)
def test_stops_are_in_order_and_where_they_belong(name: str) -> None:
    kinds = set()
    for seed in range(3):
        city, route = _random(name, seed)
        starts = [stop.s for stop in route.stops]
        assert starts == sorted(starts)
        for stop in route.stops:
            kinds.add(stop.kind)
            assert stop.end_s > stop.s
            place, _ = route.pose_at(stop.s)
            if stop.kind is StopKind.SIGNAL:
                assert LineString(city.signals[stop.index].stop_line).distance(Point(place)) < 1.5
            elif stop.kind is StopKind.YIELD:
                assert np.linalg.norm(city.lanes[stop.index].centerline[0] - place) < 1.5
                assert city.lanes[stop.index].yields_to
            else:
                assert shapely.Polygon(city.crossings[stop.index]).distance(Point(place)) < 0.6
    assert StopKind.CROSSING in kinds and len(kinds) >= 2


def test_turns_are_those_of_the_connectors_and_give_the_command() -> None:
    seen = set()
    for seed in range(5):
        city, route = _random("elm-court", seed)
        for start, end, command in route.turns:
            middle = route.lane_of[np.searchsorted(route.s, (start + end) / 2)]
            assert city.lanes[middle].turn is {Command.LEFT: Turn.LEFT, Command.RIGHT: Turn.RIGHT}[command]
            turned = np.interp(end + 5, route.s, route.headings) - np.interp(start - 5, route.s, route.headings)
            assert np.sign(turned) == (1 if command is Command.LEFT else -1)
            assert route.command_at(max(0.0, start - 10.0), 8.0) is command
            seen.add(command)
    assert seen == {Command.LEFT, Command.RIGHT}


@pytest.mark.parametrize("name", ["maple-port", "oak-dale"])
def test_sharp_turns_can_be_driven_within_the_road(name: str) -> None:
    city = load_city(name)
    shapely.prepare(city.drivable)
    sharp = [i for i, lane in enumerate(city.lanes) if lane.turn in (Turn.LEFT, Turn.RIGHT) and lane.length < 9.0]
    assert sharp
    for index in sharp:
        lane = city.lanes[index]
        before, after = lane.predecessors[0], lane.successors[0]
        route = route_along_lanes(city, [before, index, after], start_s=max(0.0, city.lanes[before].length - 25.0))
        for s in np.arange(10.0, 45.0, 1.0):
            place, heading = route.pose_at(s)
            corners = ego_footprint(EgoState(0.0, float(place[0]), float(place[1]), float(heading)), 0.0)
            assert shapely.contains_xy(city.drivable, corners[:, 0], corners[:, 1]).all(), (lane.id, s)


def test_the_same_seed_gives_the_same_route() -> None:
    _, first = _random("iris-bridge", 4)
    _, again = _random("iris-bridge", 4)
    assert first.points.tobytes() == again.points.tobytes() and first.stops == again.stops


def test_a_lane_change_is_a_gentle_s() -> None:
    city = straight_city()
    route = route_along_lanes(city, [0, 1], start_s=5.0, end_s=400.0)
    assert route.points[0, 1] == pytest.approx(-1.75, abs=0.01)
    assert route.points[-1, 1] == pytest.approx(-5.25, abs=0.01)
    assert np.abs(route.curvatures).max() < 0.01
    assert set(route.lane_of.tolist()) == {0, 1} and (np.diff(route.lane_of) >= 0).all()
    assert route.length == pytest.approx(395.0, abs=1.0)


def test_stops_of_a_signal_and_a_crossing() -> None:
    route = route_along_lanes(straight_city(signal=True), [0, 4, 6], start_s=100.0)
    assert {stop.kind for stop in route.stops} == {StopKind.SIGNAL, StopKind.CROSSING}
    assert [stop.s for stop in route.stops] == pytest.approx([198.0, 198.0], abs=0.6)
    assert [stop.end_s for stop in route.stops] == pytest.approx([202.0, 202.0], abs=0.6)


def test_lanes_that_do_not_follow_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not follow"):
        route_along_lanes(straight_city(), [0, 2])
    with pytest.raises(ConfigError, match="at least one lane"):
        route_along_lanes(straight_city(), [])


def test_the_shortest_way_uses_lane_changes_only_where_needed() -> None:
    city = load_city("alder-town")
    rng = np.random.default_rng(2)
    starts = [i for i, lane in enumerate(city.lanes) if not lane.is_connector and lane.length > 80]
    for start, goal in rng.choice(starts, (4, 2), replace=False):
        way = shortest_lanes(city, int(start), int(goal))
        assert way[0] == start and way[-1] == goal
        route = route_along_lanes(city, way)
        assert np.abs(route.curvatures).max() < 0.21
    with pytest.raises(ConfigError, match="no way"):
        shortest_lanes(straight_city(), 0, 2)


def test_a_route_without_lanes_takes_the_usual_speed_limit() -> None:
    city = straight_city()
    x = np.linspace(0, 50, 101)
    lane_of = np.where(x < 25, 0, -1)
    route = make_route(city, np.stack([x, np.full_like(x, -1.75)], axis=1), lane_of)
    assert (route.speed_limits == 13.9).all() and not route.stops
