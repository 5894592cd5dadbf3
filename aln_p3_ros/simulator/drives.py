"""What a simulator drives, from its settings."""

from __future__ import annotations

from pathlib import Path

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.closed_loop.drives import Drive, LogDrive
from aln_p3_core.world.weather import Condition, Weather, draw_weather
from aln_p3_ros.simulator.simulator_settings import SimulatorSettings
from aln_p3_ros.topics import suggest


def drives_of(settings: SimulatorSettings) -> list[Drive]:
    """All drives of a node's settings, in order: the same ones that `aln-p3 world drive` drives by these names.

    Raises:
        ConfigError: for a scenario, a set of routes or a city that does not exist. DataError: for a missing log.
    """
    if settings.log:
        weather = Weather(Condition(settings.condition or Condition.DAY.value), settings.seed)
        return [LogDrive(Path(settings.log).expanduser(), settings.log_mode, weather)]
    from aln_p3_core.world.city.cities import CITIES, cities_of
    from aln_p3_core.world.scenarios import SCENARIOS, make_episode, route_set

    if settings.routes:
        return list(route_set(settings.routes, 1, split=settings.split))
    if settings.scenario not in SCENARIOS:
        raise ConfigError(f"there is no scenario {settings.scenario!r}; {suggest(settings.scenario, SCENARIOS)}")
    city = settings.city or cities_of(settings.split)[0]
    if city not in CITIES and not city.startswith("random-"):
        raise ConfigError(f"there is no city {city!r}; {suggest(city, CITIES)}, or random-NUMBER")
    weather = draw_weather(settings.seed, Condition(settings.condition) if settings.condition else None)
    return [make_episode(settings.scenario, city, settings.seed, weather=weather)]
