"""Who is in the way, who goes first: turns forecasts that meet the path into what the car has to stay behind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.planners.drive_path import DrivePath
from aln_p3_core.world.planners.forecast import FORECAST_STEP_S, FORECAST_STEPS, TIMES_S
from aln_p3_core.world.planners.occupancy import Occupancy, occupancy
from aln_p3_core.world.planners.planner import Cause
from aln_p3_core.world.planners.speed_profile import Restraint, SpeedProfile
from aln_p3_core.world.planners.stop_lines import FRONT_M, is_ahead, line_place, waits_at_junction
from aln_p3_core.world.planners.surroundings import STANDING, Surroundings, standing_cause
from aln_p3_core.world.route import Route, StopKind

#: m between the front and what it stops behind in a queue; behind what stands for no visible reason; and behind
#: what it wants to go around.
STANDSTILL_GAP_M = 2.2
FAR_GAP_M = 5.0
PASSING_GAP_M = 7.0
#: Seconds between the car and a leader.
HEADWAY_S = 1.1
#: Seconds that must lie between the car and whoever crosses its path, on either side; for people on foot.
CROSSING_GAP_S = 1.0
WALKING_GAP_S = 1.4
#: More of it for whom the car has been yielding to already.
_KEPT_GAP_S = 0.5
_KEPT_S = 1.2
#: m before somebody's track at which the car stops.
_BEFORE_TRACK_M = 1.6
_BEFORE_WALKER_M = 2.5
#: A leader that merges is followed from so many seconds before it is there.
_MERGE_AHEAD_S = 2.5
#: Cosine of the angle up to which somebody on the path leads rather than crosses.
_LEADING_COSINE = 0.7
_BRAKING_LEADER = -1.2
#: m/s^2 that a place to stop at may cost while there is a choice.
_EASY_BRAKING = 2.0

_STEPS = FORECAST_STEPS + 1


@dataclass
class YieldMemory:
    """Whom the car yields to, and until when that is remembered."""

    until: dict[str, float] = field(default_factory=dict)

    def keep(self, time_s: float, names: Collection[str]) -> None:
        """Takes over what was decided at an instant."""
        self.until = {name: end for name, end in self.until.items() if end > time_s}
        self.until.update(dict.fromkeys(sorted(names), time_s + _KEPT_S))


@dataclass(frozen=True, eq=False)
class Traffic:
    """Forecasts against one path. H = hypotheses.

    Attributes:
        around: who is there. route, path: of the car. taken: which stretches of it they take, and when.
        ignored: [H] hypotheses that do not concern the car.
    """

    around: Surroundings
    route: Route
    path: DrivePath
    taken: Occupancy
    ignored: NDArray[np.bool_]

    def name(self, hypothesis: int) -> str:
        """Id of the actor."""
        return self.around.actors.ids[self.around.forecasts.actor[hypothesis]]


def traffic_on(around: Surroundings, path: DrivePath, route: Route) -> Traffic:
    """Intersects everybody's forecast with a path."""
    margins = _margins(around)[around.forecasts.actor]
    taken = occupancy(path, around.forecasts, margins, float(path.s[-1]))
    followers = around.followers()[around.forecasts.actor]
    return Traffic(around, route, path, taken, ~taken.any | followers)


def leaders(traffic: Traffic) -> tuple[list[Restraint], list[int]]:
    """Who stands or drives ahead on the path in its direction.

    Returns:
        their restraints, and the hypotheses that remain to be looked at: those that cross or come in.
    """
    found, rest = [], []
    taken, forecasts = traffic.taken, traffic.around.forecasts
    for h in np.flatnonzero(~traffic.ignored):
        first = taken.first[h]
        on_path = np.isfinite(first)
        if not forecasts.moving[h]:
            found.append(_stander(traffic, int(h)))
        elif on_path[0] and _leads(traffic, int(h), 0):
            row = int(forecasts.actor[h])
            slow = np.clip(1.0 - taken.along[h] / 4.0, 0.0, 1.0)
            more = 0.0 if _may_queue(traffic, float(first[0])) else FAR_GAP_M - STANDSTILL_GAP_M
            places = first - STANDSTILL_GAP_M - more * slow
            found.append(
                Restraint(
                    places,
                    np.where(on_path, np.maximum(taken.along[h], 0.0), 0.0),
                    _leader_cause(traffic.around, row),
                    traffic.name(int(h)),
                    headway_s=HEADWAY_S,
                    slack_m=0.8,
                )
            )
        else:
            rest.append(int(h))
    return found, rest


