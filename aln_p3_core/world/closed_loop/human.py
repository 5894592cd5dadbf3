"""Distance to the human driver of a recording."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aln_p3_core.geometry import FloatArray, transform_points
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.planner import EgoPlan

#: Horizons at which plans are compared, s.
HORIZONS_S = (1.0, 2.0, 3.0)


class HumanComparison:
    """L2 between plans and what the human did, in closed loop.

    At every plan, and for every horizon that the recording still covers: the distance between where the plan puts
    the ego and where the human was at that instant, world frame; the report is the mean over plans. The ego is where
    its own driving brought it, so this holds the departure up to then too (`departure_m`, the distance between ego and
    human when the plan is made): it is no open-loop L2.
    """

    def __init__(self, human_at: Callable[[float], EgoState], duration_s: float | None) -> None:
        self._human_at = human_at
        self._end_s = np.inf if duration_s is None else duration_s
        self._l2: dict[float, list[float]] = {horizon: [] for horizon in HORIZONS_S}
        self._departures: list[float] = []

    def observe(self, plan: EgoPlan, T_world_ego: FloatArray) -> None:
        """Feeds a plan with the ego pose at its stamp."""
        times = np.concatenate([[0.0], plan.times_s])
        points = np.concatenate([np.zeros((1, 2)), plan.points_ego])
        self._departures.append(self._distance(plan.stamp_s, T_world_ego[:2, 3]))
        for horizon, distances in self._l2.items():
            if plan.stamp_s + horizon <= self._end_s + 1e-6 and horizon <= times[-1] + 1e-6:
                planned = np.array([np.interp(horizon, times, points[:, axis]) for axis in (0, 1)])
                distances.append(self._distance(plan.stamp_s + horizon, transform_points(T_world_ego, planned)))

    def report(self) -> dict[str, float]:
        """Means in metres: l2_1s, l2_2s, l2_3s, departure_m; a horizon that never applied is left out."""
        means = {f"l2_{horizon:.0f}s": float(np.mean(values)) for horizon, values in self._l2.items() if values}
        if self._departures:
            means["departure_m"] = float(np.mean(self._departures))
        return {name: round(value, 4) for name, value in means.items()}

    def _distance(self, time_s: float, place: FloatArray) -> float:
        return float(np.hypot(*(place - self._human_at(time_s).xy)))
