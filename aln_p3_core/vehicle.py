"""How large the car that drives is, seen from above."""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.errors import ConfigError

#: Geometry with the car allows it errors of a few decimetres (`driver/plan_guard.py`); of a narrower one nothing is
#: left, m.
NARROWEST_M = 0.5


@dataclass(frozen=True, slots=True)
class VehicleSize:
    """Outline of the car on the ground; by default that of the nuScenes recordings.

    Attributes:
        length_m, width_m: of the outline, m.
        middle_m: how far its middle is ahead of the ego origin (rear axle), m.

    Raises:
        ConfigError: for a car that is too narrow, or an outline that the ego origin lies outside of.
    """

    length_m: float = 4.08
    width_m: float = 1.73
    middle_m: float = 1.39

    def __post_init__(self) -> None:
        within = self.length_m > 0 and abs(self.middle_m) <= self.length_m / 2
        if not (within and self.width_m >= NARROWEST_M):
            raise ConfigError(
                f"the vehicle cannot be {self.length_m:g} m long and {self.width_m:g} m wide with its middle "
                f"{self.middle_m:g} m ahead of the rear axle: give a width of {NARROWEST_M:g} m or more, and a middle "
                "at most half the length away"
            )


NUSCENES_VEHICLE = VehicleSize()
