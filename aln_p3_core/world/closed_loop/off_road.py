"""Off the road, and on the wrong side of it."""

from __future__ import annotations

import numpy as np
import shapely

from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.boxes import ego_footprint
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.closed_loop.events import Infraction, InfractionKind
from aln_p3_core.world.ego import EgoState

#: Mirrors and paint may hang over the edge of the road: so much of each side is not looked at, m.
EDGE_TOLERANCE_M = 0.25
#: A departure shorter than this is no infraction, s; its metres count.
SHORTEST_S = 0.2
#: Against the direction of its lane: headings differ by more than this.
WRONG_WAY_RAD = np.radians(120.0)
#: Nearer to its route than this the ego is never on the wrong side, m.
ON_ROUTE_M = 1.75


class OffRoadMeasure:
    """Time and distance outside of the road.

    Off-road: a corner of the ego's box, drawn in by `EDGE_TOLERANCE_M`, lies outside of `CityMap.drivable`.
    Wrong way: the ego is more than `ON_ROUTE_M` from its route, and of the lanes under its middle none leads within
    120 degrees of its heading. Both together are CARLA's "outside route lanes": the distance driven so is taken
    from the route's completion, and every departure of `SHORTEST_S` or longer is an infraction.
    """

    def __init__(self, city: CityMap) -> None:
        self._city = city
        shapely.prepare(city.drivable)
        self._since: float | None = None
        self._counted = False
        self.events: list[Infraction] = []
        self.outside_m = 0.0
        self.outside_s = 0.0

    def observe(self, ego: EgoState, lateral_m: float, moved_m: float, step_s: float) -> list[Infraction]:
        """Feeds one step in which the ego moved by `moved_m`. Returns departures that begin to count."""
        corners = ego_footprint(ego, EDGE_TOLERANCE_M)
        if not bool(shapely.contains_xy(self._city.drivable, corners[:, 0], corners[:, 1]).all()):
            kind = InfractionKind.OFF_ROAD
        elif abs(lateral_m) > ON_ROUTE_M and self._against_the_lane(ego):
            kind = InfractionKind.WRONG_WAY
        else:
            self._since, self._counted = None, False
            return []
        self.outside_m += moved_m
        self.outside_s += step_s
        if self._since is None:
            self._since = ego.time_s
        if self._counted or ego.time_s - self._since < SHORTEST_S - 1e-6:
            return []
        self._counted = True
        event = Infraction(kind, self._since, ego.x, ego.y)
        self.events.append(event)
        return [event]

    def _against_the_lane(self, ego: EgoState) -> bool:
        center = ego.center
        opposed = False
        for index in self._city.lanes_near(center, 4.0):
            lane = self._city.lanes[index]
            nearest = int(((lane.centerline - center) ** 2).sum(axis=1).argmin())
            first = min(nearest, len(lane.centerline) - 2)
            forward = lane.centerline[first + 1] - lane.centerline[first]
            distance = abs(
                forward[0] * (center - lane.centerline[first])[1] - forward[1] * (center - lane.centerline[first])[0]
            )
            if distance / max(float(np.hypot(*forward)), 1e-9) > lane.width / 2:
                continue
            turned = abs(float(wrap_angle(np.arctan2(forward[1], forward[0]) - ego.heading)))
            if turned < WRONG_WAY_RAD:
                return False
            opposed = True
        return opposed
