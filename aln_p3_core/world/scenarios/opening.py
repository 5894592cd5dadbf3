"""Sets the stage of an episode."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.actors import join_actors
from aln_p3_core.world.city.cities import load_sumo_city
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.city.scenery_plan import make_scenery
from aln_p3_core.world.episode import Episode, Stage
from aln_p3_core.world.scenarios.catalogue import SCENARIOS
from aln_p3_core.world.scenarios.scenario import Ground
from aln_p3_core.world.traffic.looks import crc
from aln_p3_core.world.traffic.parked import parked_cars
from aln_p3_core.world.traffic.sumo import SumoTraffic


def open_stage(episode: Episode) -> Stage:
    """Everything that an episode needs, ready to run. The same episode gives the same stage.

    Raises:
        ConfigError: for an unknown scenario or city, and for a city that has no place for the scenario.
    """
    scenario = SCENARIOS.get(episode.scenario)
    if scenario is None:
        raise ConfigError(f"no scenario {episode.scenario!r}; choose one of {', '.join(SCENARIOS)}")
    town = load_sumo_city(episode.city)
    scenery = _scenery(episode.city)
    rng = np.random.default_rng([episode.seed, crc(episode.scenario), crc(episode.city)])
    play = scenario.build(Ground(town, scenery, rng, dict(episode.settings)))
    seed = crc("stage", episode.seed)
    parked = parked_cars(scenery.parking, play.demand.parked, seed, keep_free=play.no_parking)
    setting = replace(play.setting, things=join_actors([play.setting.things, parked]))
    traffic = SumoTraffic(town, play.route, seed, demand=play.demand, setting=setting)
    return Stage(town.city, scenery, traffic, play.route, play.start)


@lru_cache(maxsize=4)
def _scenery(city: str) -> Scenery:
    """A city looks the same in all its episodes."""
    return make_scenery(load_sumo_city(city).city, crc("scenery", city))
