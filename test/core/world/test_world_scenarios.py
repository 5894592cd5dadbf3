"""Every scenario finds a place in every city, and what it promises happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import MODELS, kinds_of, sizes_of
from aln_p3_core.world.boxes import overlapping, separations
from aln_p3_core.world.city.cities import CITIES, load_sumo_city
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.episode import Episode, Stage
from aln_p3_core.world.route import StopKind
from aln_p3_core.world.scenarios import SCENARIOS, make_episode, open_stage
from aln_p3_core.world.scenarios.scenario import Ground, Play
from aln_p3_core.world.state import SignalColor, TrafficState
from aln_p3_core.world.traffic.footprint import ego_overlaps
from aln_p3_core.world.traffic.sumo_guests import FRONT_AHEAD_M

FREE = "free_driving"


@pytest.fixture(scope="module")
def parking() -> Callable[[str], Scenery]:
    """Only the places to park of a city: they are all that scenarios ask of the scenery."""
    from aln_p3_core.world.city import scenery_plan

    kept: dict[str, Scenery] = {}

    def of(city: str) -> Scenery:
        if city not in kept:
            kept[city] = Scenery(parking=scenery_plan._parking(load_sumo_city(city).city))
        return kept[city]

    return of


def built(scenario: str, city: str, seed: int, scenery: Scenery) -> Play:
    return SCENARIOS[scenario].build(Ground(load_sumo_city(city), scenery, np.random.default_rng([seed, 7])))


@pytest.mark.parametrize("city", list(CITIES))
def test_every_scenario_has_a_place_in_every_city(city: str, parking: Callable[[str], Scenery]) -> None:
    for number, name in enumerate(SCENARIOS):
        play = built(name, city, number, parking(city))
        assert play.route.length > (299.0 if name == FREE else 110.0), name
        assert play.route.length < 900.0, name
        place, heading = play.route.pose_at(0.0)
        assert np.hypot(*(play.start.xy - place)) < 0.01
        assert abs(play.start.heading - heading) < 0.01
        assert 0.0 <= play.start.speed <= play.route.speed_limits[0]
        starts = [script.path.pose_at(script.start_s, script.lateral_m) for script in play.setting.scripts]
        for script, (xy, turned) in zip(play.setting.scripts, starts, strict=True):
            size = np.array([MODELS[script.model].size_lwh])
            assert not ego_overlaps(play.start, xy[None], np.array([float(turned)]), size)[0], name
        first_light = min((s.s for s in play.route.stops if s.kind is StopKind.SIGNAL), default=np.inf)
        assert first_light - FRONT_AHEAD_M > play.start.speed**2 / 8.0 + 2.0, name


def test_a_seed_draws_the_same_play_again(parking: Callable[[str], Scenery]) -> None:
    for name in SCENARIOS:
        one, same, other = (built(name, "iris-bridge", seed, parking("iris-bridge")) for seed in (3, 3, 4))
        assert np.array_equal(one.route.points, same.route.points)
        assert one.start == same.start
        assert one.setting.scripts == () or one.setting.scripts[0].phases == same.setting.scripts[0].phases
        assert one.start != other.start


@dataclass
class Seen:
    """A drive of an ego that follows its route at its starting speed, or as told, whatever happens."""

    stage: Stage
    egos: list[EgoState]
    states: list[TrafficState]

    def track(self, name: str) -> np.ndarray:
        """[T, 6] time, m along the route and beside it, speed, acceleration, heading against the route."""
        rows = []
        for state in self.states:
            if name not in state.actors.ids:
                continue
            row = state.actors.ids.index(name)
            s, aside = self.stage.route.project(state.actors.positions[row, :2])
            _, heading = self.stage.route.pose_at(s)
            turned = np.cos(state.actors.headings[row] - heading)
            rows.append(
                (state.time_s, s, aside, state.actors.speeds[row], state.actors.accelerations[row], float(turned))
            )
        return np.array(rows)

    @property
    def front_s(self) -> np.ndarray:
        """[T] the ego's front bumper along the route."""
        return np.array([self.stage.route.project(ego.xy)[0] for ego in self.egos]) + FRONT_AHEAD_M


