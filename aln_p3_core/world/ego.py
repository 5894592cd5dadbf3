"""The ego vehicle: its measures, its state, and a kinematic bicycle model (rear axle is the origin)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aln_p3_core.geometry import FloatArray, make_transform, wrap_angle
from aln_p3_core.vehicle import NUSCENES_VEHICLE

#: Length, width, height of the car, m (that of the nuScenes recordings).
EGO_SIZE_LWH = (NUSCENES_VEHICLE.length_m, NUSCENES_VEHICLE.width_m, 1.56)
WHEELBASE_M = 2.59
#: Middle of the box ahead of the rear axle, m.
EGO_CENTER_AHEAD_M = NUSCENES_VEHICLE.middle_m
MAX_STEERING_RAD = 0.6
MAX_STEERING_RATE = 0.8
MAX_ACCELERATION = 3.5
MAX_BRAKING = 8.0


@dataclass(frozen=True, slots=True)
class EgoState:
    """Motion of the ego at an instant. World frame; the place is the middle of the rear axle on the ground.

    Attributes:
        time_s: seconds since the episode began.
        x, y: m. heading: rad.
        speed: m/s along the heading, negative when backing up.
        acceleration: m/s^2 along the heading.
        steering: rad at the front wheel, positive to the left.
        yaw_rate: rad/s, counter-clockwise.
    """

    time_s: float
    x: float
    y: float
    heading: float
    speed: float = 0.0
    acceleration: float = 0.0
    steering: float = 0.0
    yaw_rate: float = 0.0

    @property
    def T_world_ego(self) -> FloatArray:
        """4x4, ego frame (x forward, y left, z up) to world frame."""
        half = self.heading / 2
        return make_transform([np.cos(half), 0.0, 0.0, np.sin(half)], [self.x, self.y, 0.0])

    @property
    def xy(self) -> FloatArray:
        """[2] rear axle, m."""
        return np.array([self.x, self.y])

    @property
    def center(self) -> FloatArray:
        """[2] middle of the footprint, m."""
        return self.xy + EGO_CENTER_AHEAD_M * np.array([np.cos(self.heading), np.sin(self.heading)])

    @property
    def velocity(self) -> FloatArray:
        """[2] m/s, world frame."""
        return self.speed * np.array([np.cos(self.heading), np.sin(self.heading)])


@dataclass(frozen=True, slots=True)
class Control:
    """What the controller asks of the car: acceleration, m/s^2, and front wheel angle, rad."""

    acceleration: float
    steering: float


def pushed(control: Control, push: Control, speed: float, dt: float) -> Control:
    """A control with a push added. Pushes brake a car to a stand at most: none makes it back up.

    Args:
        control: what is asked of the car. push: what comes on top. speed: of the car, m/s. dt: of the step, s.
    """
    slowest = min(control.acceleration, -max(speed, 0.0) / dt)
    return Control(max(control.acceleration + push.acceleration, slowest), control.steering + push.steering)


def step_bicycle(state: EgoState, control: Control, dt: float) -> EgoState:
    """The state `dt` seconds later: kinematic bicycle about the rear axle, exact along a circle.

    Steering angle, its rate, acceleration and braking are limited to what the car can do. Braking ends at
    standstill: the car does not roll back unless it is asked to accelerate backwards from there.
    """
    change = np.clip(control.steering - state.steering, -MAX_STEERING_RATE * dt, MAX_STEERING_RATE * dt)
    steering = float(np.clip(state.steering + change, -MAX_STEERING_RAD, MAX_STEERING_RAD))
    asked = float(np.clip(control.acceleration, -MAX_BRAKING, MAX_ACCELERATION))
    speed = state.speed + asked * dt
    if state.speed > 0 > speed or state.speed < 0 < speed:
        speed = 0.0
    distance = 0.5 * (state.speed + speed) * dt
    turn = distance * np.tan(steering) / WHEELBASE_M
    # The chord of the arc that the rear axle follows.
    chord = distance * float(np.sinc(turn / 2 / np.pi))
    direction = state.heading + turn / 2
    return EgoState(
        time_s=state.time_s + dt,
        x=state.x + chord * float(np.cos(direction)),
        y=state.y + chord * float(np.sin(direction)),
        heading=float(wrap_angle(state.heading + turn)),
        speed=speed,
        acceleration=(speed - state.speed) / dt,
        steering=steering,
        yaw_rate=float(turn / dt),
    )


def interpolate_ego(earlier: EgoState, later: EgoState, time_s: float) -> EgoState:
    """State between two (linear in place and turned angle); outside of them it extrapolates."""
    span = later.time_s - earlier.time_s
    f = (time_s - earlier.time_s) / span if span else 1.0
    turned = float(wrap_angle(later.heading - earlier.heading))

    def mixed(name: str) -> float:
        return (1 - f) * getattr(earlier, name) + f * getattr(later, name)

    return replace(
        later,
        time_s=time_s,
        heading=float(wrap_angle(earlier.heading + f * turned)),
        **{name: mixed(name) for name in ("x", "y", "speed", "acceleration", "steering", "yaw_rate")},
    )
