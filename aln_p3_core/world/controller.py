"""Tracks a plan with the bicycle: pure pursuit across the path, a proportional law with feed-forward along it.

The plan is a timed path. Every 0.05 s the controller looks at where the plan wants the car to be shortly, and
asks for the acceleration and the steering angle that lead there. docs/closed_loop.md states the law.
"""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import FloatArray, invert_transform, transform_points
from aln_p3_core.world.ego import MAX_BRAKING, WHEELBASE_M, Control, EgoState
from aln_p3_core.world.planners.planner import EgoPlan

LOOKAHEAD_S = 0.6
LOOKAHEAD_MIN_M = 3.0
SPEED_TIME_CONSTANT_S = 0.5
POSITION_GAIN = 0.4
#: Below this planned and actual speed, m/s, the car is held by its brakes.
STANDSTILL_SPEED = 0.15
#: Cosine of the angle between chord and heading beyond which a plan's heading is not believed.
_MAX_BEND_COSINE = 0.8


class TrackingController:
    """Follows one plan after the other; holds the car when there is none or when it has run out."""

    def __init__(self) -> None:
        self._times = np.zeros(0)
        self._path_world = np.zeros((0, 2))

    def reset(self) -> None:
        """Forgets the plan."""
        self.__init__()  # type: ignore[misc]

    def follow(self, plan: EgoPlan, T_world_ego: FloatArray) -> None:
        """Takes a plan over. `T_world_ego` is the ego pose that the plan's points refer to."""
        times = np.asarray(plan.times_s, dtype=np.float64)
        points = np.asarray(plan.points_ego, dtype=np.float64)
        headings = np.asarray(plan.headings_ego, dtype=np.float64)
        if times[0] > 1e-6:
            times, points = np.concatenate([[0.0], times]), np.concatenate([[[0.0, 0.0]], points])
            headings = np.concatenate([[0.0], headings])
        times, points = _curved(times, points, headings)
        self._times = plan.stamp_s + times
        self._path_world = transform_points(T_world_ego, points)

    def control(self, ego: EgoState) -> Control:
        """What to ask of the car now."""
        if not len(self._times) or ego.time_s >= self._times[-1]:
            return Control(float(np.clip(-ego.speed / 0.1, -MAX_BRAKING, MAX_BRAKING)), ego.steering)
        path_ego = transform_points(invert_transform(ego.T_world_ego), self._path_world)
        return Control(self._acceleration(ego, path_ego), self._steering(ego, path_ego))

    def _at(self, path: FloatArray, time_s: float) -> FloatArray:
        return np.array([np.interp(time_s, self._times, path[:, axis]) for axis in (0, 1)])

    def _planned_speed(self, time_s: float, path: FloatArray, span: float = 0.25) -> float:
        """Speed of the plan around an instant, m/s along the car."""
        first = max(self._times[0], time_s - span)
        last = min(self._times[-1], time_s + span)
        moved = self._at(path, last) - self._at(path, first)
        return float(np.copysign(np.hypot(*moved), moved[0]) / max(last - first, 1e-6))

    def _acceleration(self, ego: EgoState, path_ego: FloatArray) -> float:
        behind = float(self._at(path_ego, ego.time_s)[0])
        wanted = self._planned_speed(ego.time_s + SPEED_TIME_CONSTANT_S, path_ego)
        if abs(wanted) < STANDSTILL_SPEED and behind < 0.5:
            # Stop where the car is rather than creep to the last centimetre.
            return float(np.clip(-ego.speed / SPEED_TIME_CONSTANT_S, -MAX_BRAKING, MAX_BRAKING))
        asked = (wanted - ego.speed + POSITION_GAIN * behind) / SPEED_TIME_CONSTANT_S
        # A car that is too far along its plan waits for it; it backs up only for a plan that does.
        return asked if wanted < -STANDSTILL_SPEED else max(asked, -max(ego.speed, 0.0) / 0.05)

    def _steering(self, ego: EgoState, path_ego: FloatArray) -> float:
        distance = max(LOOKAHEAD_MIN_M, LOOKAHEAD_S * abs(ego.speed))
        lengths = np.linalg.norm(path_ego, axis=1)
        ahead = (self._times >= ego.time_s) & (path_ego[:, 0] > 0.2)
        if not ahead.any() or lengths[ahead].max() < 0.5:
            return ego.steering
        points, reach = path_ego[ahead], lengths[ahead]
        beyond = np.flatnonzero(reach >= distance)
        if len(beyond):
            last = int(beyond[0])
            first = points[last - 1] if last else np.zeros(2)
            first_reach = reach[last - 1] if last else 0.0
            fraction = (distance - first_reach) / max(reach[last] - first_reach, 1e-6)
            target = first + fraction * (points[last] - first)
        else:
            # The plan ends before the look-ahead: aim along its last stretch.
            target = points[-1]
        curvature = 2 * target[1] / max(float(target @ target), 1e-6)
        return float(np.arctan(WHEELBASE_M * curvature))


def _curved(times: FloatArray, points: FloatArray, headings: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The plan at about 0.05 s: cubic between its points, along its headings.

    Chords between points half a second apart lie inside the curve that they stand for, and a car that
    follows them turns ever more tightly. Where a heading contradicts the way, the chord stays.
    """
    chords = np.diff(points, axis=0)
    lengths = np.hypot(*chords.T)
    tangents = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    towards = np.divide(chords, lengths[:, None], out=np.zeros_like(chords), where=lengths[:, None] > 0.05)
    fits = np.minimum((tangents[:-1] * towards).sum(axis=1), (tangents[1:] * towards).sum(axis=1)) > _MAX_BEND_COSINE
    pieces, instants = [points[:1]], [times[:1]]
    for k, (chord, length) in enumerate(zip(chords, lengths, strict=True)):
        count = max(int(np.ceil((times[k + 1] - times[k]) / 0.05 - 1e-6)), 1)
        u = (np.arange(1, count + 1) / count)[:, None]
        begin, end = (length * tangents[k], length * tangents[k + 1]) if fits[k] else (chord, chord)
        blend = u * (1 - u)
        pieces.append(points[k] + u * chord + blend * ((1 - u) * (begin - chord) - u * (end - chord)))
        instants.append(times[k] + u[:, 0] * (times[k + 1] - times[k]))
    return np.concatenate(instants), np.concatenate(pieces)
