"""The numbers of the consistency measure: when a plan does what a text says, and when an object is where it says.

Every limit leaves room on both sides of the definitions that the world's narrator uses (a change of speed of 0.8 m/s
is one, a path that turns by 10 degrees bends), because a plan is sampled coarsely and a driver's plan is not exact: a
text is contradicted only where the plan clearly does something else. docs/consistency.md tells how they were set.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsistencySettings:
    """Limits of the measure. Speeds in m/s, lengths in m, angles in rad.

    Attributes:
        standing_ms: slower than this a car stands or as good as stands.
        rolling_ms: a car that is said to stand now, or to start from a stand, is slower than this.
        standing_within_m: a plan shorter than this stays where it is.
        change_ms: a rise or fall of speed from which on a text may speak of one.
        change_share: the same, as a share of the speed now; the larger of both counts.
        steady_ms: a speed that changes by less than this may be called steady.
        steady_share: the same, as a share of the speed now; the larger of both counts.
        marked_change_ms: a change that a text should not leave out.
        slow_below_ms: a drive slower than this may be called slow.
        fast_from_ms: one faster than this may be called fast.
        pace_slack_ms: both limits are this soft.
        shows_direction_m: a shorter plan shows no direction.
        turn: a path that turns by this may be called a turn or a curve.
        straight_within: one that turns by more is not straight on.
        marked_turn: one that turns by more is a turn that a text should not leave out.
        change_moves_m: a lane change moves the car sideways by this at least, bends of the road left out.
        change_turns: a path that turns by more is no lane change.
        nudge_moves_m: a swerve to a side that shows moves the car by this.
        nudge_against_m: a path that goes so far to the other side, and never to the named one, is no such swerve; one
            that goes less far may be the way back into the middle of the lane, and is not checkable.
        object_score: a detection of this score proves that an object is there.
        blocking_score: one of this score proves that the road is not free.
        behind_m: an object whose centre is this far behind the model frame's origin is not ahead any more.
        passed_m: the same for an object that the car is said to pass: it is still beside it.
        lane_reach_m: who drives or stands ahead in the lane is at most so far along the plan.
        lane_aside_m: and so far beside it (from the plan to the nearest side of the object).
        near_reach_m: who is in the way, or parked, at the kerb, on a crossing or on its way to the lane: so far along.
        near_aside_m: and so far beside.
        traffic_reach_m: oncoming and crossing traffic is so far away at most.
        ahead_bearing: an object so far off straight ahead has a side.
        still_ms: an object that is said to stand is slower.
        moving_ms: one that is said to move is faster.
        towards: the heading of oncoming traffic differs from the car's by more than this.
        across: the course of crossing traffic differs by more than this from along and from against.
        clear_m: a free road has nobody in the way for so many metres.
        clear_s: plus what the car drives in so many seconds.
        clear_aside_m: who is farther beside the plan than this is not in the way (nearest side of the object).
        sensed_m: detections end so far ahead (VAD: 30 m). Infinite where the agents are known at any distance.
        matters_beyond_m: who is so far beyond the plan's end may still be its reason: where that is farther than
            detections reach, a missing object contradicts nothing.
        crossing_reach_m: a car "at the crosswalk" has one so near.
    """

    standing_ms: float = 0.7
    rolling_ms: float = 1.5
    standing_within_m: float = 1.5
    change_ms: float = 0.5
    change_share: float = 0.06
    steady_ms: float = 1.2
    steady_share: float = 0.15
    marked_change_ms: float = 3.0
    slow_below_ms: float = 4.0
    fast_from_ms: float = 11.5
    pace_slack_ms: float = 1.0
    shows_direction_m: float = 2.0
    turn: float = 0.12
    straight_within: float = 0.5
    marked_turn: float = 0.9
    change_moves_m: float = 0.4
    change_turns: float = 0.6
    nudge_moves_m: float = 0.15
    nudge_against_m: float = 3.0
    object_score: float = 0.2
    blocking_score: float = 0.4
    behind_m: float = 1.0
    passed_m: float = 8.0
    lane_reach_m: float = 85.0
    lane_aside_m: float = 2.0
    near_reach_m: float = 50.0
    near_aside_m: float = 6.5
    traffic_reach_m: float = 60.0
    ahead_bearing: float = 0.12
    still_ms: float = 1.0
    moving_ms: float = 0.3
    towards: float = 2.0
    across: float = 0.5
    clear_m: float = 6.0
    clear_s: float = 0.8
    clear_aside_m: float = 0.6
    sensed_m: float = 30.0
    matters_beyond_m: float = 15.0
    crossing_reach_m: float = 15.0
