"""What every source of traffic offers the simulation."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from aln_p3_core.world.actors import Actors, interpolate_actors, no_actors
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.state import SignalColor, TrafficState

#: Seconds between two states of a source. In between, positions are interpolated.
TRAFFIC_STEP_S = 0.1


class Traffic(Protocol):
    """Everybody but the ego. One object serves one episode; it is deterministic given its construction."""

    @property
    def city(self) -> CityMap:
        """The roads it drives on."""

    def start(self, ego: EgoState) -> TrafficState:
        """Places everybody at time 0, the ego among them."""

    def step(self, ego: EgoState) -> TrafficState:
        """The state `TRAFFIC_STEP_S` later. `ego` is where the ego is now (before the step); others react to it."""

    def close(self) -> None:
        """Frees what it holds. Safe to call twice."""


class StillTraffic:
    """Actors that never move, and lights that are off: for tests and empty streets."""

    def __init__(self, city: CityMap, actors: Actors | None = None) -> None:
        self._city = city
        self._actors = no_actors() if actors is None else actors
        self._steps = 0

    @property
    def city(self) -> CityMap:
        return self._city

    def start(self, ego: EgoState) -> TrafficState:
        self._steps = 0
        return self._state()

    def step(self, ego: EgoState) -> TrafficState:
        self._steps += 1
        return self._state()

    def close(self) -> None:
        pass

    def _state(self) -> TrafficState:
        signals = np.full(len(self._city.signals), SignalColor.OFF, np.int64)
        return TrafficState(self._steps * TRAFFIC_STEP_S, self._actors, signals)


def interpolate_traffic(earlier: TrafficState, later: TrafficState, time_s: float) -> TrafficState:
    """The traffic between two states of a source."""
    span = later.time_s - earlier.time_s
    fraction = (time_s - earlier.time_s) / span
    if fraction >= 1.0 - 1e-9:
        return later
    actors = interpolate_actors(earlier.actors, later.actors, fraction, span)
    return TrafficState(time_s, actors, earlier.signals)
