"""Red lights run, and red lights waited at."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.closed_loop.events import Infraction, InfractionKind
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH
from aln_p3_core.world.route import Route, StopKind
from aln_p3_core.world.state import SignalColor, WorldState

#: The front bumper ahead of the rear axle, m.
FRONT_AHEAD_M = EGO_CENTER_AHEAD_M + EGO_SIZE_LWH[0] / 2
#: The front may stand so far over the line, m.
LINE_TOLERANCE_M = 0.5
#: Whoever stands within this distance before a red light (himself or in its queue) is held by it, m.
QUEUE_M = 60.0


class RedLightMeasure:
    """Counts red lights that were run.

    A red light is run when the front bumper comes more than `LINE_TOLERANCE_M` over the stop line of a light on the
    route while that light is red. Each light counts once. Yellow may be driven over.
    """

    def __init__(self, city: CityMap, route: Route) -> None:
        stops = [stop for stop in route.stops if stop.kind is StopKind.SIGNAL]
        lines = [city.signals[stop.index].stop_line.mean(axis=0) for stop in stops]
        self._signals = np.array([stop.index for stop in stops], np.int64)
        self._lines_s = np.array([route.project(xy, stop.s)[0] for xy, stop in zip(lines, stops, strict=True)])
        self._front_s: float | None = None
        self.passed = 0
        self.events: list[Infraction] = []

    def observe(self, state: WorldState, route_s: float) -> list[Infraction]:
        """Feeds one step. Returns the lights run in it (one at most, in practice)."""
        front_s = route_s + FRONT_AHEAD_M - LINE_TOLERANCE_M
        before = front_s if self._front_s is None else self._front_s
        self._front_s = max(front_s, before)
        crossed = (self._lines_s > before) & (self._lines_s <= front_s)
        if not crossed.any():
            return []
        self.passed += int(crossed.sum())
        ego = state.ego
        run = [
            Infraction(InfractionKind.RED_LIGHT, state.time_s, ego.x, ego.y, detail={"signal": int(signal)})
            for signal in self._signals[crossed]
            if state.signals[signal] == SignalColor.RED
        ]
        self.events += run
        return run

    def holds(self, state: WorldState, route_s: float) -> bool:
        """Whether the next light of the route, at most `QUEUE_M` ahead, is red or yellow."""
        front_s = route_s + FRONT_AHEAD_M - LINE_TOLERANCE_M
        ahead = np.flatnonzero(self._lines_s > front_s)
        if not len(ahead) or self._lines_s[ahead[0]] - front_s > QUEUE_M:
            return False
        return int(state.signals[self._signals[ahead[0]]]) in (SignalColor.RED, SignalColor.YELLOW)
