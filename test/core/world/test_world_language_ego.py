"""What is said of the ego: true to its path, and to who or what made it drive so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.frame import Command
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, join_actors, no_actors
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.key_frame import KeyFrame, LabelFact
from aln_p3_core.world.language.annotate import FrameAnnotation, annotate_frames
from aln_p3_core.world.language.ego_motion import EgoMotion, ego_path
from aln_p3_core.world.language.facts import FrameFacts, frame_facts
from aln_p3_core.world.language.grammar import SPLITS, Chooser
from aln_p3_core.world.language.parse import parse_reasoning, parse_statement
from aln_p3_core.world.language.reasoning import reason_why
from aln_p3_core.world.language.roads import RoadIndex
from aln_p3_core.world.language.sentences import say_reasoning
from aln_p3_core.world.language.stated import Action, NamedObject, Pace, Reason, Side, Where
from aln_p3_core.world.planners.planner import Cause, Decision, EgoPlan, LateralManeuver, Maneuver
from aln_p3_core.world.route import Route, RouteStop, StopKind
from aln_p3_core.world.state import SignalColor, WorldState

ROUTE_S = 200.0


def plan_of(speeds: list[float], decision: Decision | None, *, turn: float = 0.0, aside: float = 0.0) -> EgoPlan:
    """Speeds of the six half seconds to come; the path turns by `turn` rad and moves `aside` m to the left."""
    steps = 0.5 * np.asarray(speeds)
    share = np.linspace(1 / 6, 1, 6)
    headings = turn * share
    middle = headings - turn / 12
    points = np.stack([np.cumsum(steps * np.cos(middle)), np.cumsum(steps * np.sin(middle)) + aside * share], axis=1)
    return EgoPlan(0.0, 0.5 * np.arange(1, 7), points, headings, decision)


def key_frame(
    speed: float,
    plan: EgoPlan | None,
    actors: Actors | None = None,
    *,
    route: Route | None = None,
    route_s: float = ROUTE_S,
    signals: tuple[int, ...] = (),
    time_s: float = 0.0,
    token: str = "sample",
) -> KeyFrame:
    """A key frame on a route whose actors are all seen."""
    start = helpers.start_on(route or helpers.straight_route(), route_s, speed)
    ego = EgoState(time_s, start.x, start.y, start.heading, speed=speed)
    there = no_actors() if actors is None else actors
    labels = {name: LabelFact(f"{token}-{name}", 1.0, ("CAM_FRONT",), 9) for name in there.ids}
    state = WorldState(ego, there, np.asarray(signals, np.int64))
    return KeyFrame(token, state, route_s, Command.STRAIGHT, plan, labels)


def said_of(
    frame: KeyFrame, *, city: CityMap | None = None, route: Route | None = None, split: str = "train"
) -> FrameAnnotation:
    return said_of_all([frame], city=city, route=route, split=split)[0]


def said_of_all(
    frames: list[KeyFrame], *, city: CityMap | None = None, route: Route | None = None, split: str = "train"
) -> list[FrameAnnotation]:
    chooser = Chooser(split, 0, "scene")
    said = annotate_frames(frames, city or helpers.straight_city(), route or helpers.straight_route(), chooser)
    for one in said:
        assert parse_statement(one.narration, one.reasoning) == one.statement
    return said


def ahead(kind: ActorKind, metres: float, *, aside: float = 0.0, name: str = "it", **more: object) -> Actors:
    """An actor in front of the ego of `key_frame`."""
    return helpers.actor(kind, ROUTE_S + metres, helpers.EAST_INNER + aside, name=name, **more)  # type: ignore[arg-type]


def why(cause: Cause, maneuver: Maneuver = Maneuver.DECELERATE, **more: object) -> Decision:
    return Decision(maneuver, cause=cause, actor_id="it", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "speeds", "maneuver"),
    [
        (8.0, [8.0] * 6, Maneuver.KEEP_SPEED),
        (8.0, [8.3, 8.8, 9.3, 9.8, 10.3, 10.8], Maneuver.ACCELERATE),
        (8.0, [7.5, 6.5, 5.5, 4.5, 3.5, 2.5], Maneuver.DECELERATE),
        (8.0, [6.5, 4.0, 2.0, 0.5, 0.1, 0.0], Maneuver.STOP),
        (0.0, [0.0] * 6, Maneuver.WAIT),
        (0.0, [0.0, 0.4, 1.0, 1.6, 2.2, 2.8], Maneuver.START),
    ],
)
def test_speed_is_what_the_path_does_not_what_was_intended(now: float, speeds: list[float], maneuver: Maneuver) -> None:
    # The planner's own word for it is another one on purpose.
    said = said_of(key_frame(now, plan_of(speeds, Decision(Maneuver.KEEP_SPEED))))
    assert said.statement.narration.speed is maneuver


def test_pace_of_a_steady_drive() -> None:
    for speed, pace in ((2.0, Pace.SLOW), (8.0, Pace.MODERATE), (13.0, Pace.FAST)):
        frames = [key_frame(speed, plan_of([speed] * 6, None), token=f"s{n}") for n in range(20)]
        told = {said.statement.narration.pace for said in said_of_all(frames)}
        assert told == {None, pace}


def test_without_a_plan_the_next_key_frames_tell() -> None:
    frames = [key_frame(8.0 - 4 * i, None, route_s=ROUTE_S + 3 * i, time_s=0.5 * i, token=f"s{i}") for i in range(3)]
    assert np.allclose(ego_path(frames, 0).points[-1], frames[2].state.ego.xy)
    assert said_of_all(frames)[0].statement.narration.speed is Maneuver.DECELERATE


def test_turns_and_bends_are_told_apart() -> None:
    city, route = helpers.cornering_city(radius=15.0), helpers.cornering_route(radius=15.0)
    turning = key_frame(6.0, plan_of([6.0] * 6, None, turn=1.1), route=route, route_s=80.0)
    assert said_of(turning, city=city, route=route).statement.narration.lateral is LateralManeuver.TURN_LEFT
    bend = key_frame(6.0, plan_of([6.0] * 6, None, turn=-0.4), token="bend")
    said = said_of(bend).statement
    assert said.narration.lateral is LateralManeuver.KEEP_LANE
    assert said.narration.where in (Where.CURVE_RIGHT, Where.NOWHERE)


def test_lane_changes_are_told_where_the_path_shows_them() -> None:
    decision = Decision(Maneuver.KEEP_SPEED, LateralManeuver.CHANGE_RIGHT)
    changes = said_of(key_frame(10.0, plan_of([10.0] * 6, decision, aside=-2.5)))
    assert changes.statement.narration.lateral is LateralManeuver.CHANGE_RIGHT
    assert changes.statement.reasoning.lateral == Reason(Cause.FREE_ROAD)
    stays = said_of(key_frame(10.0, plan_of([10.0] * 6, decision)))
    assert stays.statement.narration.lateral is LateralManeuver.KEEP_LANE


BRAKING = plan_of([7.0, 5.5, 4.0, 2.5, 1.0, 0.2], None)


def case(actors: Actors, cause: Cause, told: Cause, action: Action, noun: str, side: Side = Side.NONE) -> tuple:
    """An actor, the planner's word for it, and the reason that is told."""
    return actors, cause, (told, action, noun, side)


