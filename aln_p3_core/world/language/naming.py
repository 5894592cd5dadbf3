"""How objects are named in sentences about the ego."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.language.facts import FrameFacts
from aln_p3_core.world.language.stated import NamedObject, Side

#: Colours are told of what is painted, not of clothes.
_PAINTED = (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.BUS, ActorKind.MOTORCYCLE)
#: Within this angle of straight ahead no side is said, rad.
_AHEAD_RAD = 0.12
#: Who is so far beside the ego's way, m, moves towards it so fast, m/s, and is turned from it by less, rad, enters it.
_ENTERS_BESIDE_M, _ENTERS_WITHIN_M, _ENTERS_SPEED, _ENTERS_TURNED = 0.8, 5.0, 0.4, 0.5

EGO_NOUNS = (
    "car", "van", "truck", "bus", "motorcycle", "motorcyclist", "bicycle", "cyclist", "pedestrian", "child",
    "traffic cone", "barrier",
)  # fmt: skip


def named_object(facts: FrameFacts, row: int) -> NamedObject:
    """ "white truck", "cyclist", "child"."""
    kind, noun = facts.kinds[row], facts.nouns[row]
    if facts.flags[row] & ActorFlag.RIDER:
        noun = {ActorKind.BICYCLE: "cyclist", ActorKind.MOTORCYCLE: "motorcyclist"}.get(kind, noun)
    painted = kind in _PAINTED and noun != "motorcyclist"
    return NamedObject(noun, facts.colors[row] if painted else "")


def side_of(facts: FrameFacts, row: int) -> Side:
    """On which side of straight ahead an object is."""
    bearing = float(facts.bearings[row])
    if abs(bearing) < _AHEAD_RAD:
        return Side.NONE
    return Side.LEFT if bearing > 0 else Side.RIGHT


def entering_from(facts: FrameFacts, row: int) -> Side:
    """The side from which somebody moves into the ego's way; NONE for who does not."""
    lateral = float(facts.route.lateral[row])
    turned = float(facts.route.direction[row]) - facts.frame.state.ego.heading
    ahead, left = facts.velocities[row]
    sideways = float(left * np.cos(turned) - ahead * np.sin(turned))
    if facts.route.off[row] > 0 or not _ENTERS_BESIDE_M < abs(lateral) < _ENTERS_WITHIN_M:
        return Side.NONE
    if sideways * np.sign(lateral) > -_ENTERS_SPEED or abs(float(facts.headings[row])) > _ENTERS_TURNED:
        return Side.NONE
    return Side.LEFT if lateral > 0 else Side.RIGHT


def coming_from(facts: FrameFacts, row: int) -> Side:
    """The side that a moving object comes from: against its motion across, else where it is."""
    across = facts.motions[row].value
    if across == "to_left":
        return Side.RIGHT
    if across == "to_right":
        return Side.LEFT
    return side_of(facts, row)
