"""What can happen on a drive that should not: `Infraction`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class InfractionKind(Enum):
    """Kinds of infractions. The first five lower the driving score by a factor each, the rest end the drive."""

    COLLISION_PEDESTRIAN = "collision_pedestrian"
    COLLISION_CYCLIST = "collision_cyclist"
    COLLISION_VEHICLE = "collision_vehicle"
    COLLISION_STATIC = "collision_static"
    RED_LIGHT = "red_light"
    OFF_ROAD = "off_road"
    WRONG_WAY = "wrong_way"
    ROUTE_DEVIATION = "route_deviation"
    BLOCKED = "blocked"
    TIME_OUT = "time_out"

    @property
    def is_collision(self) -> bool:
        """A contact with somebody or something."""
        return self.value.startswith("collision_")


class Fault(Enum):
    """Whose fault a collision is."""

    EGO = "ego"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Infraction:
    """One thing that went wrong.

    Attributes:
        kind: what.
        time_s: when it began, seconds of the episode.
        x, y: where the ego's rear axle was, m, world frame.
        actor_id: who was hit, "" where nobody was.
        fault: whose fault: the ego's, unless it is a collision that somebody else caused.
        counts: whether it lowers the score (a contact while the ego stands does not).
        detail: what is known of it, for reports.
    """

    kind: InfractionKind
    time_s: float
    x: float
    y: float
    actor_id: str = ""
    fault: Fault = Fault.EGO
    counts: bool = True
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary, rounded to what is meaningful."""
        values = asdict(self)
        values |= {"kind": self.kind.value, "fault": self.fault.value, "time_s": round(self.time_s, 3)}
        return values | {"x": round(self.x, 3), "y": round(self.y, 3)}