ACROSS = np.pi / 2
PARKED, RIDER = ActorFlag.PARKED, ActorFlag.RIDER


@pytest.mark.parametrize(
    ("actors", "cause", "reason"),
    [
        case(
            ahead(ActorKind.TRUCK, 20, speed=5.0), Cause.LEAD_BRAKING,
            Cause.LEAD_BRAKING, Action.PRESENT, "truck",
        ),
        case(
            ahead(ActorKind.TRUCK, 20), Cause.LEAD_BRAKING,
            Cause.STOPPED_VEHICLE, Action.AHEAD, "truck",
        ),
        case(
            ahead(ActorKind.CAR, 20, flags=PARKED), Cause.STOPPED_VEHICLE,
            Cause.STOPPED_VEHICLE, Action.PARKED, "car",
        ),
        case(
            ahead(ActorKind.BUS, 20), Cause.BUS_AT_STOP,
            Cause.BUS_AT_STOP, Action.PRESENT, "bus",
        ),
        case(
            ahead(ActorKind.VAN, 20, aside=-2.5, heading=0.15, speed=7.0), Cause.LEAD_VEHICLE,
            Cause.CUT_IN, Action.PRESENT, "van", Side.RIGHT,
        ),
        case(
            ahead(ActorKind.CAR, 40, aside=3.5, heading=np.pi, speed=8.0), Cause.ONCOMING_TRAFFIC,
            Cause.ONCOMING_TRAFFIC, Action.PRESENT, "car",
        ),
        case(
            ahead(ActorKind.CAR, 20, aside=8.0, heading=-ACROSS, speed=5.0), Cause.CROSS_TRAFFIC,
            Cause.CROSS_TRAFFIC, Action.PRESENT, "car", Side.LEFT,
        ),
        case(
            ahead(ActorKind.PEDESTRIAN, 15, aside=-2.0, heading=ACROSS, speed=1.4), Cause.PEDESTRIAN,
            Cause.PEDESTRIAN, Action.CROSSING, "pedestrian", Side.RIGHT,
        ),
        case(
            ahead(ActorKind.PEDESTRIAN, 100, aside=-2.0, heading=ACROSS, speed=1.4), Cause.PEDESTRIAN,
            Cause.PEDESTRIAN, Action.ON_CROSSING, "pedestrian",
        ),
        case(
            ahead(ActorKind.PEDESTRIAN, 15, aside=-6.5), Cause.PEDESTRIAN,
            Cause.PEDESTRIAN, Action.WAITING, "pedestrian", Side.RIGHT,
        ),
        case(
            ahead(ActorKind.BICYCLE, 15, heading=ACROSS, speed=3.0, flags=RIDER), Cause.CYCLIST,
            Cause.CYCLIST, Action.CROSSING, "cyclist", Side.RIGHT,
        ),
        case(
            ahead(ActorKind.BICYCLE, 15, speed=3.0, flags=RIDER), Cause.LEAD_VEHICLE,
            Cause.CYCLIST, Action.AHEAD, "cyclist",
        ),
        case(
            ahead(ActorKind.BARRIER, 15), Cause.WORKS,
            Cause.WORKS, Action.PRESENT, "barrier",
        ),
        case(
            ahead(ActorKind.CONE, 15), Cause.OBSTACLE,
            Cause.OBSTACLE, Action.PRESENT, "traffic cone",
        ),
    ],
)  # fmt: skip
def test_the_yielding_cause_is_told(actors: Actors, cause: Cause, reason: tuple) -> None:
    plan = EgoPlan(0.0, BRAKING.times_s, BRAKING.points_ego, BRAKING.headings_ego, why(cause, Maneuver.STOP))
    facts = facts_of(key_frame(8.0, plan, actors))
    told = reason_why(MOTION_STOP, facts, helpers.straight_route(), helpers.straight_city(), ()).speed
    assert told is not None and told.object is not None
    assert (told.cause, told.action, told.object.noun, told.side) == reason
    said_of(key_frame(8.0, plan, actors))


