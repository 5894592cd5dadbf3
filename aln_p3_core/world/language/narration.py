"""What the ego does, as a statement: its motion in the next seconds and what it is set beside."""

from __future__ import annotations

from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH
from aln_p3_core.world.language.ego_motion import EgoMotion
from aln_p3_core.world.language.facts import FrameFacts
from aln_p3_core.world.language.grammar import Chooser
from aln_p3_core.world.language.naming import named_object
from aln_p3_core.world.language.stated import NamedObject, Narration, Place, Side, Where
from aln_p3_core.world.planners.planner import LateralManeuver, Maneuver
from aln_p3_core.world.route import Route, StopKind

FRONT_M = EGO_CENTER_AHEAD_M + EGO_SIZE_LWH[0] / 2
#: The ego is "at" a junction or crossing when its stop line is at most this far ahead, m.
_AT_STOP_M = 8.0
_LEADER_M = 30.0
#: Who ends slower than this, m/s, does not drive through a junction, or not yet.
_CROSSING_SPEED = 2.0
_STANDING = (Maneuver.STOP, Maneuver.WAIT, Maneuver.START, Maneuver.DECELERATE)


def narrate(
    motion: EgoMotion, facts: FrameFacts, route: Route, connector_ahead: bool, chooser: Chooser, key: object
) -> Narration:
    """The statement for one key frame.

    Args:
        motion: what the ego does. facts: of the key frame. route: of the ego.
        connector_ahead: whether its path in the next seconds leads over a junction.
        chooser, key: draw by lot what is mentioned where several things could be.
    """
    pace = motion.pace if motion.speed is Maneuver.KEEP_SPEED and chooser.chance(0.7, key, "with pace") else None
    where, leader = _beside(motion, facts, route, connector_ahead)
    if where is not Where.NOWHERE and not chooser.chance(0.75, key, "with where"):
        where, leader = Where.NOWHERE, None
    return Narration(motion.speed, motion.lateral, pace, where, leader)


def leading(facts: FrameFacts, reach_m: float) -> int:
    """Row of the nearest vehicle ahead in the ego's lane and direction, -1 for none."""
    best, nearest = -1, reach_m
    for row, place in enumerate(facts.places):
        gap = float(facts.route.ahead[row]) - FRONT_M
        aligned = abs(float(facts.headings[row])) < 1.0
        if place is Place.EGO_LANE and facts.kinds[row].is_vehicle and aligned and 0.0 < gap < nearest:
            best, nearest = row, gap
    return best


def _beside(
    motion: EgoMotion, facts: FrameFacts, route: Route, connector_ahead: bool
) -> tuple[Where, NamedObject | None]:
    frame = facts.frame
    front_s = frame.route_s + FRONT_M
    keeps = motion.lateral is LateralManeuver.KEEP_LANE
    stop = next((s for s in route.stops if s.end_s > front_s and s.s < front_s + _AT_STOP_M), None)
    row = leading(facts, _LEADER_M)
    # Whoever stands in a queue stands behind its last car, wherever the stop line is.
    if row >= 0 and (stop is None or facts.route.ahead[row] < stop.s - frame.route_s):
        if keeps and facts.distances[row] < 8.0 + 2.0 * frame.state.ego.speed:
            return Where.BEHIND, named_object(facts, row)
        if motion.speed in (Maneuver.STOP, Maneuver.WAIT):
            return Where.NOWHERE, None
    if stop is not None and motion.speed in _STANDING and front_s < stop.s + 2.0:
        at_crossing = stop.kind is StopKind.CROSSING
        return (Where.AT_CROSSING if at_crossing else Where.AT_INTERSECTION), None
    if not keeps:
        return Where.NOWHERE, None
    if motion.bend is not Side.NONE and motion.speed is not Maneuver.WAIT:
        return (Where.CURVE_LEFT if motion.bend is Side.LEFT else Where.CURVE_RIGHT), None
    stays = motion.speed in (Maneuver.WAIT, Maneuver.STOP) or motion.final_speed < _CROSSING_SPEED
    if connector_ahead and not stays:
        return Where.THROUGH_INTERSECTION, None
    return Where.NOWHERE, None
