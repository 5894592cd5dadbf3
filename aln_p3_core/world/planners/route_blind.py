"""A planner that follows its route at the limit and sees nobody: the strongest blind baseline."""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import invert_transform, transform_points, wrap_angle
from aln_p3_core.world.planners.drive_path import drive_path, speed_envelope
from aln_p3_core.world.planners.planner import EgoPlan, Observation

HORIZON_S = 4.0
PLAN_STEP_S = 0.2
_ACCELERATION = 1.5
_TIME_CONSTANT_S = 0.5


class RouteBlind:
    """Knows the way, its limits and its curves; takes no notice of traffic, lights or pedestrians."""

    name = "route_blind"
    needs_images = False

    def reset(self) -> None:
        """Nothing to forget."""

    def plan(self, observation: Observation) -> EgoPlan:
        """Along the route as fast as limit and curves allow."""
        ego = observation.state.ego
        path = drive_path(observation.route, ego, observation.route_s, 20.0 + 6.0 * max(ego.speed, 8.0))
        envelope = speed_envelope(path.limits, path.s)
        times = PLAN_STEP_S * np.arange(round(HORIZON_S / PLAN_STEP_S) + 1)
        s, speed = np.zeros_like(times), max(ego.speed, 0.0)
        for step in range(1, len(times)):
            wanted = float(np.interp(s[step - 1] + speed * _TIME_CONSTANT_S, path.s, envelope))
            acceleration = np.clip((wanted - speed) / _TIME_CONSTANT_S, -4.0, _ACCELERATION)
            faster = max(speed + acceleration * PLAN_STEP_S, 0.0)
            s[step] = s[step - 1] + 0.5 * (speed + faster) * PLAN_STEP_S
            speed = faster
        places, headings = path.at(s)
        points = transform_points(invert_transform(ego.T_world_ego), places)
        return EgoPlan(ego.time_s, times, points, wrap_angle(headings - ego.heading))
