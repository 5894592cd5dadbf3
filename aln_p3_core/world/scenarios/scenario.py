"""`Scenario`: a named recipe, and `Play`: what it makes of a city and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.city.sumo_net import SumoCity
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.traffic.sumo import StageTraffic
from aln_p3_core.world.traffic.sumo_demand import Demand

#: The car's front bumper is so far ahead of its place, m, and it stops so far before a line.
_STOP_SHORT_M = 8.0
_EASY_BRAKING = 2.0


@dataclass(frozen=True, eq=False)
class Ground:
    """What a scenario is built on.

    Attributes:
        town: the city and its SUMO network. scenery: what stands beside its roads.
        rng: draws everything of the scenario.
        settings: more of the scenario's own (`Episode.settings`).
    """

    town: SumoCity
    scenery: Scenery
    rng: np.random.Generator
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def city(self) -> CityMap:
        """The map."""
        return self.town.city


@dataclass(frozen=True, eq=False)
class Play:
    """A scenario in place.

    Attributes:
        route: of the ego. start: the ego at time 0.
        demand: how full the streets are. setting: scripted actors and the like.
        no_parking: [F, 3] x, y, radius, m: parking places in there stay empty.
    """

    route: Route
    start: EgoState
    demand: Demand = field(default_factory=Demand)
    setting: StageTraffic = field(default_factory=StageTraffic)
    no_parking: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True)
class Scenario:
    """A named recipe.

    Attributes:
        name: in `SCENARIOS`.
        description: what happens, in a sentence.
        duration_s: time enough for a good driver to complete it.
        build: puts it in place. Raises ConfigError where the city has no place for it.
    """

    name: str
    description: str
    duration_s: float
    build: Callable[[Ground], Play]


def start_on(route: Route, speed: float) -> EgoState:
    """The ego at the beginning of its route, no faster than it can stop at the first line."""
    stops = [stop.s for stop in route.stops]
    room = max(0.0, min(stops, default=np.inf) - _STOP_SHORT_M)
    place, heading = route.pose_at(0.0)
    return EgoState(
        0.0,
        float(place[0]),
        float(place[1]),
        float(heading),
        speed=float(min(speed, route.speed_limits[0], np.sqrt(2 * _EASY_BRAKING * room))),
    )


def quiet_streets(parked: float = 0.6) -> Demand:
    """Quieter streets than in free driving: what comes from the sides shall not spoil the scene."""
    return Demand(vehicles_per_km=7.0, walkers_per_km=14.0, parked=parked)
