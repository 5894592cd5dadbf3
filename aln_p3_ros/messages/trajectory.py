"""Kinematics of a planned path, and of a declared stop. Plain numpy; the frame is base_link at the plan's stamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aln_p3_core.geometry import FloatArray, wrap_angle

#: Faster than this no road vehicle is: such a speed, measured or planned, is a fault.
MAX_SPEED_MPS = 100.0
# Over shorter distances than this a direction says nothing.
_MIN_DISTANCE_M = 0.1
_STOP_STEP_S = 0.5
_MIN_STOP_POINTS = 6
_MAX_STOP_POINTS = 60


@dataclass(frozen=True, slots=True, eq=False)
class TrajectoryArrays:
    """A trajectory in base_link at its start. T = points.

    Attributes:
        times_s: [T] seconds after the start.
        positions: [T, 2] m. headings: [T] rad, relative to the heading at the start.
        velocities: [T] m/s along the heading, negative when backing up. accelerations: [T] m/s^2.
        heading_rates: [T] rad/s. curvatures: [T] 1/m, positive to the left, 0 at standstill.
    """

    times_s: FloatArray
    positions: FloatArray
    headings: FloatArray
    velocities: FloatArray
    accelerations: FloatArray
    heading_rates: FloatArray
    curvatures: FloatArray

    def __len__(self) -> int:
        return len(self.times_s)


def kinematics(
    positions: ArrayLike, headings: ArrayLike, step_s: float, current_speed: float | None = None
) -> TrajectoryArrays:
    """Velocities and so on of a path that starts at the origin with heading zero at time 0.

    The speed at a point is the mean of the speeds on both sides of it, and the acceleration the mean change of
    speed around it; the speed at time 0 is the vehicle's own. Heading rate = curvature x velocity everywhere.

    Args:
        positions: [T, 2] m, `step_s` apart, the first one `step_s` ahead.
        headings: [T] rad.
        step_s: seconds between points.
        current_speed: m/s along the heading now; None where unknown (then extrapolated from the path).
    """
    points = np.concatenate([np.zeros((1, 2)), np.asarray(positions, dtype=np.float64)])
    angles = np.unwrap(np.concatenate([[0.0], np.asarray(headings, dtype=np.float64)]))
    steps = np.diff(points, axis=0)
    middle = (angles[1:] + angles[:-1]) / 2
    forwards = np.where(steps[:, 0] * np.cos(middle) + steps[:, 1] * np.sin(middle) < 0, -1.0, 1.0)
    distances = forwards * np.hypot(steps[:, 0], steps[:, 1])
    means = distances / step_s

    # One step more of the same speed and curvature closes the central differences at the end.
    after = np.append(means, means[-1])
    velocities = (after[:-1] + after[1:]) / 2
    start = current_speed if current_speed is not None else means[0] - (velocities[0] - means[0])
    speeds = np.concatenate([[start], velocities])
    accelerations = np.gradient(speeds, step_s)[1:]

    travelled = np.concatenate([[0.0], np.cumsum(distances)])
    last = len(points) - 1
    index = np.arange(1, last + 1)
    before, behind = index - 1, np.minimum(index + 1, last)
    length = travelled[behind] - travelled[before]
    turn = angles[behind] - angles[before]
    moving = np.abs(length) > _MIN_DISTANCE_M
    curvatures = np.where(moving, turn / np.where(moving, length, 1.0), 0.0)
    return TrajectoryArrays(
        times_s=step_s * index,
        positions=points[1:],
        headings=wrap_angle(angles[1:]),
        velocities=velocities,
        accelerations=accelerations,
        heading_rates=curvatures * velocities,
        curvatures=curvatures,
    )


def stop_trajectory(speed: float, deceleration: float, path: FloatArray | None = None) -> TrajectoryArrays:
    """Constant braking to standstill, then standing. Whatever comes in, the points are such as can be driven.

    Args:
        speed: m/s along the heading now (negative when backing up); `MAX_SPEED_MPS` at most, and 0 for NaN.
        deceleration: m/s^2, positive.
        path: [n, 2] points to brake along, in base_link, in driving order from near the origin on; straight ahead
            where there is none, and beyond its end. One that holds NaN or infinity is none.

    Returns:
        Points every 0.5 s until the vehicle stands, at least 3 s and at most 30 s.
    """
    speed = float(np.clip(np.nan_to_num(speed), -MAX_SPEED_MPS, MAX_SPEED_MPS))
    if path is not None and not np.isfinite(path).all():
        path = None
    duration = abs(speed) / deceleration
    count = int(np.clip(np.ceil(duration / _STOP_STEP_S), _MIN_STOP_POINTS, _MAX_STOP_POINTS))
    times = _STOP_STEP_S * np.arange(1, count + 1)
    braking = np.minimum(times, duration)
    sign = -1.0 if speed < 0 else 1.0
    velocities = sign * (abs(speed) - deceleration * braking)
    distances = sign * (abs(speed) * braking - deceleration * braking**2 / 2)
    accelerations = np.where(times <= duration, -sign * deceleration, 0.0)
    positions, headings, curvatures = _along(path if speed > 0 else None, distances)
    # At standstill there is no curvature, whatever the road does.
    curvatures = np.where(np.abs(velocities) > 1e-6, curvatures, 0.0)
    return TrajectoryArrays(times, positions, headings, velocities, accelerations, curvatures * velocities, curvatures)


def _along(path: FloatArray | None, distances: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Positions, headings and curvatures at distances along a path, straight on beyond its end."""
    straight = np.stack([distances, np.zeros_like(distances)], axis=1)
    if path is None:
        return straight, np.zeros_like(distances), np.zeros_like(distances)
    points = np.concatenate([np.zeros((1, 2)), path[path[:, 0] > _MIN_DISTANCE_M]])
    steps = np.diff(points, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    keep = lengths > _MIN_DISTANCE_M
    if not keep.any():
        return _along(None, distances)
    points = np.concatenate([points[:1], points[1:][keep]])
    steps = np.diff(points, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    directions = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    # A piece's direction holds at its middle; the vehicle's own, zero, at the start.
    places = np.concatenate([[0.0], (travelled[1:] + travelled[:-1]) / 2])
    angles = np.concatenate([[0.0], directions])
    headings = np.interp(distances, places, angles)
    slopes = np.append(np.diff(angles) / np.diff(places), 0.0)
    curvatures = slopes[np.clip(np.searchsorted(places, distances, side="right") - 1, 0, len(slopes) - 1)]
    positions = np.stack([np.interp(distances, travelled, points[:, axis]) for axis in (0, 1)], axis=1)
    beyond = np.maximum(distances - travelled[-1], 0.0)[:, None]
    positions += beyond * np.array([np.cos(directions[-1]), np.sin(directions[-1])])
    return positions, headings, curvatures
