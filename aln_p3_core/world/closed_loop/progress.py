"""How far along its route the ego came, and whether it got lost or stuck on the way."""

from __future__ import annotations

from aln_p3_core.world.closed_loop.events import Infraction, InfractionKind
from aln_p3_core.world.route import Route
from aln_p3_core.world.state import WorldState

#: Metres of the route count as driven while the ego is this near to it (lane changes and swerves are allowed).
ON_ROUTE_M = 10.0
#: Farther away the drive ends: the ego is lost (CARLA's value), m.
LOST_M = 30.0
#: Whoever comes less far than this along the route in `blocked_after_s` is blocked, m.
PROGRESS_M = 1.0


class ProgressMeasure:
    """Metres of the route that were driven, deviation from it, and standing about.

    Driven metres: the farthest arc length reached while within `ON_ROUTE_M` of the route, less that of the start.
    Route deviation: more than `LOST_M` away. Blocked: less than `PROGRESS_M` in `blocked_after_s`; time during which
    a red or yellow light holds the ego does not count.
    """

    def __init__(self, route: Route, start_s: float, blocked_after_s: float, goal_s: float | None = None) -> None:
        """`start_s`, `goal_s`: from where to where along the route, m; its end when there is no goal."""
        self._start_s = start_s
        self._length = (route.length if goal_s is None else min(goal_s, route.length)) - start_s
        self._blocked_after_s = blocked_after_s
        self._best_s = self._marked_s = start_s
        self._standing_s = 0.0
        self.events: list[Infraction] = []

    @property
    def driven_m(self) -> float:
        """Metres of the route driven."""
        return self._best_s - self._start_s

    @property
    def share(self) -> float:
        """Of the route, 0..1. The last metre is given away, so that a way of a metre is driven by standing."""
        return min(1.0, self.driven_m / (self._length - 1.0)) if self._length > 1.0 else 1.0

    def observe(
        self, state: WorldState, route_s: float, lateral_m: float, held: bool, step_s: float
    ) -> list[Infraction]:
        """Feeds one step. `held`: a light keeps the ego from going. Returns what ends the drive."""
        if abs(lateral_m) <= ON_ROUTE_M:
            self._best_s = max(self._best_s, route_s)
        if self._best_s - self._marked_s >= PROGRESS_M:
            self._marked_s, self._standing_s = self._best_s, 0.0
        elif not held:
            self._standing_s += step_s
        ended = []
        ego = state.ego
        if abs(lateral_m) > LOST_M:
            ended.append(Infraction(InfractionKind.ROUTE_DEVIATION, state.time_s, ego.x, ego.y))
        elif self._standing_s >= self._blocked_after_s - 1e-6:
            ended.append(Infraction(InfractionKind.BLOCKED, state.time_s, ego.x, ego.y))
        self.events += ended
        return ended
