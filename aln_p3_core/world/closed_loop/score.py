"""Driving score and success, after Bench2Drive (and the CARLA leaderboard 2.0 that it builds on).

driving score = route completion (%) x (1 - share outside the road) x product of the penalties of infractions
success = the route was completed in time, and nothing on the list of infractions happened
"""

from __future__ import annotations

from collections.abc import Sequence

from aln_p3_core.world.closed_loop.events import Fault, Infraction, InfractionKind

#: Factor of each infraction. What is not here has none: it ends the drive, or is taken from the completion.
PENALTIES: dict[InfractionKind, float] = {
    InfractionKind.COLLISION_PEDESTRIAN: 0.50,
    # CARLA counts bicycles among the vehicles.
    InfractionKind.COLLISION_CYCLIST: 0.60,
    InfractionKind.COLLISION_VEHICLE: 0.60,
    InfractionKind.COLLISION_STATIC: 0.65,
    InfractionKind.RED_LIGHT: 0.70,
}


def penalty_of(infractions: Sequence[Infraction]) -> float:
    """Product of the penalties of all that counts, 0..1."""
    product = 1.0
    for infraction in infractions:
        if infraction.counts:
            product *= PENALTIES.get(infraction.kind, 1.0)
    return product


def driving_score(completion: float, outside_share: float, infractions: Sequence[Infraction]) -> float:
    """Driving score, 0..100.

    Args:
        completion: share of the route driven, 0..1.
        outside_share: share of the driven distance off the road or on the wrong side of it, 0..1.
        infractions: all that happened.
    """
    return 100.0 * completion * (1.0 - outside_share) * penalty_of(infractions)


def is_success(completed: bool, infractions: Sequence[Infraction], *, own_fault_only: bool = False) -> bool:
    """Whether a drive succeeded; with `own_fault_only`, collisions that others caused are forgiven."""
    against = [event for event in infractions if event.counts and (not own_fault_only or event.fault is Fault.EGO)]
    return completed and not against
