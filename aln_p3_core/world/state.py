"""`WorldState`: the whole truth about one instant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.actors import Actors, interpolate_actors
from aln_p3_core.world.ego import EgoState, interpolate_ego


class SignalColor(IntEnum):
    """What a traffic light shows. GREEN_YIELD is green without priority (oncoming traffic goes first)."""

    OFF = 0
    RED = 1
    YELLOW = 2
    GREEN = 3
    GREEN_YIELD = 4


@dataclass(frozen=True, eq=False)
class TrafficState:
    """Everybody but the ego at one instant.

    Attributes:
        time_s: seconds since the episode began.
        actors: who is there.
        signals: [S] `SignalColor` of every `CityMap.signals`.
    """

    time_s: float
    actors: Actors
    signals: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WorldState:
    """Ego and traffic at the same instant."""

    ego: EgoState
    actors: Actors
    signals: NDArray[np.int64]

    @property
    def time_s(self) -> float:
        """Seconds since the episode began."""
        return self.ego.time_s


def interpolate_world(earlier: WorldState, later: WorldState, time_s: float) -> WorldState:
    """The world between two states; actors are in the rows of `later`, lights as they stood before."""
    span = later.time_s - earlier.time_s
    if span <= 0 or time_s >= later.time_s:
        return later
    fraction = (time_s - earlier.time_s) / span
    return WorldState(
        ego=interpolate_ego(earlier.ego, later.ego, time_s),
        actors=interpolate_actors(earlier.actors, later.actors, fraction, span),
        signals=earlier.signals,
    )