def watch(scenario: str, city: str, seed: int, seconds: float, stop_m: float = np.inf) -> Seen:
    """Opens a stage and drives through it; the ego brakes with 3 m/s^2 to stop `stop_m` along its route."""
    stage = open_stage(make_episode(scenario, city, seed))
    s, ego = 0.0, stage.start
    egos, states = [ego], [stage.traffic.start(ego)]
    try:
        for step in range(round(seconds * 10)):
            states.append(stage.traffic.step(ego))
            room = max(0.0, min(stop_m, 1e4) - s - FRONT_AHEAD_M)
            speed = min(stage.start.speed, float(np.sqrt(6.0 * room)) if room > 0.1 else 0.0)
            s += 0.1 * speed
            place, heading = stage.route.pose_at(s)
            ego = EgoState(0.1 * (step + 1), float(place[0]), float(place[1]), float(heading), speed=speed)
            egos.append(ego)
    finally:
        stage.traffic.close()
    return Seen(stage, egos, states)


@pytest.fixture(autouse=True)
def needs_sumo(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("libsumo")


def test_the_lead_brakes_hard() -> None:
    lead = watch("lead_brakes", "iris-bridge", 1, 9.0).track("lead")
    assert lead[:15, 3].min() > 4.0
    assert lead[:, 4].min() < -4.0
    assert lead[:, 3].min() < 0.3
    assert np.abs(lead[:, 2]).max() < 1.0


def test_the_car_cuts_in_close_ahead() -> None:
    seen = watch("cut_in", "iris-bridge", 1, 6.5)
    cutter = seen.track("cutter")
    assert abs(cutter[0, 2]) > 2.5
    inside = np.flatnonzero(np.abs(cutter[:, 2]) < 1.0)
    assert len(inside)
    gap = cutter[inside[0], 1] - sizes_of(seen.states[0].actors).max() / 4 - seen.front_s[inside[0]]
    assert -1.0 < gap < 15.0
    assert cutter[inside, 3].min() < 0.75 * cutter[0, 3]


def test_the_lead_reveals_a_stopped_car_that_moves_off_in_the_end() -> None:
    # The ego stops where a good driver would: well short of the car.
    seen = watch("cut_out", "iris-bridge", 1, 20.0, 85.0)
    lead, stopped = seen.track("lead"), seen.track("stopped")
    passes = np.flatnonzero(lead[:, 1] > stopped[0, 1] - 4.0)
    assert abs(lead[passes[0], 2]) > 2.0
    assert np.abs(lead[:10, 2]).max() < 0.5
    assert stopped[:50, 3].max() < 0.1
    assert np.abs(stopped[:50, 2]).max() < 0.5
    assert stopped[-1, 3] > 2.0


def test_the_pedestrian_steps_into_the_lane_with_room_to_stop() -> None:
    seen = watch("pedestrian_steps_out", "iris-bridge", 1, 14.0)
    person = seen.track("pedestrian")
    assert person[0, 2] < -1.3
    place_s = person[0, 1]
    starts = int(np.argmax(person[:, 3] > 0.1))
    speed = seen.stage.start.speed
    assert place_s - seen.front_s[starts] > 0.5 * speed + speed**2 / 8.0
    arrives = int(np.argmax(seen.front_s > place_s))
    assert abs(person[arrives, 2]) < 1.2
    parked = [name for name in seen.states[0].actors.ids if name in ("parked-behind", "parked-before")]
    assert len(parked) == 2


def test_the_cyclist_crosses_before_the_ego() -> None:
    seen = watch("crossing_cyclist", "iris-bridge", 1, 16.0)
    cyclist = seen.track("cyclist")
    assert abs(cyclist[0, 2]) > 2.5
    assert np.abs(cyclist[:, 2]).min() < 0.6
    # Shortly before it is in the ego's way: the ego of this test does not stop.
    inside = int(np.argmax(np.abs(cyclist[:, 2]) < 2.0))
    assert 1.5 < cyclist[inside, 3] < 6.5
    assert abs(cyclist[inside, 5]) < 0.3  # across the road
    assert -1.0 < cyclist[inside, 1] - seen.front_s[inside] < 14.0
    assert cyclist[-1, 3] < 0.1


def test_oncoming_cars_pass_while_the_ego_would_turn_left() -> None:
    seen = watch("unprotected_left", "iris-bridge", 1, 22.0, 50.0)
    city, route = seen.stage.city, seen.stage.route
    turn = next(stop.index for stop in route.stops if stop.kind is StopKind.YIELD)
    foes = set(city.lanes[turn].yields_to)
    passed = set()
    for state in seen.states:
        for row, name in enumerate(state.actors.ids):
            if name.startswith("stream") and not foes.isdisjoint(city.lanes_near(state.actors.positions[row, :2], 1.2)):
                passed.add(name)
    assert len(passed) >= 3


def test_the_light_turns_red_before_the_ego_and_green_again() -> None:
    play = open_stage(make_episode("red_light", "iris-bridge", 1))
    line_s = next(stop.s for stop in play.route.stops if stop.kind is StopKind.SIGNAL)
    seen = watch("red_light", "iris-bridge", 1, 34.0, line_s - 1.0)
    stop = next(stop for stop in seen.stage.route.stops if stop.kind is StopKind.SIGNAL)
    shown = np.array([int(state.signals[stop.index]) for state in seen.states])
    green = (SignalColor.GREEN, SignalColor.GREEN_YIELD)
    assert shown[0] in green
    turns = int(np.argmax(shown != shown[0]))
    assert shown[turns] == SignalColor.YELLOW
    speed, distance = seen.stage.start.speed, stop.s - seen.front_s[turns]
    assert distance > speed**2 / 6.0
    # Whoever drives on meets it red.
    assert shown[turns + round(10 * distance / speed)] == SignalColor.RED
    assert 0.1 * (shown == SignalColor.RED).sum() < 25.0
    assert shown[-1] in green


def test_the_bus_stops_and_goes_on() -> None:
    bus = watch("bus_stop", "iris-bridge", 1, 22.0, 25.0)
    track = bus.track("bus")
    standing = np.flatnonzero(track[:, 3] < 0.1)
    assert 3.0 < 0.1 * len(standing) < 12.0
    assert track[-1, 3] > 2.0
    assert np.abs(track[:, 2]).max() < 1.0


def test_works_narrow_the_lane_but_leave_room() -> None:
    seen = watch("works", "iris-bridge", 1, 0.2)
    actors = seen.states[0].actors
    kinds = kinds_of(actors)
    rows = [row for row, kind in enumerate(kinds) if kind.is_static]
    assert {ActorKind.CONE, ActorKind.BARRIER} <= {kinds[row] for row in rows}
    asides = [seen.stage.route.project(actors.positions[row, :2])[1] for row in rows]
    edges = [aside + MODELS[actors.models[row]].size_lwh[1] / 2 for aside, row in zip(asides, rows, strict=True)]
    # Within the middle strip that the ego needs, but not so far that it must leave the road.
    assert -0.87 + 0.2 < max(edges) < 0.0


@pytest.mark.parametrize("seed", [0, 1])
def test_nobody_parks_in_the_works(seed: int) -> None:
    stage = open_stage(make_episode("works", "poplar-green", seed))
    actors = stage.traffic.start(stage.start).actors
    stage.traffic.close()
    static = np.array([kind.is_static for kind in kinds_of(actors)])
    sizes = sizes_of(actors)[:, :2]
    others = np.flatnonzero(~static)
    for row in np.flatnonzero(static):
        _, offsets, reach = separations(
            actors.positions[row, :2],
            float(actors.headings[row]),
            sizes[row],
            actors.positions[others, :2],
            actors.headings[others],
            sizes[others],
        )
        assert not overlapping(offsets, reach).any()


def test_the_merging_car_is_beside_the_ego_where_the_lanes_join() -> None:
    seen = watch("merge", "iris-bridge", 1, 9.0)
    city, route = seen.stage.city, seen.stage.route
    merge_s = next(float(s) for s, lane in zip(route.s, route.lane_of, strict=True) if city.lanes[lane].is_connector)
    arrives = int(np.argmax(seen.front_s > merge_s))
    car = seen.track("merging")[arrives]
    assert abs(car[1] - seen.front_s[arrives]) < 6.0
    assert abs(car[2]) > 2.0


def test_unknown_scenarios_and_cities_are_refused() -> None:
    with pytest.raises(ConfigError, match="no scenario 'drifting'"):
        open_stage(Episode("drifting", "iris-bridge", 1))
    with pytest.raises(ConfigError, match="no city"):
        open_stage(Episode(FREE, "atlantis", 1))
