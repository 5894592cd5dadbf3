"""`Route`: the path that the ego is asked to follow, lane by lane, and the command it gives the driver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.frame import Command
from aln_p3_core.geometry import FloatArray, wrap_angle

#: A turn is announced this many seconds before it begins at the present speed, and at least so many metres.
COMMAND_AHEAD_S = 3.0
COMMAND_AHEAD_M = 15.0
#: A stretch of the route that turns by more than this is a turn.
TURN_ANGLE_RAD = np.radians(35.0)


class StopKind(Enum):
    """Why the route may have to be interrupted at a place."""

    SIGNAL = "signal"
    YIELD = "yield"
    CROSSING = "crossing"


@dataclass(frozen=True, slots=True)
class RouteStop:
    """A line at which the ego may have to wait.

    Attributes:
        s: m along the route of the line itself. The car stops with its front bumper before it, so that its rear axle
            (the ego's place) is a wheelbase and an overhang short of `s`.
        end_s: m along the route, where the junction or crossing is left behind.
        kind: what for. index: of the signal, of the connector lane, or of the crossing in the city map.
    """

    s: float
    end_s: float
    kind: StopKind
    index: int


@dataclass(frozen=True, eq=False)
class Route:
    """A smooth path with what lies along it.

    Attributes:
        points: [P, 2] the path, world frame, evenly spaced by about half a metre.
        speed_limits: [P] m/s.
        lane_of: [P] index into `CityMap.lanes` of the lane under each point, -1 where there is none.
        stops: lines at which the ego may have to wait, in order.
        known_turns: what `turns` gives, where the map tells it; None has it read off the path's curvature.
    """

    points: FloatArray
    speed_limits: FloatArray
    lane_of: NDArray[np.int64]
    stops: tuple[RouteStop, ...] = ()
    known_turns: tuple[tuple[float, float, Command], ...] | None = None

    @cached_property
    def s(self) -> FloatArray:
        """[P] m along the path."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))])

    @property
    def length(self) -> float:
        """m."""
        return float(self.s[-1])

    @cached_property
    def headings(self) -> FloatArray:
        """[P] rad, continuous (not wrapped)."""
        delta = np.gradient(self.points, axis=0)
        return np.unwrap(np.arctan2(delta[:, 1], delta[:, 0]))

    @cached_property
    def curvatures(self) -> FloatArray:
        """[P] 1/m, positive to the left."""
        return np.gradient(self.headings) / np.maximum(np.gradient(self.s), 1e-6)

    def pose_at(self, s: object, lateral: object = 0.0) -> tuple[FloatArray, FloatArray]:
        """Places [..., 2] and headings [...] at arc lengths, `lateral` metres to the left of the path.

        Beyond either end the path goes on straight.
        """
        s_array = np.asarray(s, dtype=np.float64)
        inside = np.clip(s_array, 0.0, self.length)
        x = np.interp(inside, self.s, self.points[:, 0])
        y = np.interp(inside, self.s, self.points[:, 1])
        heading = np.interp(inside, self.s, self.headings)
        beyond = s_array - inside
        offset = np.asarray(lateral, dtype=np.float64)
        x = x + beyond * np.cos(heading) - offset * np.sin(heading)
        y = y + beyond * np.sin(heading) + offset * np.cos(heading)
        return np.stack([x, y], axis=-1), wrap_angle(heading)

    def project(self, xy: FloatArray, near_s: float | None = None, window_m: float = 30.0) -> tuple[float, float]:
        """Arc length and signed distance (left positive), m, of the nearest point of the path to a place [2].

        `near_s` looks only within `window_m` of a known arc length: right where a route crosses itself.
        """
        start, end = 0, len(self.points) - 1
        if near_s is not None:
            start = int(np.clip(np.searchsorted(self.s, near_s - window_m) - 1, 0, end - 1))
            end = int(np.clip(np.searchsorted(self.s, near_s + window_m) + 1, start + 1, end))
        a, b = self.points[start:end], self.points[start + 1 : end + 1]
        edge = b - a
        length = np.maximum(np.linalg.norm(edge, axis=1), 1e-9)
        t = np.clip(((np.asarray(xy) - a) * edge).sum(axis=1) / length**2, 0.0, 1.0)
        offset = np.asarray(xy) - (a + t[:, None] * edge)
        best = int((offset**2).sum(axis=1).argmin())
        side = edge[best, 0] * offset[best, 1] - edge[best, 1] * offset[best, 0]
        distance = float(np.hypot(*offset[best]))
        return float(self.s[start + best] + t[best] * length[best]), float(np.copysign(distance, side))

    @cached_property
    def turns(self) -> tuple[tuple[float, float, Command], ...]:
        """Every turn as (start s, end s, LEFT or RIGHT), in order.

        They are the turns that the junctions of the map make. Without a map they are the stretches of high curvature
        that turn far enough, among them sharp bends where there is no choice.
        """
        if self.known_turns is not None:
            return self.known_turns
        turns = []
        bent = np.abs(self.curvatures) > 0.02
        edges = np.flatnonzero(np.diff(np.concatenate([[False], bent, [False]]).astype(int)))
        for first, after in edges.reshape(-1, 2):
            last = min(after, len(self.s) - 1)
            angle = self.headings[last] - self.headings[first]
            if abs(angle) > TURN_ANGLE_RAD:
                command = Command.LEFT if angle > 0 else Command.RIGHT
                turns.append((float(self.s[first]), float(self.s[last]), command))
        return tuple(turns)

    def command_at(self, s: float, speed: float) -> Command:
        """What a navigator would say at arc length `s`: the turn that is under way or close ahead, else STRAIGHT.

        It reads the route only, never what the ego did or will do.
        """
        ahead = s + max(COMMAND_AHEAD_M, COMMAND_AHEAD_S * speed)
        for start, end, command in self.turns:
            if start <= ahead and s < end:
                return command
        return Command.STRAIGHT
