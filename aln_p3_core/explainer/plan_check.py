"""What a text says of direction and speed against what the plan does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aln_p3_core.explainer.consistency_settings import ConsistencySettings
from aln_p3_core.explainer.consistency_types import Finding, Kind, Verdict
from aln_p3_core.explainer.keyword_reader import WordedNarration
from aln_p3_core.explainer.plan_motion import PlanMotion
from aln_p3_core.world.language.stated import Pace, Side, Where
from aln_p3_core.world.planners.planner import LateralManeuver, Maneuver

_SPEED_WORDS = {
    Maneuver.KEEP_SPEED: "it keeps its speed",
    Maneuver.ACCELERATE: "it accelerates",
    Maneuver.DECELERATE: "it slows down",
    Maneuver.STOP: "it stops",
    Maneuver.WAIT: "it stands",
    Maneuver.START: "it starts moving",
}
_LATERAL_WORDS = {
    LateralManeuver.KEEP_LANE: "it goes straight on",
    LateralManeuver.TURN_LEFT: "it turns left",
    LateralManeuver.TURN_RIGHT: "it turns right",
    LateralManeuver.CHANGE_LEFT: "it changes to the left lane",
    LateralManeuver.CHANGE_RIGHT: "it changes to the right lane",
    LateralManeuver.NUDGE_LEFT: "it swerves to the left",
    LateralManeuver.NUDGE_RIGHT: "it swerves to the right",
}
_SIGN = {Side.LEFT: 1.0, Side.RIGHT: -1.0}
_BENDS = {Where.CURVE_LEFT: Side.LEFT, Where.CURVE_RIGHT: Side.RIGHT}


def check_direction(narration: WordedNarration, motion: PlanMotion, limits: ConsistencySettings) -> tuple[Finding, ...]:
    """One finding for the manoeuvre, one for a bend of the road, or one that says that there is none."""
    findings = []
    if narration.laterals:
        verdicts = [_lateral(lateral, motion, limits) for lateral in narration.laterals]
        stated = " or ".join(_LATERAL_WORDS[lateral] for lateral in narration.laterals)
        findings.append(Finding(Kind.DIRECTION, best(verdicts), stated, _direction_found(motion, limits)))
    bend = _BENDS.get(narration.where)
    if bend is not None:
        verdict = check_bend(bend, motion, limits, shown=True)
        findings.append(
            Finding(
                Kind.DIRECTION, verdict, f"it drives through a {bend.value} curve", _direction_found(motion, limits)
            )
        )
    if not findings:
        marked = abs(motion.turned) > limits.marked_turn and motion.length > limits.shows_direction_m
        verdict = Verdict.OMITTED if marked else Verdict.NOT_STATED
        findings.append(Finding(Kind.DIRECTION, verdict, found=_direction_found(motion, limits)))
    return tuple(findings)


def check_bend(side: Side, motion: PlanMotion, limits: ConsistencySettings, *, shown: bool) -> Verdict:
    """A curve or turn to a side. `shown`: the plan must show it; else it may come later, and only a marked turn to
    the other side is against it."""
    if side is Side.NONE or motion.length < limits.shows_direction_m:
        return Verdict.NOT_CHECKABLE
    turned = _SIGN[side] * motion.turned
    if turned > limits.turn:
        return Verdict.CONSISTENT
    if shown:
        return Verdict.CONTRADICTS
    return Verdict.CONTRADICTS if turned < -limits.straight_within else Verdict.NOT_CHECKABLE


def check_speed(narration: WordedNarration, motion: PlanMotion, limits: ConsistencySettings) -> tuple[Finding, ...]:
    """One finding."""
    found = _speed_found(motion, limits)
    if narration.speeds:
        verdicts = [_speed(speed, narration.pace, motion, limits) for speed in narration.speeds]
        stated = " or ".join(_SPEED_WORDS[speed] for speed in narration.speeds)
        if narration.pace is not None:
            stated = f"it drives on at a {narration.pace.value} speed"
        return (Finding(Kind.SPEED, best(verdicts), stated, found),)
    if narration.moves:
        verdict = Verdict.CONTRADICTS if motion.length < limits.standing_within_m else Verdict.CONSISTENT
        return (Finding(Kind.SPEED, verdict, "it drives", found),)
    if _marked_change(motion, limits):
        return (Finding(Kind.SPEED, Verdict.OMITTED, found=found),)
    return (Finding(Kind.SPEED, Verdict.NOT_STATED, found=found),)


def best(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several meanings the one that fits: consistent, else what cannot be checked, else a contradiction."""
    order = (Verdict.CONSISTENT, Verdict.NOT_CHECKABLE, Verdict.CONTRADICTS)
    return min(verdicts, key=order.index)


