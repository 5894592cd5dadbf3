"""Puts a planned motion into words: maneuver, cause and actor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from aln_p3_core.frame import Command
from aln_p3_core.world.planners.drive_path import COMFORT_BRAKING, DrivePath
from aln_p3_core.world.planners.forecast import FORECAST_STEP_S
from aln_p3_core.world.planners.passing import Swerve
from aln_p3_core.world.planners.planner import Cause, Decision, LateralManeuver, Maneuver, Observation
from aln_p3_core.world.planners.speed_profile import Restraint, SpeedProfile
from aln_p3_core.world.planners.stop_lines import FRONT_M
from aln_p3_core.world.route import StopKind

#: The motion of so many seconds is told, and what holds the car within the first of them.
TOLD_S = 3.0
_CAUSE_S = 2.0
#: As the language part reads a motion: standing, m/s, and a change of speed.
_STANDING, _CHANGE, _CHANGE_SHARE = 0.4, 0.8, 0.1
#: m beside the route from which the car is said to go around something.
_NUDGE_M = 0.25
#: Causes that a car can follow.
_LEADING = (
    Cause.LEAD_VEHICLE, Cause.LEAD_BRAKING, Cause.STOPPED_VEHICLE, Cause.BUS_AT_STOP, Cause.CUT_IN,
    Cause.MERGING_TRAFFIC, Cause.CYCLIST,
)  # fmt: skip


@dataclass
class DecisionMemory:
    """The light that the car waited for (-1 for none), and when somebody last cut in, by id."""

    waited_for: int = -1
    cut_in: dict[str, float] = field(default_factory=dict)


def decide(
    observation: Observation,
    path: DrivePath,
    profile: SpeedProfile,
    restraints: Sequence[Restraint],
    swerve: Swerve | None,
    memory: DecisionMemory,
) -> Decision:
    """What the motion is, and what decides it."""
    maneuver = _maneuver(profile)
    lateral, swerving = _lateral(observation, path, profile, swerve)
    cause, actor_id, signal = _cause(path, profile, restraints, maneuver)
    time_s = observation.state.time_s
    if cause is Cause.CUT_IN:
        memory.cut_in[actor_id] = time_s
    elif cause is Cause.LEAD_VEHICLE and time_s - memory.cut_in.get(actor_id, -np.inf) < 2.5:
        cause = Cause.CUT_IN
    if cause in (Cause.RED_LIGHT, Cause.YELLOW_LIGHT):
        memory.waited_for = signal
    elif memory.waited_for >= 0:
        if _light_is_near(observation, path, memory.waited_for):
            if cause in (Cause.FREE_ROAD, Cause.SPEED_LIMIT) and maneuver in (Maneuver.START, Maneuver.ACCELERATE):
                cause, signal = Cause.GREEN_LIGHT, memory.waited_for
        else:
            memory.waited_for = -1
    return Decision(
        maneuver,
        lateral,
        cause,
        actor_id,
        signal,
        swerve.cause if swerving and swerve is not None else Cause.FREE_ROAD,
        swerve.actor_id if swerving and swerve is not None else "",
    )


def _maneuver(profile: SpeedProfile) -> Maneuver:
    steps = round(TOLD_S / FORECAST_STEP_S)
    now, later = float(profile.speeds[0]), profile.speeds[1 : steps + 1]
    moved = float(profile.s[steps])
    if now < _STANDING:
        return Maneuver.START if moved > 1.0 and later[-1] > 2 * _STANDING else Maneuver.WAIT
    if later.min() < _STANDING:
        return Maneuver.STOP
    changed = later[np.abs(later - now) > max(_CHANGE, _CHANGE_SHARE * now)]
    if not len(changed):
        return Maneuver.KEEP_SPEED
    return Maneuver.ACCELERATE if changed[0] > now else Maneuver.DECELERATE


def _cause(
    path: DrivePath, profile: SpeedProfile, restraints: Sequence[Restraint], maneuver: Maneuver
) -> tuple[Cause, str, int]:
    """The restraint that decides most of the next steps; limits, curves, or nothing."""
    steps = round((_CAUSE_S if maneuver is not Maneuver.STOP else TOLD_S) / FORECAST_STEP_S)
    holding = profile.holding[1 : steps + 1]
    held = holding[holding >= 0]
    if maneuver in (Maneuver.START, Maneuver.ACCELERATE):
        # Only who drives ahead decides how fast it goes on.
        held = np.array([row for row in held if restraints[row].cause in _LEADING], np.int64)
        if len(held) * 2 < len(holding):
            return Cause.FREE_ROAD, "", -1
    if len(held) and (len(held) * 3 >= len(holding) or maneuver in (Maneuver.STOP, Maneuver.DECELERATE)):
        names, counts = np.unique(held, return_counts=True)
        chosen = restraints[int(names[counts.argmax()])]
        return chosen.cause, chosen.actor_id, chosen.signal
    if not (holding == -1).any():
        return Cause.FREE_ROAD, "", -1
    # The place that decides the limit here: where the braking for it would have to begin now.
    energy = path.limits**2 + 2 * COMFORT_BRAKING * path.s
    first = int(energy.argmin())
    is_curve = bool(path.cornering[first] < path.limits[first] + 0.05)
    return (Cause.CURVE if is_curve else Cause.SPEED_LIMIT), "", -1


def _lateral(
    observation: Observation, path: DrivePath, profile: SpeedProfile, swerve: Swerve | None
) -> tuple[LateralManeuver, bool]:
    steps = round(TOLD_S / FORECAST_STEP_S)
    reach = max(float(profile.s[steps]), 0.5)
    route_s = observation.route_s
    if swerve is not None and swerve.start_s < route_s + reach and route_s < swerve.end_s:
        ahead = path.lateral[path.s <= reach + 1.0]
        if np.abs(ahead).max() > _NUDGE_M:
            left = swerve.offset > 0
            return (LateralManeuver.NUDGE_LEFT if left else LateralManeuver.NUDGE_RIGHT), True
    for start, end, command in observation.route.turns:
        if start < route_s + max(reach, 4.0) and route_s < end:
            return (LateralManeuver.TURN_LEFT if command is Command.LEFT else LateralManeuver.TURN_RIGHT), False
    return _lane_change(observation, reach), False


def _lane_change(observation: Observation, reach: float) -> LateralManeuver:
    """A change to a neighbour lane that the route makes within reach (its S-curve is some 30 m to either side)."""
    route, lanes = observation.route, observation.city.lanes
    window = (route.s >= observation.route_s - 20.0) & (route.s <= observation.route_s + reach + 15.0)
    names = route.lane_of[window]
    for before, after in pairwise(names.tolist()):
        if before >= 0 and after >= 0 and before != after:
            if lanes[before].left == after:
                return LateralManeuver.CHANGE_LEFT
            if lanes[before].right == after:
                return LateralManeuver.CHANGE_RIGHT
    return LateralManeuver.KEEP_LANE


def _light_is_near(observation: Observation, path: DrivePath, signal: int) -> bool:
    """The car has not left the light behind yet."""
    return any(
        stop.kind is StopKind.SIGNAL and stop.index == signal and -8.0 < path.s_of_route(stop.s) - FRONT_M < 30.0
        for stop in observation.route.stops
    )
