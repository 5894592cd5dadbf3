"""What the ego really does in the three seconds after a key frame, read from its path, not from anybody's intention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.key_frame import KeyFrame
from aln_p3_core.world.language.roads import match_route
from aln_p3_core.world.language.stated import Pace, Side
from aln_p3_core.world.planners.planner import LateralManeuver, Maneuver
from aln_p3_core.world.route import Route

HORIZON_S = 3.0
#: Slower than this the ego stands, m/s.
STANDING = 0.4
#: A change of speed by less than this, m/s (or this share of the speed), is none.
SPEED_CHANGE, SPEED_CHANGE_SHARE = 0.8, 0.1
#: Below the first a steady drive is slow, from the second on fast, m/s.
SLOW_BELOW, FAST_FROM = 4.0, 11.5
#: A path that turns by more than this in the horizon bends; by more than the second it is a turn anywhere, rad.
BEND, TURN = 0.17, 0.9
_CHANGE_MOVES_M = 0.7
_NUDGE_MOVES_M = 0.25


@dataclass(frozen=True, eq=False)
class EgoPath:
    """Where the ego goes. T = instants; the first is now.

    Attributes:
        times_s: [T] from now. points: [T, 2] rear axle, world frame, m. headings: [T] rad, continuous.
        speeds: [T] m/s, in the middle of each step before (the first is the present speed).
    """

    times_s: FloatArray
    points: FloatArray
    headings: FloatArray
    speeds: FloatArray

    @property
    def length(self) -> float:
        """m."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True)
class EgoMotion:
    """The motion in the planner's words.

    Attributes:
        speed, lateral: what it does. pace: how fast it is now.
        bend: side to which its path bends without being a turn at a junction; NONE where it is straight.
        path_length: m that it covers. final_speed: m/s at its end.
    """

    speed: Maneuver
    lateral: LateralManeuver
    pace: Pace
    bend: Side
    path_length: float
    final_speed: float


def ego_path(frames: Sequence[KeyFrame], index: int) -> EgoPath:
    """The ego's next seconds: its plan where the key frame has one, else the key frames that follow.

    At the end of a scene without plans the path goes on with the last known acceleration.
    """
    frame = frames[index]
    ego = frame.state.ego
    if frame.plan is not None:
        at = frame.plan.times_s
        keep = (at > 1e-6) & (at <= HORIZON_S + 1e-6)
        cos, sin = np.cos(ego.heading), np.sin(ego.heading)
        local = frame.plan.points_ego[keep]
        points = ego.xy + np.stack(
            [local[:, 0] * cos - local[:, 1] * sin, local[:, 0] * sin + local[:, 1] * cos], axis=1
        )
        return _path(ego, at[keep], points, ego.heading + frame.plan.headings_ego[keep])
    later = [f.state.ego for f in frames[index + 1 :] if f.state.time_s <= ego.time_s + HORIZON_S + 0.1]
    if later:
        return _path(
            ego,
            np.array([e.time_s - ego.time_s for e in later]),
            np.array([e.xy for e in later]),
            np.array([e.heading for e in later]),
        )
    times = np.arange(0.5, HORIZON_S + 0.1, 0.5)
    rates = np.clip(ego.speed + ego.acceleration * (times - 0.25), 0.0, None)
    distances = np.cumsum(0.5 * rates)
    ahead = np.array([np.cos(ego.heading), np.sin(ego.heading)])
    return _path(ego, times, ego.xy + distances[:, None] * ahead, np.full(len(times), ego.heading))


def ego_motion(path: EgoPath, frame: KeyFrame, route: Route, junction_turns: Sequence[bool]) -> EgoMotion:
    """What the ego does.

    Args:
        path: from `ego_path`.
        frame: whose decision tells lane changes and swerves; both must show in the path to count.
        route: of the ego.
        junction_turns: for every turn of the route whether it is one at a junction (else a bend of the road).
    """
    speed = _speed_change(path)
    bend = Side.NONE
    lateral = LateralManeuver.KEEP_LANE
    turned = float(path.headings[-1] - path.headings[0])
    if path.length >= 1.5 and speed is not Maneuver.WAIT:
        if abs(turned) > BEND:
            bend = Side.LEFT if turned > 0 else Side.RIGHT
            if abs(turned) > TURN or _turns_here(path, frame, route, junction_turns, bend):
                lateral = LateralManeuver.TURN_LEFT if bend is Side.LEFT else LateralManeuver.TURN_RIGHT
                bend = Side.NONE
        if lateral is LateralManeuver.KEEP_LANE:
            lateral = _sideways(path, frame, route)
            if lateral is not LateralManeuver.KEEP_LANE:
                bend = Side.NONE
    now = path.speeds[0]
    pace = Pace.SLOW if now < SLOW_BELOW else (Pace.MODERATE if now < FAST_FROM else Pace.FAST)
    return EgoMotion(speed, lateral, pace, bend, path.length, float(path.speeds[-1]))


