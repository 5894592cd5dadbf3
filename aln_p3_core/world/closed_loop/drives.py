"""What can be driven, by name: an episode of the world, or a recorded log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.world.closed_loop.runner import identity_of
from aln_p3_core.world.episode import Episode, Stage
from aln_p3_core.world.traffic.log import LOG_MODES
from aln_p3_core.world.weather import Condition, Weather

#: Stands for the scenario of a recorded log in reports.
LOG_SCENARIO = "log"


@dataclass(frozen=True, slots=True)
class LogDrive:
    """A recorded log to drive.

    Attributes:
        path: the .npz file.
        mode: "replay" (others move as recorded) or "react" (they answer an ego that departs from the recording).
        weather: light and weather that it is rendered in.
    """

    path: Path
    mode: str = "replay"
    weather: Weather = field(default_factory=Weather)

    def __post_init__(self) -> None:
        if self.mode not in LOG_MODES:
            raise ConfigError(f"no mode {self.mode!r} for a recorded log; choose one of {', '.join(LOG_MODES)}")
        if not self.path.is_file():
            raise DataError(f"no recorded log {self.path}; name an .npz file of a log")


Drive = Episode | LogDrive


@dataclass(frozen=True, eq=False)
class OpenDrive:
    """A drive that is ready: its stage, its weather, and how long it may last (None: as long as the recording)."""

    stage: Stage
    weather: Weather
    time_limit_s: float | None


def open_drive(what: Drive) -> OpenDrive:
    """Sets the stage of a drive. Close its traffic when done."""
    from aln_p3_core.world import scenarios

    if isinstance(what, LogDrive):
        return OpenDrive(scenarios.open_log_stage(what.path, what.mode), what.weather, None)
    return OpenDrive(scenarios.open_stage(what), what.weather, what.duration_s)


def drive_name(what: Drive) -> str:
    """Names a drive; good for files."""
    return str(identity_of(what)["name"]) if isinstance(what, Episode) else f"{what.path.stem}-{what.mode}"


def name_drive(what: Drive) -> dict[str, Any]:
    """Identity of a drive, JSON-ready: equal identities are the same drive, to the byte. "name" is `drive_name`."""
    if isinstance(what, Episode):
        return identity_of(what)
    return {
        "name": drive_name(what),
        "scenario": LOG_SCENARIO,
        "city": what.path.stem,
        "log": str(what.path),
        "log_crc": crc32(what.path.read_bytes()),
        "mode": what.mode,
        "condition": what.weather.condition.value,
        "weather_seed": what.weather.seed,
    }


def find_drive(identity: Mapping[str, Any]) -> Drive:
    """The drive of an identity that `name_drive` gave.

    Raises:
        DataError: when its log is not there any more, or the identity is none.
    """
    try:
        weather = Weather(Condition(identity["condition"]), int(identity["weather_seed"]))
        if identity["scenario"] == LOG_SCENARIO:
            return LogDrive(Path(identity["log"]), identity["mode"], weather)
        return Episode(
            scenario=identity["scenario"],
            city=identity["city"],
            seed=int(identity["seed"]),
            weather=weather,
            duration_s=float(identity["duration_s"]),
            settings=tuple((name, value) for name, value in identity["settings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"this names no drive ({error!r}); take the report of a route as `world drive` writes it"
        ) from error
