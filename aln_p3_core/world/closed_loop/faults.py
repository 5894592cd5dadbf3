"""Whose fault a collision is, by rules that need the moment of contact only.

After nuPlan's "no ego at fault collisions" (a standing ego and one that is hit from behind are not at fault,
whoever hits with the front is), extended by two rules for contacts from the side: who had to give way, and who
moved into whom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.closed_loop.events import Fault
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH, EgoState

#: Slower than this is standing, m/s.
STANDING_SPEED = 0.1
#: A contact within this distance of the front or rear bumper is with that bumper, m.
BUMPER_DEPTH_M = 0.6
#: Headings that differ by more than this meet head-on.
HEAD_ON_RAD = np.radians(150.0)
#: The ego keeps its own side when it is this near to its route, m.
OWN_SIDE_M = 1.0


@dataclass(frozen=True, eq=False)
class Contact:
    """The moment of contact, world frame.

    Attributes:
        ego: the ego just before it.
        kind, flags, heading, velocity: of the other one; velocity [2] m/s.
        point: [2] middle of the contact.
        normal: [2] unit vector out of the ego into the other, across the surface that touched.
        lateral_m: how far the ego is from its route.
        must_yield: the ego was in a place where the other one had the right of way, or had run a red light.
    """

    ego: EgoState
    kind: ActorKind
    flags: int
    heading: float
    velocity: FloatArray
    point: FloatArray
    normal: FloatArray
    lateral_m: float = 0.0
    must_yield: bool = False


def fault_of(contact: Contact) -> tuple[Fault, str]:
    """Whose fault a contact is, and by which rule.

    The rules, in this order:

    1. the ego stands: the other's ("ego_stands");
    2. a cone, a barrier, a parked vehicle, or anybody who stands: the ego's ("hit_standing");
    3. the ego had to give way, or ran a red light: the ego's ("right_of_way");
    4. the other comes against the ego's rear bumper: the other's ("hit_from_behind"); the ego backs into it:
       the ego's ("backed_into");
    5. a vehicle comes head-on while the ego keeps its own side: the other's ("head_on");
    6. the ego's front hits: the ego's ("front_hit");
    7. at the sides: whoever moves faster into the other ("moved_into").
    """
    ego = contact.ego
    if abs(ego.speed) < STANDING_SPEED:
        return Fault.OTHER, "ego_stands"
    parked = bool(contact.flags & ActorFlag.PARKED)
    if contact.kind.is_static or parked or np.hypot(*contact.velocity) < STANDING_SPEED:
        return Fault.EGO, "hit_standing"
    if contact.must_yield:
        return Fault.EGO, "right_of_way"
    ahead = _ahead_of_middle(ego, contact.point)
    half = EGO_SIZE_LWH[0] / 2
    if ahead < -half + BUMPER_DEPTH_M:
        return (Fault.OTHER, "hit_from_behind") if ego.speed > 0 else (Fault.EGO, "backed_into")
    if ahead > half - BUMPER_DEPTH_M:
        turned = abs(float(wrap_angle(contact.heading - ego.heading)))
        if contact.kind.is_vehicle and turned > HEAD_ON_RAD and abs(contact.lateral_m) < OWN_SIDE_M:
            return Fault.OTHER, "head_on"
        return Fault.EGO, "front_hit"
    own = float(_velocity_at(ego, contact.point) @ contact.normal)
    others = -float(contact.velocity @ contact.normal)
    return (Fault.EGO if own >= others else Fault.OTHER), "moved_into"


def _ahead_of_middle(ego: EgoState, point: FloatArray) -> float:
    offset = point - ego.xy
    return float(offset[0] * np.cos(ego.heading) + offset[1] * np.sin(ego.heading)) - EGO_CENTER_AHEAD_M


def _velocity_at(ego: EgoState, point: FloatArray) -> FloatArray:
    """Velocity [2] of the ego's body at a place: its corners swing out when it turns."""
    offset = point - ego.xy
    return ego.velocity + ego.yaw_rate * np.array([-offset[1], offset[0]])
