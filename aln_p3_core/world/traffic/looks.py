"""What an actor looks like when only its name, kind or size is known: model, paint, and the swing of its limbs.

Everything is drawn from the CRC of the actor's name, so it is the same in every process.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.assets.catalogue import MODELS, models_of

#: Metres that one full cycle of the limbs (two steps, or one turn of the pedals) covers.
STRIDE_M = 1.45
PEDAL_TURN_M = 5.0
#: Below this speed, m/s, limbs rest.
REST_SPEED = 0.15
#: Models within this distance in size (m) of the nearest one are equally good.
_SIZE_TOLERANCE_M = 0.25

_CAR_PAINTS = (
    (235, 235, 232),
    (235, 235, 232),
    (28, 29, 32),
    (28, 29, 32),
    (120, 124, 128),
    (120, 124, 128),
    (176, 180, 184),
    (70, 74, 80),
    (150, 24, 28),
    (30, 62, 120),
    (42, 88, 150),
    (88, 100, 84),
    (196, 176, 140),
    (108, 60, 36),
    (214, 120, 30),
    (34, 86, 70),
)
_LORRY_PAINTS = ((236, 236, 234), (236, 236, 234), (200, 60, 40), (40, 90, 160), (226, 180, 40), (70, 110, 80))
_BUS_PAINTS = ((190, 40, 40), (44, 96, 160), (238, 196, 60), (60, 130, 90), (230, 230, 228))
_CLOTHES = (
    (40, 44, 58),
    (96, 42, 44),
    (188, 184, 174),
    (54, 84, 62),
    (64, 98, 146),
    (150, 118, 72),
    (30, 30, 32),
    (170, 70, 60),
    (210, 190, 90),
    (110, 90, 130),
)
_PAINTS = {
    ActorKind.TRUCK: _LORRY_PAINTS,
    ActorKind.VAN: (*_LORRY_PAINTS, *_CAR_PAINTS[:6]),
    ActorKind.BUS: _BUS_PAINTS,
    ActorKind.PEDESTRIAN: _CLOTHES,
    ActorKind.BICYCLE: _CLOTHES,
    ActorKind.CONE: ((226, 84, 28),),
    ActorKind.BARRIER: ((214, 214, 210), (206, 70, 40)),
}


def crc(*parts: object) -> int:
    """32 bits drawn from names and numbers: what Python's salted `hash` is not, the same in every process."""
    return zlib.crc32("/".join(str(part) for part in parts).encode())


def model_of_kind(kind: ActorKind, name: str, *, child: bool | None = None) -> int:
    """A model of a kind for an actor of this name; children only, or no children, where `child` says so."""
    models = models_of(kind)
    if child is not None:
        models = tuple(m for m in models if MODELS[m].child == child) or models
    return models[crc("model", name) % len(models)]


def model_of_size(kinds: Sequence[ActorKind], size_lwh: Sequence[float], name: str, *, child: bool = False) -> int:
    """The model, of one of the kinds, whose size is nearest; among equally near ones the name decides."""
    choices = [m for kind in kinds for m in models_of(kind) if MODELS[m].child == child]
    choices = choices or [m for kind in kinds for m in models_of(kind)]
    wanted = np.asarray(size_lwh, dtype=np.float64)
    distances = np.array([np.linalg.norm(np.subtract(MODELS[m].size_lwh, wanted)) for m in choices])
    near = [m for m, d in zip(choices, distances, strict=True) if d <= distances.min() + _SIZE_TOLERANCE_M]
    return near[crc("model", name) % len(near)]


def paint_of(kind: ActorKind, name: str) -> tuple[int, int, int]:
    """RGB paint (of a vehicle) or clothes (of a person) for an actor of this name, slightly varied."""
    paints = _PAINTS.get(kind, _CAR_PAINTS)
    red, green, blue = paints[crc("paint", name) % len(paints)]
    shade = crc("shade", name) % 17 - 8

    def shaded(value: int) -> int:
        return min(255, max(0, value + shade))

    return shaded(red), shaded(green), shaded(blue)


def phase_after(kind: ActorKind, distance_m: FloatArray | float) -> FloatArray:
    """Phase of limbs or pedals, rad in [-pi, pi), after a distance; 0 for whoever has none."""
    cycle = {ActorKind.PEDESTRIAN: STRIDE_M, ActorKind.BICYCLE: PEDAL_TURN_M}.get(kind)
    distance = np.asarray(distance_m, dtype=np.float64)
    if cycle is None:
        return np.zeros_like(distance)
    return (2 * np.pi * distance / cycle + np.pi) % (2 * np.pi) - np.pi