def conflicts(
    traffic: Traffic,
    candidates: Sequence[int],
    nominal: SpeedProfile,
    memory: YieldMemory,
) -> tuple[list[Restraint], list[int]]:
    """Who crosses or joins the path at the time when the car would be there, and goes first.

    Args:
        candidates: hypotheses, of those that are not leaders yet.
        nominal: the motion that the car would like.

    Returns:
        restraints, and the candidates that do not concern this motion.
    """
    found, rest = [], []
    for h in candidates:
        restraint = _conflict(traffic, h, nominal, memory)
        if restraint is None:
            rest.append(h)
        else:
            found.append(restraint)
    return found, rest


def _conflict(traffic: Traffic, h: int, nominal: SpeedProfile, memory: YieldMemory) -> Restraint | None:
    around, taken = traffic.around, traffic.taken
    row = int(around.forecasts.actor[h])
    name, kind = traffic.name(h), around.kinds[row]
    on_path = np.flatnonzero(np.isfinite(taken.first[h]))
    begin = int(on_path[0])
    if _leads(traffic, h, begin) and kind is not ActorKind.PEDESTRIAN:
        return _merging(traffic, h, begin, nominal)
    near = float(taken.first[h][on_path].min())
    if near > nominal.s[-1] + 2.0:
        return None
    walks = kind is ActorKind.PEDESTRIAN
    gap_s = (WALKING_GAP_S if walks else CROSSING_GAP_S) + (_KEPT_GAP_S if name in memory.until else 0.0)
    if not _meets(taken.first[h], taken.last[h], nominal.s, gap_s, 0.4):
        return None
    stop = near - (_BEFORE_WALKER_M if walks else _BEFORE_TRACK_M)
    speed = nominal.speeds[0]
    if near - 0.3 < speed**2 / (2 * 6.5) and not _meets(taken.first[h], taken.last[h], nominal.s, 0.2, 0.2):
        # Too late to stop, in time to be gone.
        return None
    stop = _at_line(traffic, stop, near)
    end = float(TIMES_S[on_path[-1]]) + (0.2 if walks else 0.0)
    until = np.inf if on_path[-1] == _STEPS - 1 else end
    # Rather a little nearer than to brake hard.
    stop = max(stop, min(near - 0.4, speed**2 / (2 * _EASY_BRAKING)))
    places = np.where(until + 1e-9 >= TIMES_S, stop, np.inf)
    return Restraint(
        places,
        np.zeros(_STEPS),
        _crossing_cause(around, row),
        name,
        slack_m=float(np.clip(near - 0.4 - stop, 0.1, 0.8)),
    )


def _meets(first: FloatArray, last: FloatArray, s: FloatArray, gap_s: float, gap_m: float) -> bool:
    """Whether a motion is at a taken stretch at most `gap_s` before or after it is taken."""
    steps = round(gap_s / FORECAST_STEP_S)
    padded_first = np.pad(first, steps, constant_values=np.inf)
    padded_last = np.pad(last, steps, constant_values=-np.inf)
    width = 2 * steps + 1
    least = np.lib.stride_tricks.sliding_window_view(padded_first, width).min(axis=1)
    most = np.lib.stride_tricks.sliding_window_view(padded_last, width).max(axis=1)
    return bool(((s > least - gap_m) & (s < most + gap_m)).any())


def _merging(traffic: Traffic, h: int, begin: int, nominal: SpeedProfile) -> Restraint | None:
    """Somebody who comes onto the path in its direction: whoever is ahead there goes first."""
    taken, around = traffic.taken, traffic.around
    row = int(around.forecasts.actor[h])
    first, last, along = taken.first[h], taken.last[h], taken.along[h]
    theirs, mine = float(along[begin]), float(nominal.speeds[begin])
    rear_gap = 1.0 + 0.6 * max(theirs - mine, 0.0)
    if nominal.s[begin] > float(last[begin]) + rear_gap:
        return None
    behind_now = around.offsets[row, 0] < -0.25 * around.sizes[row, 0] - 1.0
    if nominal.s[begin] > 0.5 * float(first[begin] + last[begin]) and behind_now and TIMES_S[begin] > 1.0:
        # It comes up from behind and has time to brake a little.
        return None
    on_path = np.isfinite(first)
    places = first - STANDSTILL_GAP_M
    speeds = np.where(on_path, np.maximum(along, 0.0), theirs)
    # Before it is there it counts as if it had always been ahead: the gap opens in good time.
    early = np.arange(_STEPS) < begin
    back = first[begin] - STANDSTILL_GAP_M - theirs * (TIMES_S[begin] - TIMES_S)
    soon = early & (TIMES_S[begin] - TIMES_S <= _MERGE_AHEAD_S)
    places = np.where(soon, np.maximum(back, 0.0), places)
    cause = Cause.CUT_IN if _drives_beside(around, row) else Cause.MERGING_TRAFFIC
    if around.kinds[row] is ActorKind.BICYCLE:
        cause = Cause.CYCLIST
    return Restraint(places, speeds, cause, traffic.name(h), headway_s=0.8, slack_m=0.8)


