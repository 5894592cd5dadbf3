"""`Episode`: a named, seeded drive, and the `Stage` that it sets up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.traffic.source import Traffic
from aln_p3_core.world.weather import Weather


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything that an episode needs, ready to run. Close its traffic when done (`Simulation.close` does).

    Attributes:
        city, scenery: what is built.
        traffic: who else is there.
        route: where the ego shall go. start: the ego at time 0.
        recorded_ego: for recorded logs: time (s) -> what the human did; None elsewhere.
        duration_s: how long the recording lasts; None where there is no end.
    """

    city: CityMap
    scenery: Scenery
    traffic: Traffic
    route: Route
    start: EgoState
    recorded_ego: Callable[[float], EgoState] | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A drive by name and seed: the same fields give the same drive, byte for byte.

    Attributes:
        scenario: name in `scenarios.SCENARIOS`, such as "free_driving" or "cut_in".
        city: name of a city.
        seed: of everything that is drawn by lot in it.
        weather: light and weather.
        duration_s: how long it lasts at most, s.
        settings: more of the scenario's own (JSON values).
    """

    scenario: str
    city: str
    seed: int
    weather: Weather = field(default_factory=Weather)
    duration_s: float = 20.0
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Unique among the episodes of one weather: scenario, city and seed."""
        return f"{self.scenario}-{self.city}-{self.seed}"
