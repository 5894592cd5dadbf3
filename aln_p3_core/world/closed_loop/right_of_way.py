"""Who has the right of way over the ego where it is now: priority roads, lights, crossings."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Point, Polygon

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.route import Route

#: Somebody is in a lane when this near to its centreline, m.
_IN_LANE_M = 2.0
#: Whoever walks beside the stripes is on the crossing too, m.
_CROSSING_EDGE_M = 0.5
#: After a red light was run, everybody has the right of way for so long, s.
RED_LIGHT_MEMORY_S = 6.0


class RightOfWay:
    """Knows which connector of its route the ego is in, and whether it ran a red light a moment ago."""

    def __init__(self, city: CityMap, route: Route) -> None:
        self._city, self._route = city, route
        self._lane = -1
        self._ran_red_at = -np.inf

    def observe(self, route_s: float) -> None:
        """Feeds where the ego's rear axle is, m along its route."""
        row = int(np.clip(np.searchsorted(self._route.s, route_s), 0, len(self._route.lane_of) - 1))
        # The front enters a junction well before the rear axle does.
        ahead = int(np.clip(np.searchsorted(self._route.s, route_s + 3.0), 0, len(self._route.lane_of) - 1))
        lanes = (int(self._route.lane_of[row]), int(self._route.lane_of[ahead]))
        self._lane = next((lane for lane in lanes if lane >= 0 and self._city.lanes[lane].is_connector), -1)

    def ran_red(self, time_s: float) -> None:
        """A red light was run."""
        self._ran_red_at = time_s

    def has(self, xy: FloatArray, time_s: float, *, on_foot: bool = False) -> bool:
        """Whether somebody at a place [2] goes before the ego; somebody on foot does on a crossing."""
        if time_s - self._ran_red_at < RED_LIGHT_MEMORY_S:
            return True
        if on_foot:
            return any(_inside(xy, outline) for outline in self._city.crossings)
        if self._lane < 0:
            return False
        prior = set(self._city.lanes[self._lane].yields_to)
        # Whoever is about to enter a connector is still in the lane before it.
        prior |= {lane for index in prior for lane in self._city.lanes[index].predecessors}
        prior -= set(self._city.lanes[self._lane].predecessors)
        return bool(prior) and not prior.isdisjoint(self._city.lanes_near(xy, _IN_LANE_M))


def _inside(xy: FloatArray, outline: FloatArray) -> bool:
    """A place [2] lies in a polygon [n, 2], or not farther beside it than `_CROSSING_EDGE_M`."""
    if (np.abs(outline - xy).min(axis=0) > 60.0).any():
        return False
    return bool(Polygon(outline).distance(Point(xy)) < _CROSSING_EDGE_M)
