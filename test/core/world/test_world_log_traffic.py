"""Recorded logs: reading, playing back, and answering an ego that departs from the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_complete import shared_data
from world_helpers import straight_city

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.traffic.footprint import ego_overlaps
from aln_p3_core.world.traffic.log import DEPARTURE_M, LogTraffic, RecordedLog

STEPS = 101


def write_log(path: Path, **changes: object) -> Path:
    """Ten seconds on the straight city's inner lane: ego at 8 m/s, a car 20 m behind, a walker, a cone, a van."""
    t = np.arange(STEPS) * 0.1
    tracks = [
        ("ego", "VEHICLE", "vehicle.ego", (4.08, 1.73, 1.56), 40 + 8 * t, -1.75 + 0 * t, 0.0, 8.0),
        ("follower", "VEHICLE", "vehicle.car", (4.5, 1.9, 1.5), 20 + 8 * t, -1.75 + 0 * t, 0.0, 8.0),
        ("walker", "PEDESTRIAN", "human.pedestrian.adult", (0.7, 0.6, 1.8), 90 + 0 * t, -20 + 1.5 * t, np.pi / 2, 1.5),
        ("cone", "TRAFFIC_CONE", "movable_object.trafficcone", (0.4, 0.4, 0.7), 60 + 0 * t, -6 + 0 * t, 0.0, 0.0),
        ("van", "VEHICLE", "vehicle.car", (5.2, 2.0, 2.2), 70 + 0 * t, -8.8 + 0 * t, 0.0, 0.0),
        ("cycle", "CYCLIST", "vehicle.bicycle", (1.8, 0.6, 1.7), 150 - 4 * t, 5 + 0 * t, np.pi, 4.0),
        ("dog", "ANIMAL", "animal", (0.8, 0.4, 0.6), 80 + 0 * t, -9 + 0 * t, 0.0, 0.0),
    ]  # fmt: skip
    count = len(tracks)
    heading = np.array([np.full(STEPS, track[6]) for track in tracks], np.float32)
    speed = np.array([track[7] for track in tracks])
    valid = np.ones((count, STEPS), bool)
    valid[2, :20] = False
    data: dict[str, object] = {
        "scene_name": "scene-test",
        "scene_token": "0" * 32,
        "location": "test-town",
        "t0_us": 1_500_000_000_000_000,
        "t": t,
        "origin_xy": np.zeros(2),
        "track_id": np.array([track[0] for track in tracks]),
        "track_type": np.array([track[1] for track in tracks]),
        "track_category": np.array([track[2] for track in tracks]),
        "position": np.array([np.column_stack([x, y, 0 * x]) for *_, x, y, _, _ in tracks], np.float32),
        "heading": heading,
        "velocity": np.stack([np.cos(heading), np.sin(heading)], axis=-1) * speed[:, None, None],
        "size": np.array([track[3] for track in tracks], np.float32),
        "valid": valid,
        "keyframe_t": t[::5],
        "keyframe_token": np.array([f"k{k}" for k in range(len(t[::5]))]),
        "map_type": np.array(["lane"]),
        "map_kind": np.array(["polyline"]),
        "map_id": np.array(["a"]),
        "map_offset": np.array([0, 2], np.int32),
        "map_xy": np.array([[0, -1.75], [600, -1.75]], np.float32),
    } | changes
    np.savez(path, **{key: value for key, value in data.items() if value is not None})
    return path


@pytest.fixture
def log(tmp_path: Path) -> RecordedLog:
    return RecordedLog.load(write_log(tmp_path / "log.npz"))


def ego_at(time_s: float, x: float, speed: float = 0.0) -> EgoState:
    return EgoState(time_s, x, -1.75, 0.0, speed=speed)


