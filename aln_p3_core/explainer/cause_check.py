"""What a text gives as the cause, or sets the drive beside, against the detected objects and the plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.explainer.consistency_settings import ConsistencySettings
from aln_p3_core.explainer.consistency_types import Finding, Kind, Verdict
from aln_p3_core.explainer.keyword_reader import WordedNarration
from aln_p3_core.explainer.plan_check import check_bend
from aln_p3_core.explainer.plan_motion import PlanMotion
from aln_p3_core.explainer.seen import CLASSES_OF, SeenAgents, SeenCrossings
from aln_p3_core.world.language.stated import Action, Reason, Side, Where
from aln_p3_core.world.planners.planner import Cause

BoolArray = NDArray[np.bool_]

#: Nothing that the driver publishes tells of these.
_UNSEEN = {
    Cause.RED_LIGHT: "the traffic light is red",
    Cause.YELLOW_LIGHT: "the traffic light is yellow",
    Cause.GREEN_LIGHT: "the traffic light is green",
    Cause.SPEED_LIMIT: "the speed limit is the reason",
    Cause.ROUTE_END: "it is near its destination",
}
#: Who it is where the text does not say.
_NOUN_OF = {
    Cause.PEDESTRIAN: "pedestrian",
    Cause.CYCLIST: "cyclist",
    Cause.BUS_AT_STOP: "bus",
    Cause.WORKS: "works",
    Cause.OBSTACLE: "object",
}
_IN_LANE = (Cause.LEAD_VEHICLE, Cause.LEAD_BRAKING, Cause.STOPPED_VEHICLE)


def check_reason(reason: Reason, motion: PlanMotion, seen: SeenAgents | None, limits: ConsistencySettings) -> Finding:
    """The finding on one reason."""
    cause, action = reason.cause, reason.action
    if cause is None:
        return Finding(Kind.CAUSE, Verdict.NOT_CHECKABLE, "it has a reason that nothing shows")
    if cause in _UNSEEN:
        return Finding(
            Kind.CAUSE, Verdict.NOT_CHECKABLE, _UNSEEN[cause], "traffic signs and lights are not detected", cause
        )
    if cause is Cause.CURVE or action is Action.TURN:
        shown = action is Action.TURN
        verdict = check_bend(reason.side, motion, limits, shown=shown)
        way = {Action.BEND: "the road bends", Action.TURN: "it turns"}.get(action, "it is going to turn")
        stated = f"{way} {reason.side.value}".strip()
        return Finding(Kind.CAUSE, verdict, stated, _way_found(motion, limits), cause)
    if action is Action.CLEARED:
        return Finding(Kind.CAUSE, Verdict.NOT_CHECKABLE, f"the {_noun(reason)} is out of its way", "", cause)
    if cause is Cause.FREE_ROAD:
        return _free_road(reason, motion, seen, limits)
    return _somebody(reason, motion, seen, limits)


def check_place(
    narration: WordedNarration,
    motion: PlanMotion,
    seen: SeenAgents | None,
    crossings: SeenCrossings | None,
    limits: ConsistencySettings,
) -> tuple[Finding, ...]:
    """The finding on what the drive is set beside; none where nothing is said (bends are a matter of direction)."""
    if narration.where is Where.BEHIND and narration.leader is not None:
        noun = narration.leader.noun
        stated = f"{_article(noun)} is ahead"
        if seen is None:
            return (Finding(Kind.PLACE, Verdict.NOT_CHECKABLE, stated),)
        rows = _nearest(seen, seen.of_classes(CLASSES_OF[noun], limits.object_score) & _in_lane(seen, limits))
        return (_found(Kind.PLACE, stated, noun, rows, None, may_hide=_may_hide(motion, limits)),)
    if narration.where is Where.AT_CROSSING:
        stated = "it is at a pedestrian crossing"
        if crossings is None:
            return (Finding(Kind.PLACE, Verdict.NOT_CHECKABLE, stated),)
        near = crossings.nearest_m < limits.crossing_reach_m
        verdict = Verdict.CONSISTENT if near else Verdict.CONTRADICTS
        return (
            Finding(Kind.PLACE, verdict, stated, "one is near" if near else "no pedestrian crossing is detected near"),
        )
    if narration.where in (Where.AT_INTERSECTION, Where.THROUGH_INTERSECTION):
        return (Finding(Kind.PLACE, Verdict.NOT_CHECKABLE, "it is at an intersection"),)
    return ()


def _free_road(reason: Reason, motion: PlanMotion, seen: SeenAgents | None, limits: ConsistencySettings) -> Finding:
    stated = "the road ahead is free"
    if seen is None:
        return Finding(Kind.CAUSE, Verdict.NOT_CHECKABLE, stated, cause=reason.cause)
    reach = limits.clear_m + limits.clear_s * motion.speed_now
    there = seen.of_classes(CLASSES_OF["road user"], limits.blocking_score) & (seen.gaps < limits.clear_aside_m)
    rows = _nearest(seen, there & (seen.along > limits.behind_m) & (seen.along < reach))
    if not rows:
        return Finding(Kind.CAUSE, Verdict.CONSISTENT, stated, "nobody is detected in the way", reason.cause)
    name = seen.agents.class_names[int(seen.agents.class_ids[rows[0]])].replace("_", " ")
    found = f"{_article(name)} is detected {seen.along[rows[0]]:.0f} m ahead"
    return Finding(Kind.CAUSE, Verdict.CONTRADICTS, stated, found, reason.cause, rows)


def _somebody(reason: Reason, motion: PlanMotion, seen: SeenAgents | None, limits: ConsistencySettings) -> Finding:
    noun = _noun(reason)
    where, place = _zone(reason, seen, limits)
    stated = f"{_article(noun)} is {place}" if noun != "works" else f"road works are {place}"
    if seen is None:
        return Finding(Kind.CAUSE, Verdict.NOT_CHECKABLE, stated, cause=reason.cause)
    there = seen.of_classes(CLASSES_OF[noun], limits.object_score) & where & _on_side(reason, seen, limits)
    # Traffic that comes or crosses matters from far away, however short the plan is.
    comes = reason.cause in (Cause.ONCOMING_TRAFFIC, Cause.CROSS_TRAFFIC) and limits.traffic_reach_m > limits.sensed_m
    may_hide = comes or _may_hide(motion, limits)
    return _found(Kind.CAUSE, stated, noun, _nearest(seen, there), reason.cause, may_hide=may_hide)


def _zone(reason: Reason, seen: SeenAgents | None, limits: ConsistencySettings) -> tuple[BoolArray, str]:
    """[A] who is where the reason says and moves as it says, and that place in words."""
    on_side = f" on the {reason.side.value}" if reason.side is not Side.NONE else ""
    from_side = f" from the {reason.side.value}" if reason.side is not Side.NONE else ""
    nobody = np.zeros(0, dtype=bool)
    cause, action = reason.cause, reason.action
    if cause is Cause.ONCOMING_TRAFFIC:
        if seen is None:
            return nobody, "coming towards it"
        towards = (np.abs(seen.from_now) > limits.towards) | (np.abs(seen.courses) > limits.towards)
        return _ahead(seen, limits) & (seen.along < limits.traffic_reach_m) & towards, "coming towards it"
    if cause is Cause.CROSS_TRAFFIC:
        if seen is None:
            return nobody, f"crossing{from_side}"
        return _moves(seen, limits) & _across(seen, limits) & (
            _distance(seen) < limits.traffic_reach_m
        ), f"crossing{from_side}"
    if cause in _IN_LANE and action is not Action.PARKED:
        words = {Action.MOVING_OFF: "moving off ahead", Action.PULLING_AWAY: "pulling away ahead"}.get(action, "ahead")
        stands = cause is Cause.STOPPED_VEHICLE
        words = f"standing ahead{on_side}" if stands else words
        if seen is None:
            return nobody, words
        place = _near(seen, limits, action) if action is Action.PASS else _in_lane(seen, limits)
        if stands:
            place &= _still(seen, limits)
        elif action in (Action.MOVING_OFF, Action.PULLING_AWAY):
            place &= _moves(seen, limits)
        return place, words
    words = {
        Cause.STOPPED_VEHICLE: f"parked ahead{on_side}",
        Cause.BUS_AT_STOP: f"at a stop ahead{on_side}",
        Cause.CUT_IN: f"cutting in{from_side}",
        Cause.MERGING_TRAFFIC: f"merging{from_side}",
    }.get(cause or Cause.OBSTACLE, f"near its way{on_side or from_side}")
    if seen is None:
        return nobody, words
    place = _near(seen, limits, action)
    if cause in (Cause.STOPPED_VEHICLE, Cause.BUS_AT_STOP):
        place &= _still(seen, limits)
    return place, words


def _on_side(reason: Reason, seen: SeenAgents, limits: ConsistencySettings) -> BoolArray:
    """[A] on the side that is said: there, or (of who comes from a side) moving away from it."""
    if reason.side is Side.NONE:
        return np.ones(len(seen.bearings), dtype=bool)
    sign = 1.0 if reason.side is Side.LEFT else -1.0
    there = (sign * seen.bearings > 0) | (sign * seen.beside > 0)
    comes = sign * np.sin(seen.from_now) < -0.3
    return there | (comes & _moves(seen, limits))


def _found(
    kind: Kind, stated: str, noun: str, rows: tuple[int, ...], cause: Cause | None, *, may_hide: bool
) -> Finding:
    if rows:
        return Finding(kind, Verdict.CONSISTENT, stated, "it is detected there", cause, rows)
    if may_hide:
        return Finding(kind, Verdict.NOT_CHECKABLE, stated, "it may be farther away than detections reach", cause)
    what = "cones, barriers or machines are" if noun == "works" else f"{noun} is"
    return Finding(kind, Verdict.CONTRADICTS, stated, f"no {what} detected there", cause)


def _may_hide(motion: PlanMotion, limits: ConsistencySettings) -> bool:
    """What the plan answers to may be farther ahead than anything is detected."""
    return motion.length + limits.matters_beyond_m > limits.sensed_m


def _noun(reason: Reason) -> str:
    if reason.object is not None:
        return reason.object.noun
    return _NOUN_OF.get(reason.cause or Cause.OBSTACLE, "vehicle")


def _way_found(motion: PlanMotion, limits: ConsistencySettings) -> str:
    if abs(motion.turned) < limits.turn:
        return "the plan goes straight on"
    return f"the plan {'bends left' if motion.turned > 0 else 'bends right'}"


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _nearest(seen: SeenAgents, there: BoolArray) -> tuple[int, ...]:
    rows = np.flatnonzero(there)
    return tuple(int(row) for row in rows[np.argsort(_distance(seen)[rows], kind="stable")])


def _distance(seen: SeenAgents) -> NDArray[np.floating]:
    return np.hypot(seen.agents.centers_model[:, 0], seen.agents.centers_model[:, 1])


def _ahead(seen: SeenAgents, limits: ConsistencySettings) -> BoolArray:
    return seen.along > -limits.behind_m


def _in_lane(seen: SeenAgents, limits: ConsistencySettings) -> BoolArray:
    """Ahead, along the plan or straight ahead of the car: who waits before a turn stands behind others that go on."""
    centers = seen.agents.centers_model
    straight = (
        (np.abs(centers[:, 0]) < limits.lane_aside_m) & (centers[:, 1] > 0) & (centers[:, 1] < limits.lane_reach_m)
    )
    return (_ahead(seen, limits) & (seen.along < limits.lane_reach_m) & (seen.gaps < limits.lane_aside_m)) | straight


def _near(seen: SeenAgents, limits: ConsistencySettings, action: Action) -> BoolArray:
    passes = action in (Action.PASS, Action.PARKED)
    begins = -limits.passed_m if passes else -limits.behind_m
    return (seen.along > begins) & (seen.along < limits.near_reach_m) & (seen.gaps < limits.near_aside_m)


def _still(seen: SeenAgents, limits: ConsistencySettings) -> BoolArray:
    return ~(seen.speeds > limits.still_ms)  # an unknown speed speaks against nothing


def _moves(seen: SeenAgents, limits: ConsistencySettings) -> BoolArray:
    return ~(seen.speeds < limits.moving_ms)


def _across(seen: SeenAgents, limits: ConsistencySettings) -> BoolArray:
    angle = np.abs(seen.from_now)
    return (angle > limits.across) & (angle < np.pi - limits.across)
