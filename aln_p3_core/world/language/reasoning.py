"""Why the ego does it, as a statement: the planner's cause, made concrete, and only where it explains the motion.

A cause that no camera shows is not named, and a cause that contradicts the motion (a car ahead does not explain why
the ego accelerates, unless it moves off) is not used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aln_p3_core.world.actors import ActorFlag
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.language.actor_reasons import UNTOLD, actor_reason, crosser_ahead, person_ahead
from aln_p3_core.world.language.ego_motion import EgoMotion, bend_ahead
from aln_p3_core.world.language.facts import FrameFacts
from aln_p3_core.world.language.naming import named_object, side_of
from aln_p3_core.world.language.narration import leading
from aln_p3_core.world.language.stated import Action, Motion, Pace, Reason, Reasoning, Side
from aln_p3_core.world.planners.planner import Cause, Decision, LateralManeuver, Maneuver
from aln_p3_core.world.route import Route
from aln_p3_core.world.state import SignalColor

_FASTER = (Maneuver.ACCELERATE, Maneuver.START)
_SIDEWAYS = (
    LateralManeuver.CHANGE_LEFT, LateralManeuver.CHANGE_RIGHT, LateralManeuver.NUDGE_LEFT, LateralManeuver.NUDGE_RIGHT,
)  # fmt: skip
_TURNS = {LateralManeuver.TURN_LEFT: Side.LEFT, LateralManeuver.TURN_RIGHT: Side.RIGHT}
#: What an ego has waited for may be told as over for so many seconds after it moves again.
CLEARED_S = 2.6
_CLEARED = {
    Cause.PEDESTRIAN: Cause.PEDESTRIAN,
    Cause.CYCLIST: Cause.CYCLIST,
    Cause.CROSS_TRAFFIC: Cause.CROSS_TRAFFIC,
    Cause.ONCOMING_TRAFFIC: Cause.ONCOMING_TRAFFIC,
    Cause.STOPPED_VEHICLE: Cause.LEAD_VEHICLE,
    Cause.LEAD_BRAKING: Cause.LEAD_VEHICLE,
    Cause.LEAD_VEHICLE: Cause.LEAD_VEHICLE,
}
_LIGHTS = {
    Cause.RED_LIGHT: (SignalColor.RED,),
    Cause.YELLOW_LIGHT: (SignalColor.YELLOW,),
    Cause.GREEN_LIGHT: (SignalColor.GREEN, SignalColor.GREEN_YIELD),
}
_LIGHT_SEEN_M = 80.0
_LIGHT_NEAR_M = 30.0
_CLEAR_ROAD_M = 12.0
#: Somebody on foot or on a bicycle is in the ego's way within the first, m aside, and reason to slow within the second.
_PERSON_IN_WAY_M, _PERSON_BESIDE_M = 1.8, 4.0
#: A vehicle that drives across is reason to slow within this, m aside.
_CROSSER_BESIDE_M = 10.0
#: A bend is no reason to become so slow that the sideways acceleration in it stays below this, m/s^2.
_BEND_ACCELERATION = 0.5
#: Somebody ahead who is slower than this has just started, m/s.
_STARTING_SPEED = 3.0
#: A lower limit is told so far before it begins, beyond the ego's next seconds, m.
_LIMIT_AHEAD_M = 30.0


def reason_why(
    motion: EgoMotion, facts: FrameFacts, route: Route, city: CityMap, before: Sequence[Decision]
) -> Reasoning:
    """The statement for one key frame.

    Args:
        motion: what the ego does. facts: of the key frame, whose plan may hold a decision.
        route, city: of the scene.
        before: decisions of the key frames of the last `CLEARED_S` seconds, the latest first.
    """
    decision = facts.frame.plan.decision if facts.frame.plan is not None else None
    lateral = _lateral_reason(motion, facts, decision)
    speed = _speed_reason(motion, facts, route, city, decision, before)
    if lateral is not None and (speed.cause in (Cause.FREE_ROAD, None) or motion.speed is Maneuver.KEEP_SPEED):
        return Reasoning(None, lateral)
    keeps = motion.lateral in _TURNS and motion.speed is Maneuver.KEEP_SPEED
    if keeps and speed.cause in (Cause.FREE_ROAD, Cause.CURVE, None):
        return Reasoning(Reason(Cause.FREE_ROAD, Action.TURN, side=_TURNS[motion.lateral]))
    return Reasoning(speed, lateral)


def _speed_reason(
    motion: EgoMotion,
    facts: FrameFacts,
    route: Route,
    city: CityMap,
    decision: Decision | None,
    before: Sequence[Decision],
) -> Reason:
    if decision is None:
        return _from_the_scene(motion, facts, route)
    cause = decision.cause
    if cause in _LIGHTS:
        return _light_reason(motion, facts, city, decision)
    if cause is Cause.FREE_ROAD:
        return _free_reason(motion, facts, route, before)
    if cause is Cause.SPEED_LIMIT:
        return _limit_reason(motion, facts, route, before)
    if cause is Cause.CURVE:
        if motion.speed in _FASTER:
            return _free_reason(motion, facts, route, ())
        return _curve_ahead(motion, facts, route, max(25.0, 4.0 * facts.frame.state.ego.speed))
    if cause is Cause.ROUTE_END:
        if motion.speed in (Maneuver.STOP, Maneuver.WAIT):
            return Reason(cause)
        slower = motion.speed is Maneuver.DECELERATE
        return Reason(cause, Action.AHEAD) if slower else _free_reason(motion, facts, route, before)
    if motion.speed in _FASTER:
        # Faster in spite of somebody: not because nothing is in its way, nor because it has cleared.
        going = _moving_off(facts, decision)
        if going is not None or cause in _CLEARED:
            return going or _moving_off_ahead(facts)
        return _free_reason(motion, facts, route, before)
    reason = actor_reason(facts, cause, facts.row(decision.actor_id))
    if motion.speed is Maneuver.KEEP_SPEED:
        return _steady_reason(motion, reason)
    if reason is UNTOLD and motion.speed is Maneuver.DECELERATE:
        return _turn_ahead(motion, facts, route, motion.path_length + _LIMIT_AHEAD_M) or UNTOLD
    return reason


def _steady_reason(motion: EgoMotion, reason: Reason) -> Reason:
    """A reason for driving on at the same speed: who is ahead, or for a slow ego whatever it is slow for."""
    if reason.cause is Cause.LEAD_BRAKING:
        return Reason(Cause.LEAD_VEHICLE, Action.AHEAD, reason.object)
    follows = reason.cause in (Cause.LEAD_VEHICLE, Cause.CUT_IN, Cause.MERGING_TRAFFIC)
    follows = follows or (reason.cause, reason.action) == (Cause.CYCLIST, Action.AHEAD)
    return reason if follows or motion.pace is Pace.SLOW else UNTOLD


def _light_reason(motion: EgoMotion, facts: FrameFacts, city: CityMap, decision: Decision) -> Reason:
    cause, signal = decision.cause, decision.signal
    state = facts.frame.state
    if not 0 <= signal < len(city.signals):
        return UNTOLD
    ego = state.ego
    delta = np.asarray(city.signals[signal].head[:2]) - ego.center
    distance = float(np.hypot(*delta))
    ahead = float(delta @ np.array([np.cos(ego.heading), np.sin(ego.heading)]))
    if distance > _LIGHT_SEEN_M or (ahead < 0 and distance > _LIGHT_NEAR_M):
        return UNTOLD
    shown = SignalColor(int(state.signals[signal]))
    if shown not in _LIGHTS[cause]:
        told = next((c for c, colors in _LIGHTS.items() if shown in colors), None)
        if told is None:
            return UNTOLD
        cause = told
    goes = motion.speed in (*_FASTER, Maneuver.KEEP_SPEED)
    if (cause is Cause.GREEN_LIGHT) != goes:
        # Rolling on towards a red light at a steady speed is not because it is red, nor braking because it is green.
        return UNTOLD
    return Reason(cause)


def _free_reason(motion: EgoMotion, facts: FrameFacts, route: Route, before: Sequence[Decision]) -> Reason:
    if motion.speed in _FASTER:
        for past in before:
            if past.cause in (Cause.RED_LIGHT, Cause.YELLOW_LIGHT):
                signals = facts.frame.state.signals
                shown = int(signals[past.signal]) if 0 <= past.signal < len(signals) else SignalColor.OFF
                if shown in (SignalColor.GREEN, SignalColor.GREEN_YIELD):
                    return Reason(Cause.GREEN_LIGHT)
            elif past.cause in (Cause.PEDESTRIAN, Cause.CYCLIST, Cause.CROSS_TRAFFIC, Cause.ONCOMING_TRAFFIC):
                return Reason(past.cause, Action.CLEARED)
            elif past.cause in _CLEARED:
                return _moving_off(facts, past) or Reason(_CLEARED[past.cause], Action.CLEARED)
        return _free_road(facts) if _road_is_clear(facts) else _moving_off_ahead(facts)
    if motion.speed is Maneuver.KEEP_SPEED:
        row = leading(facts, _CLEAR_ROAD_M + facts.frame.state.ego.speed)
        return actor_reason(facts, Cause.LEAD_VEHICLE, row) if row >= 0 else _free_road(facts)
    return _from_the_scene(motion, facts, route)


def _limit_reason(motion: EgoMotion, facts: FrameFacts, route: Route, before: Sequence[Decision]) -> Reason:
    s, speed = facts.frame.route_s, facts.frame.state.ego.speed
    here = float(np.interp(s, route.s, route.speed_limits))
    ahead = (route.s >= s) & (route.s <= s + motion.path_length + _LIMIT_AHEAD_M)
    later = float(route.speed_limits[ahead].min(initial=here))
    if motion.speed is Maneuver.KEEP_SPEED:
        return Reason(Cause.SPEED_LIMIT, Action.REACHED) if speed > 0.8 * here else _free_road(facts)
    if motion.speed is Maneuver.DECELERATE:
        reach = motion.path_length + _LIMIT_AHEAD_M
        if later < here - 0.5 or speed > here + 0.3:
            # The limit of a turn is the turn's: nothing else tells of it on the road.
            return _turn_ahead(motion, facts, route, reach) or Reason(Cause.SPEED_LIMIT, Action.LOWER)
        curve = _curve_ahead(motion, facts, route, reach)
        return _from_the_scene(motion, facts, route) if curve is UNTOLD else curve
    if motion.speed is Maneuver.ACCELERATE and not before:
        return Reason(Cause.SPEED_LIMIT, Action.BELOW)
    return _free_reason(motion, facts, route, before)


def _curve_ahead(motion: EgoMotion, facts: FrameFacts, route: Route, reach_m: float) -> Reason:
    turn = _turn_ahead(motion, facts, route, reach_m)
    if turn is not None:
        return turn
    side = motion.bend
    if side is Side.NONE:
        side, _ = bend_ahead(route, facts.frame.route_s, reach_m)
    return Reason(Cause.CURVE, Action.BEND, side=side) if side is not Side.NONE else UNTOLD


def _turn_ahead(motion: EgoMotion, facts: FrameFacts, route: Route, reach_m: float) -> Reason | None:
    """The turn that the ego makes or that comes within some metres."""
    if motion.lateral in _TURNS:
        return Reason(Cause.CURVE, Action.TURN, side=_TURNS[motion.lateral])
    s = facts.frame.route_s
    for start, end, command in route.turns:
        if s < end and start < s + reach_m:
            return Reason(Cause.CURVE, Action.TURN_AHEAD, side=Side[command.name])
    return None


def _moving_off(facts: FrameFacts, decision: Decision) -> Reason | None:
    """The vehicle that the ego waited for or follows is moving ahead of it."""
    row = facts.row(decision.actor_id)
    if decision.cause not in (Cause.LEAD_VEHICLE, Cause.STOPPED_VEHICLE, Cause.LEAD_BRAKING, Cause.BUS_AT_STOP):
        return None
    return _gets_going(facts, row)


def _moving_off_ahead(facts: FrameFacts) -> Reason:
    return _gets_going(facts, leading(facts, 30.0)) or UNTOLD


def _gets_going(facts: FrameFacts, row: int) -> Reason | None:
    """Somebody ahead starts, or drives away from the ego."""
    if row < 0 or facts.speeds[row] < 1.0 or facts.route.ahead[row] < 0:
        return None
    if facts.speeds[row] < _STARTING_SPEED:
        return Reason(Cause.LEAD_VEHICLE, Action.MOVING_OFF, named_object(facts, row))
    if facts.speeds[row] < facts.frame.state.ego.speed:
        return None
    return Reason(Cause.LEAD_VEHICLE, Action.PULLING_AWAY, named_object(facts, row))


def _free_road(facts: FrameFacts) -> Reason:
    """A free road, unless somebody is on it."""
    person = person_ahead(facts, _CLEAR_ROAD_M + facts.frame.state.ego.speed, _PERSON_IN_WAY_M)
    return Reason(Cause.FREE_ROAD) if person < 0 else UNTOLD


def _road_is_clear(facts: FrameFacts) -> bool:
    return leading(facts, _CLEAR_ROAD_M + facts.frame.state.ego.speed) < 0


def _from_the_scene(motion: EgoMotion, facts: FrameFacts, route: Route) -> Reason:
    """A reason where the planner told none: who is ahead, or the bend, if they explain the motion."""
    row = leading(facts, _CLEAR_ROAD_M + 1.5 * facts.frame.state.ego.speed)
    if motion.speed in _FASTER:
        return _free_road(facts) if row < 0 else _moving_off_ahead(facts)
    if motion.speed is Maneuver.KEEP_SPEED:
        return _free_road(facts) if row < 0 else actor_reason(facts, Cause.LEAD_VEHICLE, row)
    ego = facts.frame.state.ego
    person = person_ahead(facts, _CLEAR_ROAD_M + 1.5 * ego.speed, _PERSON_BESIDE_M)
    if person >= 0 and (row < 0 or facts.route.ahead[person] < facts.route.ahead[row]):
        return actor_reason(facts, Cause.PEDESTRIAN, person)
    if row >= 0 and (facts.speeds[row] < ego.speed or facts.flags[row] & ActorFlag.BRAKE):
        braking = bool(facts.flags[row] & ActorFlag.BRAKE)
        return actor_reason(facts, Cause.LEAD_BRAKING if braking else Cause.LEAD_VEHICLE, row)
    crosser = crosser_ahead(facts, _CLEAR_ROAD_M + 1.5 * ego.speed, _CROSSER_BESIDE_M)
    if crosser >= 0:
        return actor_reason(facts, Cause.CROSS_TRAFFIC, crosser)
    if motion.speed is Maneuver.DECELERATE:
        if motion.lateral in _TURNS:
            return Reason(Cause.CURVE, Action.TURN, side=_TURNS[motion.lateral])
        side, curvature = bend_ahead(route, facts.frame.route_s)
        slow_enough = abs(curvature) > 0.02 and motion.final_speed**2 * abs(curvature) > _BEND_ACCELERATION
        if side is not Side.NONE and slow_enough:
            return Reason(Cause.CURVE, Action.BEND, side=side)
    return UNTOLD


def _lateral_reason(motion: EgoMotion, facts: FrameFacts, decision: Decision | None) -> Reason | None:
    if motion.lateral not in _SIDEWAYS or decision is None:
        return None
    cause = decision.lateral_cause
    row = facts.row(decision.lateral_actor_id)
    if cause is Cause.FREE_ROAD:
        changes = motion.lateral in (LateralManeuver.CHANGE_LEFT, LateralManeuver.CHANGE_RIGHT)
        return Reason(Cause.FREE_ROAD) if changes else UNTOLD
    if row < 0:
        return UNTOLD
    side, named = side_of(facts, row), named_object(facts, row)
    if cause is Cause.WORKS:
        return Reason(cause, Action.PASS, side=side)
    if cause in (Cause.LEAD_VEHICLE, Cause.LEAD_BRAKING) and facts.speeds[row] >= 0.5:
        return Reason(Cause.LEAD_VEHICLE, Action.PASS, named)
    if cause in (Cause.LEAD_VEHICLE, Cause.LEAD_BRAKING, Cause.STOPPED_VEHICLE, Cause.OBSTACLE):
        if facts.motions[row] is Motion.PARKED:
            return Reason(Cause.STOPPED_VEHICLE, Action.PARKED, named, side)
        if facts.kinds[row].is_vehicle:
            return Reason(Cause.STOPPED_VEHICLE, Action.PASS, named, side)
        return Reason(Cause.OBSTACLE, Action.PASS, named, side)
    if cause in (Cause.BUS_AT_STOP, Cause.CYCLIST, Cause.PEDESTRIAN):
        return Reason(cause, Action.PASS, named, side)
    return UNTOLD
