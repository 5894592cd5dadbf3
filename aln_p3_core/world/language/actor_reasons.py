"""Somebody else as the reason: the planner names who it is and why, the words tell what that one really does."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.language.facts import FrameFacts
from aln_p3_core.world.language.naming import coming_from, entering_from, named_object, side_of
from aln_p3_core.world.language.narration import FRONT_M
from aln_p3_core.world.language.stated import Action, Motion, Place, Reason, Side
from aln_p3_core.world.planners.planner import Cause

#: Nothing that a camera sees explains the motion.
UNTOLD = Reason(None)
_PARKED_NEAR_M = 5.0
_STILL = (Motion.STOPPED, Motion.PARKED)
_OFF_ROAD = (Place.PAVEMENT, Place.ROADSIDE, Place.OFF_ROAD)
_ACROSS = (Motion.TO_LEFT, Motion.TO_RIGHT)
_LEADS = (Cause.LEAD_VEHICLE, Cause.LEAD_BRAKING, Cause.STOPPED_VEHICLE, Cause.BUS_AT_STOP)


def actor_reason(facts: FrameFacts, cause: Cause, row: int) -> Reason:
    """A cause that is somebody else: who, where, doing what.

    Args:
        facts: of the key frame. cause: the planner's. row: of the actor, -1 when no camera sees it.

    Returns:
        The reason, whose cause is what the actor does where that differs from the planner's word (a vehicle ahead
        that stands is a stopped vehicle). `UNTOLD` where it is not seen, or where what it does is no reason.
    """
    if row < 0:
        return UNTOLD
    kind, named = facts.kinds[row], named_object(facts, row)
    if cause is Cause.WORKS:
        return Reason(cause, object=named if kind.is_static else None)
    if kind is ActorKind.PEDESTRIAN:
        action, side = _pedestrian_action(facts, row)
        return Reason(Cause.PEDESTRIAN, action, named, side)
    if kind.is_static:
        return Reason(Cause.OBSTACLE, object=named)
    if kind is ActorKind.BICYCLE and cause not in (Cause.CUT_IN, Cause.MERGING_TRAFFIC):
        cause = Cause.CYCLIST
    elif cause in (Cause.PEDESTRIAN, Cause.CYCLIST):
        cause = Cause.LEAD_VEHICLE
    if cause is Cause.CYCLIST:
        return _cyclist(facts, row)
    if cause in _LEADS:
        return _ahead(facts, row, cause)
    if cause is Cause.OBSTACLE:
        return Reason(cause, object=named)
    if facts.motions[row] in _STILL:
        return UNTOLD  # who stands neither comes nor crosses nor cuts in
    side = Side.NONE
    if cause in (Cause.CUT_IN, Cause.MERGING_TRAFFIC):
        side = entering_from(facts, row)
        side = side_of(facts, row) if side is Side.NONE else side
    elif cause is Cause.CROSS_TRAFFIC:
        side = coming_from(facts, row)
    return Reason(cause, object=named, side=side)


def person_ahead(facts: FrameFacts, reach_m: float, aside_m: float) -> int:
    """Row of the nearest pedestrian or cyclist on the road ahead, at most so far from the ego's way; -1 for none."""
    best, nearest = -1, reach_m
    for row, place in enumerate(facts.places):
        kind = facts.kinds[row]
        rides = kind is ActorKind.BICYCLE and bool(facts.flags[row] & ActorFlag.RIDER)
        if (kind is not ActorKind.PEDESTRIAN and not rides) or place in _OFF_ROAD or facts.route.off[row] > 0:
            continue
        gap = float(facts.route.ahead[row]) - FRONT_M
        if abs(float(facts.route.lateral[row])) <= aside_m and 0.0 < gap < nearest:
            best, nearest = row, gap
    return best


def crosser_ahead(facts: FrameFacts, reach_m: float, aside_m: float) -> int:
    """Row of the nearest vehicle ahead that drives across towards the ego's way; -1 for none."""
    best, nearest = -1, reach_m
    for row, motion in enumerate(facts.motions):
        lateral, gap = float(facts.route.lateral[row]), float(facts.route.ahead[row]) - FRONT_M
        comes = (motion is Motion.TO_RIGHT and lateral > 0) or (motion is Motion.TO_LEFT and lateral < 0)
        if comes and facts.kinds[row].is_vehicle and abs(lateral) <= aside_m and 0.0 < gap < nearest:
            best, nearest = row, gap
    return best


def _ahead(facts: FrameFacts, row: int, cause: Cause) -> Reason:
    """A vehicle in the ego's way."""
    named, motion = named_object(facts, row), facts.motions[row]
    if motion is Motion.PARKED:
        return Reason(Cause.STOPPED_VEHICLE, Action.PARKED, named)
    if motion is Motion.STOPPED:
        if cause is Cause.BUS_AT_STOP:
            return Reason(cause, object=named)
        return Reason(Cause.STOPPED_VEHICLE, Action.AHEAD, named)
    if motion in _ACROSS:
        return Reason(Cause.CROSS_TRAFFIC, object=named, side=coming_from(facts, row))
    if motion is Motion.ONCOMING:
        return Reason(Cause.ONCOMING_TRAFFIC, object=named)
    entering = entering_from(facts, row)
    if entering is not Side.NONE:
        return Reason(Cause.CUT_IN, object=named, side=entering)
    if cause is Cause.LEAD_BRAKING:
        return Reason(cause, object=named)
    return Reason(Cause.LEAD_VEHICLE, Action.AHEAD, named)


def _cyclist(facts: FrameFacts, row: int) -> Reason:
    named, motion = named_object(facts, row), facts.motions[row]
    if motion in _STILL:
        action = Action.PARKED if motion is Motion.PARKED else Action.AHEAD
        return Reason(Cause.STOPPED_VEHICLE, action, named)
    if motion is Motion.ONCOMING:
        return Reason(Cause.ONCOMING_TRAFFIC, object=named)
    if motion in _ACROSS:
        return Reason(Cause.CYCLIST, Action.CROSSING, named, coming_from(facts, row))
    return Reason(Cause.CYCLIST, Action.AHEAD, named, side_of(facts, row))


def _pedestrian_action(facts: FrameFacts, row: int) -> tuple[Action, Side]:
    place, motion, side = facts.places[row], facts.motions[row], side_of(facts, row)
    off_road = place in _OFF_ROAD
    if motion in (Motion.STANDING, Motion.SITTING):
        return (Action.WAITING if off_road else Action.ON_ROAD), side
    if place is Place.CROSSING:
        return Action.ON_CROSSING, side
    if motion in _ACROSS:
        if _parked_beside(facts, row):
            return Action.STEPPING_OUT, side
        return Action.CROSSING, coming_from(facts, row)
    return (Action.NEAR if off_road else Action.ON_ROAD), side


def _parked_beside(facts: FrameFacts, row: int) -> bool:
    """Whether somebody comes from a row of parked cars: one is near, and not beyond the middle of the ego's way."""
    parked = np.array([motion is Motion.PARKED for motion in facts.motions], dtype=bool)
    delta = np.abs(facts.offsets - facts.offsets[row])
    same_side = np.sign(facts.route.lateral) == np.sign(facts.route.lateral[row])
    return bool((parked & same_side & (delta[:, 0] < _PARKED_NEAR_M) & (delta[:, 1] < 3.0)).any())
