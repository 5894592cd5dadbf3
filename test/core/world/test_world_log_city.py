"""Recorded logs as cities, routes and stages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point
from test_world_log_traffic import write_log

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.boxes import ego_footprint
from aln_p3_core.world.city.city_map import Turn
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.city.log_city import log_city, log_route
from aln_p3_core.world.city.log_route import match_lanes
from aln_p3_core.world.city.scenery_plan import footprints_of
from aln_p3_core.world.episode import Stage
from aln_p3_core.world.scenarios.log_stage import open_log_stage
from aln_p3_core.world.simulation import STEP_S, Simulation
from aln_p3_core.world.traffic.recorded_log import RecordedLog

SCENES = ("0061", "0103", "0553", "0655", "0757", "0796", "1100")


def _file(shared_dir: Path, scene: str) -> Path:
    return shared_dir / "data" / "mini_logs" / f"scene-{scene}.npz"


@pytest.fixture(params=SCENES, scope="module")
def real(request: pytest.FixtureRequest, shared_dir: Path) -> tuple[RecordedLog, Stage]:
    file = _file(shared_dir, request.param)
    return RecordedLog.load(file), open_log_stage(file)


def _map(**features: list) -> dict[str, object]:
    """Map entries of a log file from name=[kind, shape, points]."""
    points = [np.array(p, np.float32) for _, _, p in features.values()]
    return {
        "map_type": np.array([kind for kind, _, _ in features.values()]),
        "map_kind": np.array([shape for _, shape, _ in features.values()]),
        "map_id": np.array([name.rstrip("_") for name in features]),
        "map_offset": np.cumsum([0, *(len(p) for p in points)]).astype(np.int32),
        "map_xy": np.concatenate(points),
    }


@pytest.fixture
def small_log(tmp_path: Path) -> RecordedLog:
    """Two lanes east, one of which goes on over a connector that turns left."""
    angle = np.linspace(0, np.pi / 2, 9)
    turn = np.stack([200 + 12 * np.sin(angle), -1.75 + 12 * (1 - np.cos(angle))], axis=1)
    x = np.linspace(0, 200, 41)
    inner, outer = (np.stack([x, np.full_like(x, y)], axis=1) for y in (-1.75, -5.25))
    outline = [(0, 0), (200, 0), (200, -3.5), (0, -3.5)]
    features = _map(
        a=["lane", "polyline", inner],
        a_=["lane", "polygon", outline],
        b=["lane", "polyline", outer],
        b_=["lane", "polygon", [(x, y - 3.5) for x, y in outline]],
        c=["lane_connector", "polyline", turn],
        d=["lane", "polyline", [(212, 10.25), (212, 60)]],
        e=["road_boundary", "polyline", [(-10, -9), (216, -9), (216, 70)]],
        f=["lane_divider", "polyline", [(0, -3.5), (200, -3.5)]],
        g=["road_divider", "polyline", [(0, 0), (200, 0)]],
    )
    return RecordedLog.load(write_log(tmp_path / "log.npz", location="singapore-test", **features))


def test_lanes_are_joined_and_lie_side_by_side(small_log: RecordedLog) -> None:
    city = log_city(small_log)
    a, b, c, d = (city.lane_index[name] for name in "abcd")
    assert city.lanes[a].successors == (c,) and city.lanes[c].successors == (d,) and city.lanes[d].predecessors == (c,)
    assert city.lanes[b].left == a and city.lanes[a].right == b and city.lanes[a].left == -1
    assert city.lanes[a].road == city.lanes[b].road != city.lanes[d].road
    assert city.lanes[c].turn is Turn.LEFT and city.lanes[c].junction and not city.lanes[a].junction
    assert city.lanes[a].width == pytest.approx(3.5) and city.drives_on_left
    assert [divider.is_road_divider for divider in city.dividers] == [False, True]
    assert city.drivable.contains(Point(100, -4)) and city.drivable.contains(Point(208.5, 2.0))
    assert not city.drivable.contains(Point(100, 20))


def test_a_route_follows_the_human_and_goes_on(small_log: RecordedLog) -> None:
    city = log_city(small_log)
    route = log_route(small_log, city)
    np.testing.assert_allclose(route.points[0], small_log.ego_path[0], atol=0.05)
    assert route.length == pytest.approx(80.0 + 25.0, abs=1.0)
    assert (route.lane_of == city.lane_index["a"]).all() and not route.turns


@pytest.mark.parametrize("speed", [0.0, 0.03])
def test_a_human_who_stands_still_has_a_route(tmp_path: Path, speed: float) -> None:
    log = RecordedLog.load(write_log(tmp_path / "log.npz"))
    still = np.array(log.positions)
    still[0, :, 0] = 40.0 + speed * log.times
    log = RecordedLog(**{**log.__dict__, "positions": still})
    route = log_route(log, log_city(log))
    assert route.length > 60.0
    assert np.abs(route.points[:, 1] + 1.75).max() < 0.05 and (np.diff(route.points[:, 0]) > 0).all()


def test_the_log_that_the_page_makes_can_be_driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "world.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "np.savez" in block)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    log = RecordedLog.load(tmp_path / "drive.npz")
    stage = open_log_stage(tmp_path / "drive.npz")
    stage.traffic.close()
    assert log.ego_at(10.0).speed == pytest.approx(8.0) and log.velocities[1, 5, 0] == pytest.approx(8.0)
    assert stage.route.length > 150.0 and stage.city.drivable.contains(Point(100, -2.0))
    assert len(stage.city.dividers) == 1 and len(stage.city.boundaries) == 1


def test_a_log_without_lanes_is_refused(tmp_path: Path) -> None:
    file = write_log(tmp_path / "log.npz", map_type=np.array(["road_boundary"]))
    with pytest.raises(DataError, match="no lanes"):
        log_city(RecordedLog.load(file))
    with pytest.raises(DataError, match="no drivable area: store the outlines"):
        open_log_stage(write_log(tmp_path / "lines.npz"))
    with pytest.raises(ConfigError, match="replay, react"):
        open_log_stage(write_log(tmp_path / "good.npz"), "dream")


def test_matching_says_where_there_is_no_lane(small_log: RecordedLog) -> None:
    city = log_city(small_log)
    path = np.stack([np.linspace(0, 100, 101), np.full(101, -40.0)], axis=1)
    assert (match_lanes(city, path) == -1).all()
    against = np.stack([np.linspace(100, 0, 101), np.full(101, -1.75)], axis=1)
    assert (match_lanes(city, against) == -1).all()


def test_real_maps_are_connected(real: tuple[RecordedLog, Stage]) -> None:
    city = real[1].city
    assert np.mean([len(lane.successors) > 0 for lane in city.lanes]) > 0.75
    for index, lane in enumerate(city.lanes):
        assert 2.0 < lane.width < 7.0
        for after in lane.successors:
            turned = heading_at(city.lanes[after].centerline, 0.0) - heading_at(lane.centerline, np.inf)
            assert abs(float(wrap_angle(turned))) < 1.0
        if lane.left >= 0:
            assert city.lanes[lane.left].right == index
    assert any(lane.left >= 0 for lane in city.lanes)


def test_the_real_human_drives_on_lanes_within_the_road(real: tuple[RecordedLog, Stage]) -> None:
    log, stage = real
    assert stage.recorded_ego is not None and stage.duration_s is not None
    shapely.prepare(stage.city.drivable)
    for time_s in np.arange(0.0, stage.duration_s, 0.2):
        corners = ego_footprint(stage.recorded_ego(float(time_s)), 0.0)
        assert shapely.contains_xy(stage.city.drivable, corners[:, 0], corners[:, 1]).all(), time_s
    route = stage.route
    assert (route.lane_of >= 0).mean() > 0.95
    assert np.abs(route.curvatures).max() < 0.21
    away = [abs(route.project(place)[1]) for place in log.ego_path[::5]]
    assert max(away) < 0.5
    moved = float(np.linalg.norm(np.diff(log.ego_path, axis=0), axis=1).sum())
    assert route.length > moved + 15.0 and route.length > 50.0
    left = {turn.name for _, _, turn in route.turns}
    assert left == ({"LEFT"} if log.name == "scene-0061" else set())
    follows = 0
    pairs = [(a, b) for a, b in zip(route.lane_of[:-1], route.lane_of[1:], strict=True) if a != b]
    for a, b in pairs:
        follows += b in stage.city.lanes[a].successors
    assert follows >= len(pairs) - 1


def test_nothing_is_built_where_anybody_was(real: tuple[RecordedLog, Stage]) -> None:
    log, stage = real
    houses = shapely.union_all(footprints_of(stage.scenery.buildings))
    shapely.prepare(houses)
    assert len(stage.scenery.buildings) > 20
    for row in range(len(log.ids)):
        places = log.positions[row, log.valid[row]]
        assert not shapely.contains_xy(houses, places[:, 0], places[:, 1]).any(), log.ids[row]
    view = LineString(log.ego_path) if len(np.unique(log.ego_path, axis=0)) > 1 else Point(log.ego_path[0])
    assert view.distance(houses) > 4.0


def test_the_human_is_replayed_through_the_simulation(real: tuple[RecordedLog, Stage]) -> None:
    log, stage = real
    assert stage.recorded_ego is not None
    with Simulation(stage, {}, None) as simulation:
        steps = 0
        while not simulation.finished:
            steps += 1
            state = simulation.advance(stage.recorded_ego(steps * STEP_S))
        assert state.time_s == pytest.approx(log.duration_s, abs=0.06)
        np.testing.assert_allclose(state.ego.xy, log.ego_path[-1], atol=0.5)
        assert len(state.actors)


def test_a_log_stage_is_the_same_every_time(shared_dir: Path) -> None:
    first, again = (open_log_stage(_file(shared_dir, "0757")) for _ in range(2))
    assert first.city.drivable.wkb == again.city.drivable.wkb
    assert first.route.points.tobytes() == again.route.points.tobytes()
    assert first.scenery.buildings.tobytes() == again.scenery.buildings.tobytes()