MOTION_STOP = EgoMotion(Maneuver.STOP, LateralManeuver.KEEP_LANE, Pace.MODERATE, Side.NONE, 10.0, 0.0)


def facts_of(frame: KeyFrame, city: CityMap | None = None, route: Route | None = None) -> FrameFacts:
    return frame_facts(frame, RoadIndex(city or helpers.straight_city()), route or helpers.straight_route())


def test_stepping_out_needs_parked_cars() -> None:
    walker = ahead(ActorKind.PEDESTRIAN, 15, aside=-3.0, heading=np.pi / 2, speed=1.4)
    parked = ahead(ActorKind.CAR, 12, aside=-4.6, name="parked", flags=ActorFlag.PARKED)
    plan = EgoPlan(0.0, BRAKING.times_s, BRAKING.points_ego, BRAKING.headings_ego, why(Cause.PEDESTRIAN))
    told = said_of(key_frame(8.0, plan, join_actors([walker, parked]))).statement.reasoning.speed
    assert told is not None and told.action is Action.STEPPING_OUT
    told = said_of(key_frame(8.0, plan, walker)).statement.reasoning.speed
    assert told is not None and told.action is Action.CROSSING


def test_who_is_not_seen_is_not_told() -> None:
    frame = key_frame(8.0, plan_of([7, 5, 3, 1, 0, 0], why(Cause.PEDESTRIAN)), ahead(ActorKind.PEDESTRIAN, 15))
    unseen = KeyFrame(frame.sample_token, frame.state, frame.route_s, frame.command, frame.plan, {})
    hidden = {name: LabelFact(label.token, 0.0, (), 0) for name, label in frame.labels.items()}
    for labels in (unseen.labels, hidden):
        blind = KeyFrame(frame.sample_token, frame.state, frame.route_s, frame.command, frame.plan, labels)
        assert said_of(blind).statement.reasoning.speed == Reason(None)
    told = said_of(frame).statement.reasoning.speed
    assert told is not None and told.cause is Cause.PEDESTRIAN


