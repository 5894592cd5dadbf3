"""`DrivePath`: the line ahead that the rear axle shall follow, from where the car really is back onto its route."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route

#: m between two points of a path.
PATH_STEP_M = 0.5
#: Seconds, and at least and at most metres, within which the car is back on its line.
RETURN_S = 1.8
RETURN_MIN_M = 7.0
RETURN_MAX_M = 28.0
#: m/s^2 across the car that a turn may take.
LATERAL_ACCELERATION = 2.0
#: m/s^2 by which the car slows down for what it sees ahead in good time.
COMFORT_BRAKING = 1.6
#: m/s below which no turn, however tight, slows the car.
MIN_TURNING_SPEED = 2.0


@dataclass(frozen=True, eq=False)
class DrivePath:
    """Points from the rear axle onwards. K = points, evenly spaced along the route.

    Attributes:
        points: [K, 2] world frame, m; the first is the rear axle.
        headings: [K] rad, continuous; the first is the car's.
        s: [K] m along this path from the rear axle.
        route_s: [K] m along the route.
        lateral: [K] m to the left of the route.
        limits: [K] m/s: what limit and curvature allow.
        cornering: [K] m/s: what curvature alone allows.
    """

    points: FloatArray
    headings: FloatArray
    s: FloatArray
    route_s: FloatArray
    lateral: FloatArray
    limits: FloatArray
    cornering: FloatArray

    def at(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Places [..., 2] and headings [...] at distances ahead; straight on beyond the end."""
        inside = np.clip(s, 0.0, self.s[-1])
        heading = np.interp(inside, self.s, self.headings)
        x = np.interp(inside, self.s, self.points[:, 0]) + (s - inside) * np.cos(heading)
        y = np.interp(inside, self.s, self.points[:, 1]) + (s - inside) * np.sin(heading)
        return np.stack([x, y], axis=-1), heading

    def s_of_route(self, route_s: float) -> float:
        """Distance ahead of a place on the route; negative behind the car, exact ahead of it."""
        first = self.route_s[0]
        if route_s <= first:
            return float(route_s - first)
        if route_s >= self.route_s[-1]:
            return float(self.s[-1] + route_s - self.route_s[-1])
        return float(np.interp(route_s, self.route_s, self.s))


def drive_path(
    route: Route, ego: EgoState, route_s: float, length_m: float, wanted_lateral: FloatArray | None = None
) -> DrivePath:
    """The path from the car's place and heading back to the route, or to a line beside it.

    A cubic takes the distance from the line to zero. Replanned at every tick it acts as a well damped
    (0.8) second-order law on that distance.

    Args:
        route: what to follow. ego: where the car is. route_s: its arc length there.
        length_m: how far to look.
        wanted_lateral: [K] m left of the route at steps of `PATH_STEP_M` from `route_s` on; the route itself
            when None.
    """
    count = int(length_m / PATH_STEP_M) + 1
    ahead = PATH_STEP_M * np.arange(count)
    at_s = route_s + ahead
    wanted = np.zeros(count) if wanted_lateral is None else wanted_lateral
    center, heading = route.pose_at(at_s)
    normal = np.array([-np.sin(heading[0]), np.cos(heading[0])])
    off = float((ego.xy - center[0]) @ normal) - wanted[0]
    slope_wanted = np.gradient(wanted, PATH_STEP_M)
    slope = float(np.clip(np.tan(np.clip(wrap_angle(ego.heading - heading[0]), -1.0, 1.0)), -1.0, 1.0))
    lateral = wanted + _fading(off, slope - slope_wanted[0], ahead, _return_length(ego.speed))
    points = center + lateral[:, None] * np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    points[0] = ego.xy
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    headings = np.unwrap(np.arctan2(*np.gradient(points, axis=0).T[::-1]))
    headings = np.unwrap(np.concatenate([[ego.heading], headings[1:]]))
    cornering = _cornering_speed(route, at_s, slope_wanted)
    limits = np.minimum(np.interp(at_s, route.s, route.speed_limits), cornering)
    return DrivePath(points, headings, s, at_s, lateral, limits, cornering)


def speed_envelope(limits: FloatArray, s: FloatArray, braking: float = COMFORT_BRAKING) -> FloatArray:
    """[K] highest speeds from which `braking` still meets every limit further on."""
    energy = limits**2 + 2 * braking * s
    lowest = np.minimum.accumulate(energy[::-1])[::-1]
    return np.sqrt(np.maximum(lowest - 2 * braking * s, 0.0))


def _return_length(speed: float) -> float:
    return float(np.clip(RETURN_S * speed, RETURN_MIN_M, RETURN_MAX_M))


def _fading(value: float, slope: float, ahead: FloatArray, length: float) -> FloatArray:
    """Cubic from a value and slope at 0 to zero value and slope at `length`, zero beyond."""
    u: FloatArray = np.clip(ahead / length, 0.0, 1.0)
    rest: FloatArray = 1.0 - u
    faded: FloatArray = rest**2 * (value * (1 + 2 * u) + slope * length * u)
    return faded


def _cornering_speed(route: Route, at_s: FloatArray, slope: FloatArray) -> FloatArray:
    curvature = np.interp(at_s, route.s, route.curvatures) + np.gradient(slope, PATH_STEP_M)
    # Over two metres: what the wheels feel, not the polyline's corners.
    padded = np.pad(curvature, 2, mode="edge")
    smooth: FloatArray = np.abs(np.convolve(padded, np.full(5, 0.2), mode="valid"))
    return np.maximum(np.sqrt(LATERAL_ACCELERATION / np.maximum(smooth, 1e-4)), MIN_TURNING_SPEED)