def _path(ego: EgoState, times: FloatArray, points: FloatArray, headings: FloatArray) -> EgoPath:
    all_times = np.concatenate([[0.0], times])
    all_points = np.concatenate([[ego.xy], points])
    steps = np.linalg.norm(np.diff(all_points, axis=0), axis=1) / np.diff(all_times)
    return EgoPath(
        times_s=all_times,
        points=all_points,
        headings=np.unwrap(np.concatenate([[ego.heading], headings])),
        speeds=np.concatenate([[abs(ego.speed)], steps]),
    )


def _speed_change(path: EgoPath) -> Maneuver:
    """The first change of speed that is large enough to be called one."""
    now, later = float(path.speeds[0]), path.speeds[1:]
    if now < STANDING:
        return Maneuver.START if path.length > 1.0 and later[-1] > 2 * STANDING else Maneuver.WAIT
    if later.min() < STANDING:
        return Maneuver.STOP
    threshold = max(SPEED_CHANGE, SPEED_CHANGE_SHARE * now)
    changed = later[np.abs(later - now) > threshold]
    if not len(changed):
        return Maneuver.KEEP_SPEED
    return Maneuver.ACCELERATE if changed[0] > now else Maneuver.DECELERATE


def _turns_here(path: EgoPath, frame: KeyFrame, route: Route, junction_turns: Sequence[bool], side: Side) -> bool:
    end = frame.route_s + path.length
    for (start, stop, command), at_junction in zip(route.turns, junction_turns, strict=True):
        overlaps = start < end and stop > frame.route_s
        if at_junction and overlaps and (command.name == side.name):
            return True
    return False


def _sideways(path: EgoPath, frame: KeyFrame, route: Route) -> LateralManeuver:
    """A lane change or swerve that somebody decided on and that the path shows."""
    decision = frame.plan.decision if frame.plan is not None else None
    if decision is None:
        return LateralManeuver.KEEP_LANE
    sign = 1.0 if decision.lateral.value.endswith("left") else -1.0
    if decision.lateral in (LateralManeuver.CHANGE_LEFT, LateralManeuver.CHANGE_RIGHT):
        # Against the present heading and the lane's direction: what the ego moves to the side, bends left out.
        along = match_route(route, frame.route_s, path.points, 20.0, 80.0)
        heading = path.headings[0]
        delta = path.points[-1] - path.points[0]
        moved = float(delta[1] * np.cos(heading) - delta[0] * np.sin(heading))
        moved = max(sign * moved, sign * float(along.lateral[-1] - along.lateral[0]))
        return decision.lateral if moved > _CHANGE_MOVES_M else LateralManeuver.KEEP_LANE
    if decision.lateral in (LateralManeuver.NUDGE_LEFT, LateralManeuver.NUDGE_RIGHT):
        lateral = match_route(route, frame.route_s, path.points, 20.0, 80.0).lateral
        away = float((sign * lateral[1:]).max())
        return decision.lateral if away > _NUDGE_MOVES_M else LateralManeuver.KEEP_LANE
    return LateralManeuver.KEEP_LANE


def bend_ahead(route: Route, route_s: float, reach_m: float = 40.0) -> tuple[Side, float]:
    """Side of the strongest bend of the route ahead, and its curvature in 1/m."""
    inside = (route.s >= route_s) & (route.s <= route_s + reach_m)
    if not inside.any():
        return Side.NONE, 0.0
    curvatures = route.curvatures[inside]
    strongest = float(curvatures[np.abs(curvatures).argmax()])
    if abs(strongest) < 0.008:
        return Side.NONE, 0.0
    return (Side.LEFT if strongest > 0 else Side.RIGHT), strongest
