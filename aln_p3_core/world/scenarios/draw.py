"""Sets of routes for evaluation, and episodes for recordings: drawn by lot, apart by split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.city.cities import cities_of
from aln_p3_core.world.episode import Episode
from aln_p3_core.world.scenarios.catalogue import SCENARIOS
from aln_p3_core.world.scenarios.free import FIRST_TURN
from aln_p3_core.world.traffic.looks import crc
from aln_p3_core.world.weather import Weather, draw_weather

_FREE = "free_driving"
_OTHERS = tuple(name for name in SCENARIOS if name != _FREE)

#: Scenarios of every set of routes; each is driven once for every seed.
ROUTE_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "quick": (_FREE, "lead_brakes", "pedestrian_steps_out", "red_light"),
        "free": (_FREE,) * 10,
        "scenarios": _OTHERS,
        "all": (*(_FREE,) * 10, *_OTHERS),
    }
)
#: So much of what is recorded is free driving; the rest is shared out among the other scenarios.
_FREE_SHARE = 0.4
#: In so much of the recorded free driving the first turn goes left, or right; the rest goes where it goes.
_LEFT_SHARE, _RIGHT_SHARE = 0.45, 0.45
_SCENE_S = 20.0


def make_episode(
    scenario: str, city: str, seed: int, *, weather: Weather | None = None, duration_s: float | None = None
) -> Episode:
    """An episode of a scenario, with the time that it needs and a weather drawn from its seed unless they are given.

    Raises:
        ConfigError: for an unknown scenario.
    """
    if scenario not in SCENARIOS:
        raise ConfigError(f"no scenario {scenario!r}; choose one of {', '.join(SCENARIOS)}")
    return Episode(
        scenario,
        city,
        seed,
        weather=draw_weather(seed) if weather is None else weather,
        duration_s=SCENARIOS[scenario].duration_s if duration_s is None else duration_s,
    )


def route_set(name: str, seeds: int, *, split: str) -> list[Episode]:
    """The routes of a set, for seeds 0 to `seeds` - 1, spread over the cities of a split.

    Raises:
        ConfigError: for an unknown set or split, or no seeds.
    """
    if name not in ROUTE_SETS:
        raise ConfigError(f"no set of routes {name!r}; choose one of {', '.join(ROUTE_SETS)}")
    if seeds < 1:
        raise ConfigError(f"a set of routes needs at least one seed, got {seeds}")
    cities = cities_of(split)
    episodes = []
    for seed in range(seeds):
        # Another city for the same scenario of the next seed.
        offset = crc("city", split) + seed
        for number, scenario in enumerate(ROUTE_SETS[name]):
            own = crc("route", split, scenario, seed, number) % 2**31
            episodes.append(make_episode(scenario, cities[(offset + number) % len(cities)], own))
    return episodes


def draw_episode(split: str, seed: int, number: int) -> Episode:
    """Episode `number` of what is recorded for a split: scenario, city, weather and everything else by lot.

    Raises:
        ConfigError: for an unknown split.
    """
    cities = cities_of(split)
    own = crc("recording", split, seed, number) % 2**31
    rng = np.random.default_rng([own, crc("episode")])
    free = not _OTHERS or rng.random() < _FREE_SHARE
    scenario = _FREE if free else _OTHERS[int(rng.integers(len(_OTHERS)))]
    episode = make_episode(scenario, cities[int(rng.integers(len(cities)))], own, duration_s=_SCENE_S)
    # Most streets lead straight on: without this, turns would be rare.
    lot = rng.random()
    if free and lot < _LEFT_SHARE + _RIGHT_SHARE:
        episode = replace(episode, settings=((FIRST_TURN, "left" if lot < _LEFT_SHARE else "right"),))
    return episode