@pytest.mark.parametrize(
    ("actors", "cause"),
    [
        (ahead(ActorKind.PEDESTRIAN, 12, aside=2.0, heading=-ACROSS, speed=1.2), Cause.PEDESTRIAN),
        (ahead(ActorKind.BICYCLE, 12, speed=3.0, flags=RIDER), Cause.CYCLIST),
        (ahead(ActorKind.CAR, 14, aside=6.0, heading=-ACROSS, speed=3.0), Cause.CROSS_TRAFFIC),
        (ahead(ActorKind.CAR, 14, aside=-6.0, heading=-ACROSS, speed=3.0), None),  # it drives away from the ego's way
        (ahead(ActorKind.CAR, 14, speed=3.0), Cause.LEAD_VEHICLE),
        (ahead(ActorKind.CAR, 14, speed=3.0, flags=ActorFlag.BRAKE), Cause.LEAD_BRAKING),
        (ahead(ActorKind.PEDESTRIAN, 12, aside=-7.0, speed=1.2), None),
        (no_actors(), None),
    ],
)
def test_without_a_decision_the_scene_tells(actors: Actors, cause: Cause | None) -> None:
    told = said_of(key_frame(8.0, BRAKING, actors)).statement.reasoning.speed
    assert told is not None and told.cause is cause


def test_a_road_with_somebody_on_it_is_not_free() -> None:
    free = plan_of([8.0] * 6, Decision(Maneuver.KEEP_SPEED))
    there = ahead(ActorKind.PEDESTRIAN, 12, aside=-1.0, speed=1.0)
    assert said_of(key_frame(8.0, free, there)).statement.reasoning.speed == Reason(None)
    assert said_of(key_frame(8.0, free)).statement.reasoning.speed == Reason(Cause.FREE_ROAD)


def test_leader_is_named_with_its_colour() -> None:
    leader = ahead(ActorKind.TRUCK, 18, speed=8.0)
    leader.colors[:] = (240, 240, 240)
    frames = [key_frame(8.0, plan_of([8.0] * 6, why(Cause.LEAD_VEHICLE)), leader, token=f"s{n}") for n in range(9)]
    leaders = {said.statement.narration.leader for said in said_of_all(frames)}
    assert leaders == {None, NamedObject("truck", "white")}


def test_lights_are_told_as_they_shine() -> None:
    city, route = helpers.straight_city(signal=True), helpers.signal_route()
    stop = plan_of([6.0, 4.0, 2.0, 0.5, 0.0, 0.0], Decision(Maneuver.STOP, cause=Cause.RED_LIGHT, signal=0))
    for shown, cause in ((SignalColor.RED, Cause.RED_LIGHT), (SignalColor.YELLOW, Cause.YELLOW_LIGHT)):
        frame = key_frame(8.0, stop, route=route, route_s=275.0, signals=(shown,))
        assert said_of(frame, city=city, route=route).statement.reasoning.speed == Reason(cause)
    green = key_frame(8.0, stop, route=route, route_s=275.0, signals=(SignalColor.GREEN,))
    assert said_of(green, city=city, route=route).statement.reasoning.speed == Reason(None)
    far = key_frame(8.0, stop, route=route, route_s=100.0, signals=(SignalColor.RED,))
    assert said_of(far, city=city, route=route).statement.reasoning.speed == Reason(None)


def test_waiting_at_a_red_light_and_starting_at_green() -> None:
    city, route = helpers.straight_city(signal=True), helpers.signal_route()
    red, free = Decision(Maneuver.WAIT, cause=Cause.RED_LIGHT, signal=0), Decision(Maneuver.START)
    waits = plan_of([0.0] * 6, red)
    starts = plan_of([0.2, 0.8, 1.5, 2.2, 2.9, 3.6], free)
    frames = [
        key_frame(0.0, waits, route=route, route_s=293.0, signals=(SignalColor.RED,), token="red"),
        key_frame(0.0, starts, route=route, route_s=293.0, signals=(SignalColor.GREEN,), time_s=0.5, token="green"),
    ]
    first, second = (said.statement for said in said_of_all(frames, city=city, route=route))
    assert first.narration.speed is Maneuver.WAIT and first.reasoning.speed == Reason(Cause.RED_LIGHT)
    assert second.narration.speed is Maneuver.START and second.reasoning.speed == Reason(Cause.GREEN_LIGHT)


