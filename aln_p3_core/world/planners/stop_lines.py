"""Lines on the route: traffic lights, junctions that must not be blocked, the end of the route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH
from aln_p3_core.world.planners.drive_path import DrivePath
from aln_p3_core.world.planners.planner import Cause, Observation
from aln_p3_core.world.planners.speed_profile import Restraint, needed_braking, standing_restraint
from aln_p3_core.world.route import Route, RouteStop, StopKind
from aln_p3_core.world.state import SignalColor

#: The front bumper ahead of the rear axle, and the rear bumper behind it, m.
FRONT_M = EGO_CENTER_AHEAD_M + EGO_SIZE_LWH[0] / 2
REAR_M = EGO_SIZE_LWH[0] / 2 - EGO_CENTER_AHEAD_M
#: The front stops so far before a line, and before the stripes of a crossing, m.
LINE_GAP_M = 1.2
CROSSING_GAP_M = 0.7
#: A line is passed once the front is so far over it, m.
PASSED_M = 0.5
#: m/s^2: a light that turns yellow is stopped at when this is enough to do so.
YELLOW_BRAKING = 2.8
#: Seconds of yellow that are counted on, and the most that the car brakes for it when they do not suffice.
_YELLOW_S = 2.6
_HARD_BRAKING = 5.5
_MISSED_BRAKING = 5.0
#: Room that the car needs behind a junction or crossing to leave it free, m.
_CLEAR_M = 0.8
#: Before a light or a junction, within so many metres, whoever stands may be waiting for it.
_QUEUE_M = 45.0


@dataclass
class LightMemory:
    """What was decided at lights: since when each is yellow, and which of them the car has decided to pass."""

    yellow_since: dict[int, float] = field(default_factory=dict)
    passing: set[int] = field(default_factory=set)


def line_place(path: DrivePath, stop: RouteStop) -> float:
    """m along the path where the rear axle stands when the car waits at a line; negative when that is behind."""
    gap = CROSSING_GAP_M if stop.kind is StopKind.CROSSING else LINE_GAP_M
    return path.s_of_route(stop.s) - FRONT_M - gap


def is_ahead(path: DrivePath, stop: RouteStop) -> bool:
    """The front is not over the line yet."""
    return path.s_of_route(stop.s) - FRONT_M > -PASSED_M


def light_restraints(observation: Observation, path: DrivePath, memory: LightMemory) -> list[Restraint]:
    """Red lights, and yellow ones that can be stopped at."""
    state = observation.state
    for index in [i for i in memory.yellow_since if state.signals[i] != SignalColor.YELLOW]:
        del memory.yellow_since[index]
    memory.passing -= {i for i in memory.passing if state.signals[i] not in (SignalColor.YELLOW, SignalColor.RED)}
    found = []
    for stop in observation.route.stops:
        if stop.kind is not StopKind.SIGNAL or not is_ahead(path, stop) or not 0 <= stop.index < len(state.signals):
            continue
        place = line_place(path, stop)
        if place > path.s[-1]:
            break
        color = int(state.signals[stop.index])
        if color == SignalColor.YELLOW and stop.index not in memory.yellow_since:
            memory.yellow_since[stop.index] = state.time_s
            if not _stops_at_yellow(max(state.ego.speed, 0.0), place):
                memory.passing.add(stop.index)
        if stop.index in memory.passing:
            elapsed = state.time_s - memory.yellow_since.get(stop.index, -np.inf)
            if not _is_missed(max(state.ego.speed, 0.0), place, elapsed):
                continue
            memory.passing.discard(stop.index)
        if color == SignalColor.RED:
            found.append(standing_restraint(_reachable(place), Cause.RED_LIGHT, signal=stop.index))
        elif color == SignalColor.YELLOW:
            found.append(standing_restraint(_reachable(place), Cause.YELLOW_LIGHT, signal=stop.index))
    return found


def _stops_at_yellow(speed: float, place: float) -> bool:
    need = needed_braking(speed, place + LINE_GAP_M)
    if need <= YELLOW_BRAKING:
        return True
    in_time = (place + LINE_GAP_M) / max(speed, 0.1) < _YELLOW_S
    return not in_time and need < _HARD_BRAKING


def _is_missed(speed: float, place: float, elapsed_s: float) -> bool:
    """Whether somebody held the car up on its way through yellow, so that it stops after all, where it still can."""
    in_time = (place + LINE_GAP_M) / max(speed, 0.1) < _YELLOW_S - elapsed_s
    return not in_time and needed_braking(speed, place + LINE_GAP_M + PASSED_M) < _MISSED_BRAKING


def _reachable(place: float) -> float:
    """A car that stands a little beyond its stopping place stays there."""
    return max(place, 0.0) if place > -LINE_GAP_M - PASSED_M else place


def keep_clear_restraints(observation: Observation, path: DrivePath, ahead: Sequence[Restraint]) -> list[Restraint]:
    """Junctions and crossings behind which a queue stands: the car waits before the line until it fits behind.

    Args:
        ahead: vehicles on the path.
    """
    speed = max(observation.state.ego.speed, 0.0)
    found = []
    for leader in ahead:
        place, fast = float(leader.places[-1]), float(leader.speeds[-1])
        if not np.isfinite(place) or fast > 2.5:
            continue
        for stop in observation.route.stops:
            line, leaves = line_place(path, stop), path.s_of_route(stop.end_s) + REAR_M + _CLEAR_M
            if line > path.s[-1]:
                break
            blocked = is_ahead(path, stop) and line < place < leaves
            if blocked and needed_braking(speed, line + LINE_GAP_M) < 3.0:
                found.append(standing_restraint(max(line, 0.0), leader.cause, leader.actor_id))
                break
    return found


def end_restraint(observation: Observation, path: DrivePath) -> list[Restraint]:
    """The end of the route: the car comes to a stop a little beyond it."""
    place = path.s_of_route(observation.route.length) + 1.0
    return [standing_restraint(place, Cause.ROUTE_END)] if place < path.s[-1] else []


def waits_at_junction(route: Route, begin_s: float, end_s: float) -> bool:
    """Whether somebody who stands between two places of the route may be waiting for a light or a gap."""
    return any(
        stop.s - _QUEUE_M < end_s and begin_s < stop.end_s + 15.0
        for stop in route.stops
        if stop.kind is not StopKind.CROSSING
    )
