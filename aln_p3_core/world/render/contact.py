"""The darkness under everybody who stands on the ground, where light from the sky does not reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.actors import ActorKind, Actors
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.render.camera import PlacedCamera

FORMAT, NAMES = "4f 2f/i", ("in_box", "in_half")
_REACH_M = 90.0
_LIGHT_KINDS = (ActorKind.PEDESTRIAN, ActorKind.BICYCLE, ActorKind.MOTORCYCLE)
_DARKNESS = np.array([0.45 if model.kind in _LIGHT_KINDS else 0.72 for model in MODELS])


def contact_boxes(actors: Actors, camera: PlacedCamera) -> NDArray[np.float32]:
    """[C, 6] x, y, heading, darkness, half length and half width of the footprints that a camera may see."""
    sizes = sizes_of(actors)
    seen, _ = camera.sees(actors.positions, np.hypot(sizes[:, 0], sizes[:, 1]), _REACH_M)
    rows = np.column_stack([actors.positions[:, :2], actors.headings, _DARKNESS[actors.models], sizes[:, :2] / 2])
    return rows[seen].astype(np.float32)
