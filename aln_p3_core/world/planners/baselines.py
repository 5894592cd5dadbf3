"""Planners that see nobody: what every closed-loop table must be read against.

A measure that one of them passes does not measure driving.
"""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.planners.planner import Decision, EgoPlan, Maneuver, Observation, straight_plan

#: Seconds that a baseline plans ahead, and between its points: those of the driver.
HORIZON_S = 3.0
PLAN_STEP_S = 0.5


class _Blind:
    """What all baselines have in common: no memory, no pictures."""

    name = ""
    needs_images = False

    def reset(self) -> None:
        """Nothing to forget."""


class StandStill(_Blind):
    """Stays where it is."""

    name = "stand_still"

    def plan(self, observation: Observation) -> EgoPlan:
        """All points at the present place."""
        plan = straight_plan(observation.state.time_s, 0.0, HORIZON_S, PLAN_STEP_S)
        return EgoPlan(plan.stamp_s, plan.times_s, plan.points_ego, plan.headings_ego, Decision(Maneuver.STOP))


class ConstantVelocity(_Blind):
    """Straight on at the present speed."""

    name = "constant_velocity"

    def plan(self, observation: Observation) -> EgoPlan:
        """Points along the present heading."""
        return straight_plan(observation.state.time_s, max(observation.state.ego.speed, 0.0), HORIZON_S, PLAN_STEP_S)


class ConstantCurvature(_Blind):
    """On along the present circle: speed and yaw rate stay."""

    name = "constant_curvature"

    def plan(self, observation: Observation) -> EgoPlan:
        """Points on the circle."""
        ego = observation.state.ego
        times = PLAN_STEP_S * np.arange(1, round(HORIZON_S / PLAN_STEP_S) + 1)
        points, headings = circle(max(ego.speed, 0.0), ego.yaw_rate, times)
        return EgoPlan(ego.time_s, times, points, headings)


def circle(speed: float, yaw_rate: float, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Places [T, 2] and headings [T] after `times_s` at constant speed and yaw rate, from the origin along x."""
    headings = yaw_rate * times_s
    chord = speed * times_s * np.sinc(headings / 2 / np.pi)
    points = np.stack([chord * np.cos(headings / 2), chord * np.sin(headings / 2)], axis=1)
    return points, headings