def test_what_has_cleared_is_told() -> None:
    walker = ahead(ActorKind.PEDESTRIAN, 10, heading=np.pi / 2, speed=1.4)
    gone = ahead(ActorKind.PEDESTRIAN, 10, aside=6.0, heading=np.pi / 2, speed=1.4)
    frames = [
        key_frame(0.0, plan_of([0.0] * 6, why(Cause.PEDESTRIAN, Maneuver.WAIT)), walker, token="waits"),
        key_frame(0.0, plan_of([0.2, 0.8, 1.5, 2, 3, 4], Decision(Maneuver.START)), gone, time_s=0.5, token="goes"),
    ]
    assert said_of_all(frames)[1].statement.reasoning.speed == Reason(Cause.PEDESTRIAN, Action.CLEARED)


def test_at_the_end_of_the_route() -> None:
    decision = Decision(Maneuver.STOP, cause=Cause.ROUTE_END)
    near = said_of(key_frame(9.0, plan_of([8.5, 8, 7, 6, 5, 4], decision), route_s=540.0))
    assert near.statement.reasoning.speed == Reason(Cause.ROUTE_END, Action.AHEAD)
    there = said_of(key_frame(2.0, plan_of([1.5, 1.0, 0.5, 0.1, 0, 0], decision), route_s=596.0))
    assert there.statement.reasoning.speed == Reason(Cause.ROUTE_END)


def test_stops_before_a_crossing() -> None:
    route = helpers.straight_route(stops=[RouteStop(208.0, 212.0, StopKind.CROSSING, 0)])
    stops = plan_of([4.0, 2.5, 1.0, 0.2, 0.0, 0.0], Decision(Maneuver.STOP))
    frames = [key_frame(5.0, stops, route=route, token=f"s{n}") for n in range(9)]
    told = {said.statement.narration.where for said in said_of_all(frames, route=route)}
    assert told == {Where.AT_CROSSING, Where.NOWHERE}


def motions() -> list[EgoMotion]:
    return [
        EgoMotion(speed, lateral, pace, bend, 12.0, 3.0)
        for speed, lateral, pace, bend in itertools.product(
            Maneuver, LateralManeuver, (Pace.SLOW, Pace.FAST), (Side.NONE, Side.LEFT)
        )
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_every_reason_has_words(split: str) -> None:
    """All causes with all kinds of actors doing all they may: whatever `reason_why` gives is said and read back."""
    others = [
        ahead(kind, x, aside=y, heading=heading, speed=speed, flags=flags)
        for kind in ActorKind
        for x, y in ((15.0, 0.0), (20.0, -6.5), (100.0, -2.0))
        for heading, speed in ((0.0, 0.0), (0.1, 6.0), (np.pi, 4.0), (np.pi / 2, 1.4))
        for flags in (0, ActorFlag.PARKED | ActorFlag.RIDER | ActorFlag.SITTING)
    ][SPLITS.index(split) % 2 :: 2]
    chooser = Chooser(split, 1)
    route, city = helpers.straight_route(), helpers.straight_city()
    every = motions()
    roads = RoadIndex(city)
    given: dict[object, int] = {}
    for number, actors in enumerate(others):
        frame = key_frame(6.0, None, actors)
        facts = frame_facts(frame, roads, route)
        for kind, cause in enumerate(Cause):
            decision = Decision(cause=cause, actor_id="it", lateral_cause=cause, lateral_actor_id="it")
            object.__setattr__(frame, "plan", plan_of([6.0] * 6, decision))
            for turn in range(3):
                motion = every[(number * 7 + kind * 5 + turn * 41) % len(every)]
                before = [Decision(cause=list(Cause)[(number + turn) % len(Cause)], actor_id="it")]
                reasons = reason_why(motion, facts, route, city, before if turn else ())
                text, said = say_reasoning(reasons, chooser, (number, kind, turn))
                assert parse_reasoning(text) == said, text
                for reason in (said.speed, said.lateral):
                    if reason is not None:
                        given[reason.cause, reason.action] = number
    assert len(given) > 35
