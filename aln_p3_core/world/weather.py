"""Light, weather and sensor noise of an episode, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Condition(Enum):
    """Named light and weather."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    RAIN = "rain"


@dataclass(frozen=True, slots=True)
class Weather:
    """A condition and the seed of its variation (colours, place of the sun, noise)."""

    condition: Condition = Condition.DAY
    seed: int = 0
