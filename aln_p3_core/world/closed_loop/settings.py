"""How a route is driven: `DriveSettings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.rig import SIZES
from aln_p3_core.world.simulation import STEP_S

#: Planning rates that the loop offers, Hz.
RATES_HZ = (1, 2, 4, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """Settings of a drive in closed loop.

    Attributes:
        rate_hz: plans a second; one of `RATES_HZ`, so that a period is a whole number of physics steps.
        size: width and height of the cameras' pictures, pixels.
        images: whether cameras are rendered; None: if the planner looks at them.
        time_limit_s: of a drive; None takes the episode's own, or the length of the recording.
        blocked_after_s: a drive without progress ends after so long.
        trace: whether the result holds a `Trace` (for films).
    """

    rate_hz: int = 2
    size: tuple[int, int] = (400, 225)
    images: bool | None = None
    time_limit_s: float | None = None
    blocked_after_s: float = 30.0
    trace: bool = True

    def __post_init__(self) -> None:
        if self.rate_hz not in RATES_HZ:
            raise ConfigError(f"a planning rate of {self.rate_hz} Hz does not fit the physics; choose from {RATES_HZ}")
        if tuple(self.size) not in SIZES:
            sizes = ", ".join(f"{w}x{h}" for w, h in SIZES)
            raise ConfigError(f"the world renders {sizes}; {self.size[0]}x{self.size[1]} is none of them")

    @property
    def steps_per_plan(self) -> int:
        """Physics steps between two plans."""
        return round(1 / (self.rate_hz * STEP_S))

    def to_json(self) -> dict[str, Any]:
        """What decides the outcome of a drive, JSON-ready: two drives compare only where these are equal."""
        values = asdict(self)
        del values["trace"]
        return values | {"size": list(self.size)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DriveSettings:
        """What `to_json` gave, with a trace."""
        return cls(**{**values, "size": tuple(values["size"])})