def _lateral(lateral: LateralManeuver, motion: PlanMotion, limits: ConsistencySettings) -> Verdict:
    if motion.length < limits.shows_direction_m:
        return Verdict.NOT_CHECKABLE
    if lateral is LateralManeuver.KEEP_LANE:
        return _holds(abs(motion.turned) < limits.straight_within)
    side = Side.LEFT if lateral.value.endswith("left") else Side.RIGHT
    sign = _SIGN[side]
    if lateral in (LateralManeuver.TURN_LEFT, LateralManeuver.TURN_RIGHT):
        return _holds(sign * motion.turned > limits.turn)
    offsets = sign * motion.path[:, 1]
    if lateral in (LateralManeuver.CHANGE_LEFT, LateralManeuver.CHANGE_RIGHT):
        moved = max(sign * motion.sideways, float(offsets[-1]))
        return _holds(moved > limits.change_moves_m and sign * motion.turned < limits.change_turns)
    if max(float(offsets.max()), sign * motion.sideways) > limits.nudge_moves_m:
        return Verdict.CONSISTENT
    # A bend of the road hides a swerve; a turn does not.
    hidden = limits.turn < abs(motion.turned) < limits.straight_within
    against = offsets.min() < -limits.nudge_against_m and not hidden
    return Verdict.CONTRADICTS if against else Verdict.NOT_CHECKABLE


def _speed(speed: Maneuver, pace: Pace | None, motion: PlanMotion, limits: ConsistencySettings) -> Verdict:
    now = motion.speed_now
    change = max(limits.change_ms, limits.change_share * now)
    stays = motion.length < limits.standing_within_m and now < limits.rolling_ms
    if speed is Maneuver.WAIT:
        return _holds(stays)
    if speed is Maneuver.STOP:
        return _holds(stays or float(motion.speeds.min()) < limits.standing_ms)
    if speed is Maneuver.START:
        return _holds(now < limits.rolling_ms and motion.rise > change and not stays)
    first = motion.first_change(change)
    if speed is Maneuver.ACCELERATE:
        return _holds(motion.rise > change and (first > 0 or motion.rise > motion.fall))
    if speed is Maneuver.DECELERATE:
        return _holds(motion.fall > change and (first < 0 or motion.fall > motion.rise))
    steady = max(limits.steady_ms, limits.steady_share * now)
    if max(motion.rise, motion.fall) > steady or stays:
        return Verdict.CONTRADICTS
    return _holds(pace is None or _paced(pace, now, limits))


def _paced(pace: Pace, speed: float, limits: ConsistencySettings) -> bool:
    if pace is Pace.SLOW:
        return speed < limits.slow_below_ms + limits.pace_slack_ms
    if pace is Pace.FAST:
        return speed > limits.fast_from_ms - limits.pace_slack_ms
    return limits.slow_below_ms - limits.pace_slack_ms < speed < limits.fast_from_ms + limits.pace_slack_ms


def _marked_change(motion: PlanMotion, limits: ConsistencySettings) -> bool:
    stops = motion.speed_now > limits.rolling_ms and float(motion.speeds.min()) < limits.standing_ms
    return stops or max(motion.rise, motion.fall) > limits.marked_change_ms


def _holds(condition: bool) -> Verdict:
    return Verdict.CONSISTENT if condition else Verdict.CONTRADICTS


def _direction_found(motion: PlanMotion, limits: ConsistencySettings) -> str:
    if motion.length < limits.shows_direction_m:
        return "the plan is too short to show a direction"
    side = Side.LEFT if motion.turned > 0 else Side.RIGHT
    if abs(motion.turned) > limits.turn:
        verb = "turns" if abs(motion.turned) > limits.straight_within else "bends"
        return f"the plan {verb} {side.value}"
    if abs(motion.sideways) > limits.change_moves_m:
        return f"the plan moves to the {'left' if motion.sideways > 0 else 'right'}"
    return "the plan goes straight on"


def _speed_found(motion: PlanMotion, limits: ConsistencySettings) -> str:
    now, end = motion.speed_now, float(motion.speeds[-1])
    if motion.length < limits.standing_within_m and now < limits.rolling_ms:
        return "the plan stands"
    if now >= limits.standing_ms and float(motion.speeds.min()) < limits.standing_ms:
        return "the plan stops"
    if now < limits.standing_ms:
        return "the plan starts moving"
    change = max(limits.change_ms, limits.change_share * now)
    first = motion.first_change(change)
    if first == 0:
        return f"the plan keeps {now:.0f} m/s"
    extreme = float(motion.speeds.max() if first > 0 else motion.speeds.min())
    verb = "speeds up" if first > 0 else "slows down"
    back = "" if np.sign(end - now) == first else " at first"
    return f"the plan {verb} from {now:.0f} to {extreme:.0f} m/s{back}"
