"""What a simulator drives, from its settings: a list of named drives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.closed_loop.runner import identity_of
from aln_p3_core.world.episode import Episode, Stage
from aln_p3_core.world.weather import Condition, Weather
from aln_p3_ros.simulator.simulator_settings import SimulatorSettings
from aln_p3_ros.topics import suggest


@dataclass(frozen=True)
class Drive:
    """One drive, not yet set up.

    Attributes:
        name: of the drive. identity: what names it in reports.
        weather: light and weather.
        time_limit_s: it ends after so long; None: with its recording.
        open: sets the stage.
    """

    name: str
    identity: Mapping[str, Any]
    weather: Weather
    time_limit_s: float | None
    open: Callable[[], Stage]


def drives_of(settings: SimulatorSettings) -> list[Drive]:
    """All drives of a node's settings, in order.

    Raises:
        ConfigError: for a scenario, a set of routes or a city that does not exist. DataError: for a broken log.
    """
    if settings.log:
        return [_log_drive(settings)]
    if settings.routes:
        from aln_p3_core.world.scenarios import route_set

        return [drive_of(episode) for episode in route_set(settings.routes, 1, split=settings.split)]
    from aln_p3_core.world.city.cities import cities_of
    from aln_p3_core.world.scenarios import SCENARIOS

    if settings.scenario not in SCENARIOS:
        raise ConfigError(f"there is no scenario {settings.scenario!r}; {suggest(settings.scenario, SCENARIOS)}")
    city = settings.city or cities_of(settings.split)[0]
    weather = Weather(Condition(settings.condition), settings.seed)
    return [drive_of(Episode(settings.scenario, city, settings.seed, weather, settings.duration_s))]


def drive_of(episode: Episode) -> Drive:
    """The drive of an episode."""
    from aln_p3_core.world.scenarios import open_stage

    identity = identity_of(episode)
    return Drive(identity["name"], identity, episode.weather, episode.duration_s, lambda: open_stage(episode))


def _log_drive(settings: SimulatorSettings) -> Drive:
    from aln_p3_core.world.scenarios import open_log_stage

    path = Path(settings.log).expanduser()
    weather = Weather(Condition(settings.condition), settings.seed)
    identity = {"name": f"{path.stem}-{settings.log_mode}", "log": path.stem, "mode": settings.log_mode}
    return Drive(identity["name"], identity, weather, None, lambda: open_log_stage(path, settings.log_mode))
