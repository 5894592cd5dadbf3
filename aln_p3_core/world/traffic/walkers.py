"""People on foot mind the ego: nobody steps in front of a car that cannot stop any more.

SUMO has people wait for gaps of its own vehicles at crossings without priority, but knows nothing of how hard the ego
would have to brake. On a zebra (and on any crossing they have entered) people go first, as long as the ego can stop
comfortably; elsewhere they let it pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, sin

import numpy as np
from shapely.geometry import Point, Polygon

from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH, EgoState
from aln_p3_core.world.traffic.body_tracker import Body

_RANGE_M = 45.0
#: Half width of the strip that the ego needs, m.
_STRIP_M = EGO_SIZE_LWH[1] / 2 + 0.6
#: Somebody is about to step into the strip when he would within so long, s.
_AHEAD_S = 1.6
#: On a zebra people go if the ego can stop with this, m/s^2, after a moment's reaction, s.
_ZEBRA_BRAKING = 2.5
_REACTION_S = 0.6
#: Elsewhere people let an ego pass that arrives within this, s.
_GAP_S = 4.5
_CREEPING_MPS = 0.8


class WalkerManners:
    """Says who of the people on foot has to wait for the ego."""

    def __init__(self, city: CityMap, zebras: Iterable[bool]) -> None:
        """`zebras` tells for each of the city's crossings whether people have priority there."""
        self._crossings = [Polygon(outline) for outline in city.crossings]
        self._zebras = list(zebras)

    def waits(self, body: Body, ego: EgoState) -> bool:
        """Whether somebody at the side of the ego's way has to stay there for now."""
        dx, dy = body.x - ego.x, body.y - ego.y
        if dx * dx + dy * dy > _RANGE_M**2:
            return False
        c, s = cos(ego.heading), sin(ego.heading)
        ahead, aside = c * dx + s * dy, c * dy - s * dx
        distance = ahead - EGO_CENTER_AHEAD_M - EGO_SIZE_LWH[0] / 2 - 0.4
        if distance < -EGO_SIZE_LWH[0] - 0.8:
            return False
        direction = (cos(body.heading), sin(body.heading))
        inward = -np.sign(aside) * (c * direction[1] - s * direction[0])
        to_strip = abs(aside) - _STRIP_M
        # Inside the strip it is too late to wait; who walks along it or away from it never enters it.
        if to_strip <= 0.0 or inward < 0.3 or to_strip > 1.5 * inward * _AHEAD_S + 0.2:
            return False
        if distance < 0.5:
            # Beside the car, or right before it: not while it moves.
            return abs(ego.speed) > 0.3
        if ego.speed < _CREEPING_MPS:
            return False
        needed = ego.speed * _REACTION_S + ego.speed**2 / (2 * _ZEBRA_BRAKING)
        if self._on_zebra(body):
            return distance < needed
        return distance < max(needed, ego.speed * _GAP_S)

    def _on_zebra(self, body: Body) -> bool:
        """On a zebra or about to enter it; or well inside another crossing, where nobody turns back."""
        here = Point(body.x, body.y)
        for outline, zebra in zip(self._crossings, self._zebras, strict=True):
            if abs(outline.exterior.coords[0][0] - body.x) > 60.0:
                continue
            if outline.distance(here) < (1.5 if zebra else 0.0):
                return True
        return False