def test_reads_the_human_driver_between_the_steps(log: RecordedLog) -> None:
    ego = log.ego_at(3.33)
    assert (ego.x, ego.y) == pytest.approx((40 + 8 * 3.33, -1.75), abs=1e-4)
    assert ego.speed == pytest.approx(8.0, abs=1e-4)
    assert log.ego_at(99.0).speed == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"valid": None, "map_xy": None}, "lacks map_xy, valid"),
        ({"heading": np.zeros((2, 3))}, "heading has shape"),
        ({"t": np.zeros(STEPS)}, "rising"),
        ({"t": np.full(STEPS, np.nan)}, "t must be finite"),
        ({"t": np.array([f"{k}.5 s" for k in range(STEPS)])}, "t must hold numbers, not str"),
        ({"t0_us": "yesterday"}, "t0_us must hold numbers"),
        ({"position": np.full((7, STEPS, 3), np.nan)}, "position must be finite"),
        ({"velocity": np.full((7, STEPS, 2), np.nan)}, "velocity must be finite wherever its track is valid"),
        ({"size": np.full((7, 3), np.inf)}, "size must be finite"),
        ({"map_offset": np.array([0, 9])}, "map_offset must rise from 0 to the 2 points"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        RecordedLog.load(write_log(tmp_path / "bad.npz", **changes))


def test_says_that_a_file_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    path.write_text("no log")
    with pytest.raises(DataError, match="is no"):
        RecordedLog.load(path)
    whole = write_log(tmp_path / "log.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 400] = bytes(400)
    np.save(tmp_path / "one.npy", np.zeros(3))
    for content in (b"", whole[: len(whole) // 2], whole[:-30], bytes(damaged), (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is no \.npz file that can be read"):
            RecordedLog.load(path)
    with pytest.raises(DataError, match="no recorded log at"):
        RecordedLog.load(tmp_path / "missing.npz")


def test_refuses_an_unknown_mode(log: RecordedLog) -> None:
    with pytest.raises(ConfigError, match="replay, react"):
        LogTraffic(log, straight_city(), "dream")


def test_replay_moves_everybody_as_recorded(log: RecordedLog) -> None:
    traffic = LogTraffic(log, straight_city())
    state = traffic.start(log.ego_at(0.0))
    assert set(state.actors.ids) == {"follower", "cone", "van", "cycle"}
    for step in range(1, STEPS):
        # The ego stands where it began: nobody minds.
        state = traffic.step(ego_at(0.1 * step, 40.0))
    assert state.time_s == pytest.approx(10.0)
    rows = {name: row for row, name in enumerate(state.actors.ids)}
    assert state.actors.positions[rows["follower"], 0] == pytest.approx(100.0, abs=1e-3)
    assert state.actors.positions[rows["walker"], 1] == pytest.approx(-5.0, abs=1e-3)
    assert not traffic.departed


def test_models_fit_and_flags_tell_what_can_be_seen(log: RecordedLog) -> None:
    actors = LogTraffic(log, straight_city()).start(log.ego_at(0.0)).actors
    rows = {name: row for row, name in enumerate(actors.ids)}
    assert MODELS[actors.models[rows["van"]]].kind in (ActorKind.VAN, ActorKind.CAR)
    assert abs(sizes_of(actors)[rows["follower"], 0] - 4.5) < 0.6
    assert actors.flags[rows["van"]] & ActorFlag.PARKED
    assert actors.flags[rows["cycle"]] & ActorFlag.RIDER
    assert not actors.flags[rows["follower"]] & ActorFlag.BRAKE


def test_a_walker_swings_its_legs_with_the_way_it_goes(log: RecordedLog) -> None:
    traffic = LogTraffic(log, straight_city())
    traffic.start(log.ego_at(0.0))
    phases = []
    for step in range(1, 60):
        actors = traffic.step(log.ego_at(0.1 * step)).actors
        if "walker" in actors.ids:
            phases.append(actors.phases[actors.ids.index("walker")])
    turned = np.unwrap(phases)
    assert turned[-1] - turned[0] == pytest.approx(2 * np.pi * 1.5 * 0.1 * (len(phases) - 1) / 1.45, rel=0.02)


def test_react_is_replay_while_the_ego_keeps_to_the_recording(log: RecordedLog) -> None:
    replay, react = (LogTraffic(log, straight_city(), mode) for mode in ("replay", "react"))
    replay.start(log.ego_at(0.0))
    react.start(log.ego_at(0.0))
    for step in range(100):
        ego = log.ego_at(0.1 * step)
        ego = EgoState(ego.time_s, ego.x - 0.9 * DEPARTURE_M, ego.y, 0.0, speed=ego.speed)
        a, b = replay.step(ego).actors, react.step(ego).actors
        assert a.ids == b.ids
        np.testing.assert_array_equal(a.positions, b.positions)


def test_react_stops_the_follower_behind_an_ego_that_brakes_and_lets_it_catch_up(log: RecordedLog) -> None:
    traffic = LogTraffic(log, straight_city(), "react")
    x, speed = 40.0, 8.0
    traffic.start(ego_at(0.0, x, speed))
    positions = []
    for step in range(140):
        # Brakes at 4 m/s^2, stands for 3 s, and is gone.
        ego = ego_at(0.1 * step, x, speed) if step < 50 else EgoState(0.1 * step, 400.0, 40.0, 0.0)
        actors = traffic.step(ego).actors
        row = actors.ids.index("follower") if "follower" in actors.ids else None
        if row is not None:
            positions.append(actors.positions[row, 0])
            if step < 50:
                place = actors.positions[row : row + 1, :2]
                assert not ego_overlaps(ego, place, actors.headings[row : row + 1], sizes_of(actors)[row : row + 1])[0]
        speed = max(0.0, speed - 0.4)
        x += 0.1 * speed
    moves = np.diff(positions)
    assert moves.min() >= 0.0 and moves[:50].min() < 0.06
    assert moves.max() < 0.1 * 8.0 * 1.2 + 1e-6
    # It goes on when the ego is out of its way.
    assert positions[-1] > positions[50] + 15.0


def test_react_lets_a_pedestrian_wait_for_an_ego_that_stands_in_its_way(log: RecordedLog) -> None:
    traffic = LogTraffic(log, straight_city(), "react")
    traffic.start(ego_at(0.0, 40.0))
    for step in range(100):
        # Stands across the walker's path at x = 90, y about -12.
        ego = EgoState(0.1 * step, 88.0, -11.0, 0.0)
        actors = traffic.step(ego).actors
    row = actors.ids.index("walker")
    assert -14.0 < actors.positions[row, 1] < -11.8
    assert actors.speeds[row] == 0.0


@pytest.mark.parametrize("name", ["scene-0061", "scene-0655", "scene-0796"])
def test_real_logs_play_without_collisions_of_the_human(shared_dir: Path, name: str) -> None:
    log = RecordedLog.load(shared_data(shared_dir / "data" / "mini_logs" / f"{name}.npz"))
    traffic = LogTraffic(log, straight_city(), "react")
    state = traffic.start(log.ego_at(0.0))
    for step in range(1, len(log.times)):
        state = traffic.step(log.ego_at(0.1 * (step - 1)))
        actors = state.actors
        hits = ego_overlaps(log.ego_at(state.time_s), actors.positions[:, :2], actors.headings, sizes_of(actors))
        assert not hits.any(), [actors.ids[i] for i in np.flatnonzero(hits)]
    assert not traffic.departed
