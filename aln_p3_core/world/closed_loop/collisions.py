"""Collisions: contacts of the ego's box with anybody's, one event a contact, by type and by whose fault."""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorKind, Actors
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.boxes import (
    EGO_SIZE_LW,
    contact_point,
    ego_footprint,
    footprints,
    overlapping,
    separations,
)
from aln_p3_core.world.closed_loop.events import Infraction, InfractionKind
from aln_p3_core.world.closed_loop.faults import STANDING_SPEED, Contact, fault_of
from aln_p3_core.world.closed_loop.right_of_way import RightOfWay
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.state import WorldState

#: The same actor counts again only after it has been clear of the ego for so long, s.
SEPARATION_S = 2.0
#: Nobody whose middle is farther away than this can touch the ego, m.
_REACH_M = 12.0


class CollisionMeasure:
    """Counts contacts.

    A contact is an overlap of the ego's box (`EGO_SIZE_LWH`) with an actor's box (the extents of its mesh). It
    begins with the first step of overlap and ends `SEPARATION_S` after the last one; two actors hit at once are two
    events. As in CARLA, a contact that begins while the ego stands does not lower the score (`Infraction.counts`).
    """

    def __init__(self, right_of_way: RightOfWay) -> None:
        self._right_of_way = right_of_way
        self._last_touch: dict[str, float] = {}
        self.events: list[Infraction] = []

    @property
    def touching(self) -> bool:
        """Somebody was touched in the last `SEPARATION_S`."""
        return bool(self._last_touch)

    def observe(self, before: WorldState, state: WorldState, lateral_m: float) -> list[Infraction]:
        """Feeds one step. Returns the contacts that begin with it."""
        ego = state.ego
        self._last_touch = {
            name: time_s for name, time_s in self._last_touch.items() if state.time_s - time_s < SEPARATION_S
        }
        near = state.actors.near(ego.center, _REACH_M)
        if not len(near):
            return []
        sizes = sizes_of(near)[:, :2]
        axes, offsets, reach = separations(
            ego.center, ego.heading, EGO_SIZE_LW, near.positions[:, :2], near.headings, sizes
        )
        begun = []
        for row in np.flatnonzero(overlapping(offsets, reach)):
            name = near.ids[row]
            if name not in self._last_touch:
                depth = reach[row] - np.abs(offsets[row])
                axis = int(depth.argmin())
                normal = axes[row, axis] * np.sign(offsets[row, axis] or 1.0)
                begun.append(self._event(before, state, near, int(row), sizes[row], normal, lateral_m))
            self._last_touch[name] = state.time_s
        self.events += begun
        return begun

    def _event(
        self,
        before: WorldState,
        state: WorldState,
        near: Actors,
        row: int,
        size_lw: FloatArray,
        normal: FloatArray,
        lateral_m: float,
    ) -> Infraction:
        ego, kind = state.ego, MODELS[near.models[row]].kind
        outline = footprints(near.positions[row, :2], near.headings[row], size_lw)
        contact = Contact(
            ego=_moving(before.ego, ego),
            kind=kind,
            flags=int(near.flags[row]),
            heading=float(near.headings[row]),
            velocity=near.velocities[row],
            point=contact_point(ego_footprint(ego), outline),
            normal=normal,
            lateral_m=lateral_m,
            must_yield=self._right_of_way.has(
                near.positions[row, :2], state.time_s, on_foot=kind is ActorKind.PEDESTRIAN
            ),
        )
        fault, rule = fault_of(contact)
        relative = contact.ego.velocity - contact.velocity
        return Infraction(
            kind=_INFRACTION.get(kind, InfractionKind.COLLISION_VEHICLE),
            time_s=state.time_s,
            x=ego.x,
            y=ego.y,
            actor_id=near.ids[row],
            fault=fault,
            counts=abs(contact.ego.speed) >= STANDING_SPEED,
            detail={
                "rule": rule,
                "model": MODELS[near.models[row]].name,
                "ego_speed": round(contact.ego.speed, 2),
                "other_speed": round(float(near.speeds[row]), 2),
                "relative_speed": round(float(np.hypot(*relative)), 2),
            },
        )


def _moving(before: EgoState, now: EgoState) -> EgoState:
    """The ego just before the contact: where it is now, with the speed that it came with."""
    return before if abs(before.speed) > abs(now.speed) else now


_INFRACTION = {
    ActorKind.PEDESTRIAN: InfractionKind.COLLISION_PEDESTRIAN,
    ActorKind.BICYCLE: InfractionKind.COLLISION_CYCLIST,
    ActorKind.CONE: InfractionKind.COLLISION_STATIC,
    ActorKind.BARRIER: InfractionKind.COLLISION_STATIC,
}
