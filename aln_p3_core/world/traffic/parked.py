"""Cars that stand at the kerb: which of a scenery's parking places are taken, and by what."""

from __future__ import annotations

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, make_actors, no_actors
from aln_p3_core.world.assets.catalogue import MODELS, models_of
from aln_p3_core.world.traffic.looks import crc, model_of_kind, paint_of

#: One parked vehicle in so many is a small van.
_VAN_SHARE = 12
_VAN_LENGTH_M = 5.0
#: Nobody parks to the centimetre: m along and across the place, and rad.
_SPREAD = (0.25, 0.08, 0.02)


def parked_cars(places: FloatArray, share: float, seed: int, *, keep_free: FloatArray | None = None) -> Actors:
    """Parked cars.

    Args:
        places: [K, 3] x, y, heading of parking places, m and rad.
        share: of the places that are taken, 0..1.
        seed: decides which, and what stands there.
        keep_free: [F, 3] x, y, radius, m: places in these circles stay empty.
    """
    rng = np.random.default_rng([seed, crc("parked")])
    taken = rng.random(len(places)) < share
    spread = rng.uniform(-1.0, 1.0, (len(places), 3)) * _SPREAD
    if keep_free is not None and len(keep_free):
        gaps = np.linalg.norm(places[:, None, :2] - keep_free[None, :, :2], axis=-1)
        taken &= (gaps > keep_free[None, :, 2]).all(axis=1)
    rows = np.flatnonzero(taken)
    if not len(rows):
        return no_actors()
    names = [f"parked-{row}" for row in rows]
    models = [_parked_model(f"{seed}/{name}") for name in names]
    x, y, heading = places[rows].T
    along, across, turn = spread[rows].T
    positions = np.column_stack(
        [
            x + along * np.cos(heading) - across * np.sin(heading),
            y + along * np.sin(heading) + across * np.cos(heading),
        ]
    )
    colors = [paint_of(MODELS[m].kind, f"{seed}/{name}") for m, name in zip(models, names, strict=True)]
    flags = np.full(len(rows), int(ActorFlag.PARKED))
    return make_actors(names, models, positions, heading + turn, colors=colors, flags=flags)


def _parked_model(name: str) -> int:
    if crc("parked van", name) % _VAN_SHARE == 0:
        vans = [m for m in models_of(ActorKind.VAN) if MODELS[m].size_lwh[0] < _VAN_LENGTH_M]
        if vans:
            return vans[crc("model", name) % len(vans)]
    return model_of_kind(ActorKind.CAR, name)
