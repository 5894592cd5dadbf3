"""What stands beside the roads: buildings, trees, poles, places to park."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aln_p3_core.geometry import FloatArray


def _none(columns: int) -> FloatArray:
    return np.zeros((0, columns))


@dataclass(frozen=True, eq=False)
class Scenery:
    """Static things, world frame, m and rad. They are seen, but not annotated.

    Attributes:
        buildings: [B, 6] x, y of the middle, heading, length, width, height.
        trees: [T, 3] x, y, height.
        poles: [L, 4] street lamps: x, y, heading (of the arm), height.
        parking: [K, 3] x, y, heading of places where a car may be parked.
        seed: of everything about their looks.
    """

    buildings: FloatArray = field(default_factory=lambda: _none(6))
    trees: FloatArray = field(default_factory=lambda: _none(3))
    poles: FloatArray = field(default_factory=lambda: _none(4))
    parking: FloatArray = field(default_factory=lambda: _none(3))
    seed: int = 0
