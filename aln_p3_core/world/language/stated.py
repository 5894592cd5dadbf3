"""What a text says, as data: the facts that the grammar puts into words and that `parse` reads back.

The same classes serve a consistency measure: what an explanation states about the ego can be held against a plan
(`Maneuver`, `LateralManeuver`, `Cause` are the planner's own words for it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from aln_p3_core.world.planners.planner import Cause, LateralManeuver, Maneuver


class Side(Enum):
    """Left or right of the ego; NONE where it is not said."""

    NONE = ""
    LEFT = "left"
    RIGHT = "right"


class Pace(Enum):
    """How fast, said only of a steady drive."""

    SLOW = "slow"
    MODERATE = "moderate"
    FAST = "fast"


class Where(Enum):
    """What the ego's motion is set beside."""

    NOWHERE = "nowhere"
    AT_INTERSECTION = "at_intersection"
    THROUGH_INTERSECTION = "through_intersection"
    AT_CROSSING = "at_crossing"
    CURVE_LEFT = "curve_left"
    CURVE_RIGHT = "curve_right"
    BEHIND = "behind"


class Action(Enum):
    """What the cause does, or how it lies: it splits causes into the cases that need words of their own."""

    PRESENT = "present"
    AHEAD = "ahead"
    MOVING_OFF = "moving_off"
    PULLING_AWAY = "pulling_away"
    STEPPING_OUT = "stepping_out"
    ON_CROSSING = "on_crossing"
    CROSSING = "crossing"
    WAITING = "waiting"
    ON_ROAD = "on_road"
    NEAR = "near"
    CLEARED = "cleared"
    PARKED = "parked"
    REACHED = "reached"
    LOWER = "lower"
    BELOW = "below"
    BEND = "bend"
    TURN = "turn"
    TURN_AHEAD = "turn_ahead"
    PASS = "pass"


class Motion(Enum):
    """How an object moves, seen from the ego."""

    PARKED = "parked"
    STOPPED = "stopped"
    STANDING = "standing"
    SITTING = "sitting"
    PLACED = "placed"
    SAME_WAY = "same_way"
    ONCOMING = "oncoming"
    TO_LEFT = "to_left"
    TO_RIGHT = "to_right"
    TURNING_LEFT = "turning_left"
    TURNING_RIGHT = "turning_right"


class Place(Enum):
    """Where an object is on the map, seen from the ego's way."""

    EGO_LANE = "ego_lane"
    LEFT_LANE = "left_lane"
    RIGHT_LANE = "right_lane"
    SAME_DIRECTION = "same_direction"
    OPPOSITE_LANE = "opposite_lane"
    OTHER_ROAD = "other_road"
    INTERSECTION = "intersection"
    CROSSING = "crossing"
    PAVEMENT = "pavement"
    ROADSIDE = "roadside"
    OFF_ROAD = "off_road"


class Direction(Enum):
    """Eight directions of 45 degrees, seen from the ego, in the words of TOD3Cap."""

    FRONT = "front"
    FRONT_LEFT = "front left"
    LEFT = "left"
    BACK_LEFT = "back left"
    BACK = "back"
    BACK_RIGHT = "back right"
    RIGHT = "right"
    FRONT_RIGHT = "front right"


@dataclass(frozen=True, slots=True)
class NamedObject:
    """Something that a sentence names, such as "a white truck".

    Attributes:
        noun: "car", "van", "pedestrian", ...
        color: "" where it is not said.
    """

    noun: str
    color: str = ""


@dataclass(frozen=True, slots=True)
class Narration:
    """What the ego does.

    Attributes:
        speed: None where nothing is said of it.
        lateral: KEEP_LANE where nothing is said of it.
        pace: said of a steady drive only.
        where: beside what.
        leader: who drives ahead, where `where` is BEHIND.
    """

    speed: Maneuver | None
    lateral: LateralManeuver = LateralManeuver.KEEP_LANE
    pace: Pace | None = None
    where: Where = Where.NOWHERE
    leader: NamedObject | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    Attributes:
        cause: None when the text does not tell (nothing that a camera sees explains the motion).
        action: what the cause does.
        object: who or what it is, where it is named.
        side: of the ego, where it is said (of a turn or bend: its direction).
    """

    cause: Cause | None
    action: Action = Action.PRESENT
    object: NamedObject | None = None
    side: Side = Side.NONE


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Why: of the speed, of leaving the middle of the lane, or of both. At least one of them is there."""

    speed: Reason | None
    lateral: Reason | None = None


@dataclass(frozen=True, slots=True)
class EgoStatement:
    """All that the two sentences of a key frame state about the ego: what a consistency measure compares."""

    narration: Narration
    reasoning: Reasoning


@dataclass(frozen=True, slots=True)
class Caption:
    """What an object's caption states. Depth in whole metres."""

    object: NamedObject
    depth_m: int
    direction: Direction
    motion: Motion
    place: Place
    slowly: bool = False