def _leads(traffic: Traffic, h: int, step: int) -> bool:
    speed = float(traffic.around.forecasts.speeds[h, step])
    along = float(traffic.taken.along[h, step])
    if speed < STANDING:
        path = traffic.path
        middle = 0.5 * (traffic.taken.first[h, step] + traffic.taken.last[h, step])
        heading = float(np.interp(middle, path.s, path.headings))
        turned = abs(float(wrap_angle(float(traffic.around.forecasts.headings[h, step]) - heading)))
        return bool(np.cos(turned) > _LEADING_COSINE)
    return along > _LEADING_COSINE * speed


def _stander(traffic: Traffic, h: int) -> Restraint:
    row = int(traffic.around.forecasts.actor[h])
    kind = traffic.around.kinds[row]
    first = float(traffic.taken.first[h, 0])
    if kind.is_static or traffic.around.parked[row]:
        gap = 1.5
    elif kind.is_vehicle and not _may_queue(traffic, first):
        gap = FAR_GAP_M
    else:
        gap = STANDSTILL_GAP_M
    place = first - gap
    last = float(traffic.taken.last[h, 0])
    if last < 0.0:
        place = np.inf
    cause = standing_cause(traffic.around, row)
    return Restraint(np.full(_STEPS, place), np.zeros(_STEPS), cause, traffic.name(h), slack_m=min(gap - 0.9, 0.8))


def _may_queue(traffic: Traffic, place: float) -> bool:
    """Whether who stands at a place of the path may be waiting at a light or a junction."""
    at = float(traffic.path.route_s[0]) + place + FRONT_M
    return waits_at_junction(traffic.route, at, at + 5.0)


def _leader_cause(around: Surroundings, row: int) -> Cause:
    kind = around.kinds[row]
    if kind is ActorKind.PEDESTRIAN:
        return Cause.PEDESTRIAN
    if kind is ActorKind.BICYCLE:
        return Cause.CYCLIST
    if around.speeds[row] < STANDING:
        return standing_cause(around, row)
    if around.actors.accelerations[row] < _BRAKING_LEADER:
        return Cause.LEAD_BRAKING
    return Cause.LEAD_VEHICLE


def _crossing_cause(around: Surroundings, row: int) -> Cause:
    kind = around.kinds[row]
    if kind is ActorKind.PEDESTRIAN:
        return Cause.PEDESTRIAN
    if kind is ActorKind.BICYCLE:
        return Cause.CYCLIST
    return Cause.ONCOMING_TRAFFIC if abs(around.turned[row]) > 2.2 else Cause.CROSS_TRAFFIC


def _drives_beside(around: Surroundings, row: int) -> bool:
    """Whether somebody drives on the same road as the car, in the same direction."""
    return bool(abs(around.turned[row]) < 0.5 and abs(around.offsets[row, 1]) < 5.5)


def _at_line(traffic: Traffic, stop: float, near: float) -> float:
    """Where to wait: at the line before the conflict, if there is one that the car has not passed.

    A light that is green lets the car in up to the oncoming traffic's track; a crossing is kept free.
    """
    path = traffic.path
    for line in traffic.route.stops:
        begin = path.s_of_route(line.s)
        if begin > near + FRONT_M + 0.5:
            break
        inside = begin <= near + FRONT_M + 0.5 and near <= path.s_of_route(line.end_s) + 1.0
        if inside and is_ahead(path, line) and line.kind is not StopKind.SIGNAL:
            green_turn = line.kind is StopKind.YIELD and any(
                other.kind is StopKind.SIGNAL and abs(other.s - line.s) < 2.0 for other in traffic.route.stops
            )
            if not green_turn:
                stop = min(stop, line_place(path, line))
    return stop


def _margins(around: Surroundings) -> FloatArray:
    """[N] m added to the car's half width: as near as it may come to each."""
    margins = np.full(len(around.kinds), 0.3)
    for row, kind in enumerate(around.kinds):
        moving = around.speeds[row] > STANDING
        if kind is ActorKind.PEDESTRIAN:
            margins[row] = 0.5 if moving else 0.3
        elif kind is ActorKind.BICYCLE and moving:
            margins[row] = 0.6
        elif kind.is_static or around.parked[row]:
            margins[row] = 0.15
        elif moving:
            margins[row] = 0.35
    return margins
