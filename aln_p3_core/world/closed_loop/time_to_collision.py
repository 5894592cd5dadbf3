"""Time to collision: how soon boxes would meet if everybody went on as they do."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.boxes import EGO_SIZE_LW, separations, time_to_overlap
from aln_p3_core.world.ego import EGO_SIZE_LWH
from aln_p3_core.world.state import WorldState

#: nuPlan's bound: a time to collision below it is critical, s.
CRITICAL_S = 0.95
#: Looked for among everybody this near, m, and not farther ahead than this, s.
RADIUS_M = 60.0
HORIZON_S = 5.0


class TimeToCollisionMeasure:
    """The least time to collision, and the share of time during which it is critical.

    At constant velocities, boxes without turning, exact. Whoever is behind the ego's rear bumper is left out (the
    one who follows keeps the distance), and so is everybody while the ego stands.
    """

    def __init__(self) -> None:
        self.minimum_s = np.inf
        self._steps = self._critical = 0

    @property
    def critical_share(self) -> float:
        """Share of the steps with a time to collision below `CRITICAL_S`."""
        return self._critical / max(self._steps, 1)

    def observe(self, state: WorldState) -> float:
        """Feeds one step. Returns the time to collision in it, s, inf when there is none within `HORIZON_S`."""
        self._steps += 1
        ego = state.ego
        if abs(ego.speed) < 0.1:
            return np.inf
        center, forward = ego.center, np.array([np.cos(ego.heading), np.sin(ego.heading)])
        offsets = state.actors.positions[:, :2] - center
        ahead = ((offsets**2).sum(axis=1) <= RADIUS_M**2) & (offsets @ forward > -EGO_SIZE_LWH[0] / 2)
        if not ahead.any():
            return np.inf
        near = state.actors.select(ahead)
        geometry = separations(
            center, ego.heading, EGO_SIZE_LW, near.positions[:, :2], near.headings, sizes_of(near)[:, :2]
        )
        soonest = float(time_to_overlap(*geometry, near.velocities - ego.velocity).min())
        self._critical += soonest < CRITICAL_S
        if soonest > HORIZON_S:
            return np.inf
        self.minimum_s = min(self.minimum_s, soonest)
        return soonest
