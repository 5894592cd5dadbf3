"""`CityMap`: the roads of a city as everybody in the world reads them (world frame, m)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from aln_p3_core.geometry import FloatArray

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry
    from shapely.strtree import STRtree


class Turn(Enum):
    """Where a connector leads."""

    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"
    U_TURN = "u_turn"


@dataclass(frozen=True, eq=False)
class Lane:
    """A driving lane, or a connector through a junction.

    Attributes:
        id: the source's name.
        centerline: [P, 2] in driving direction, P >= 2.
        width: m.
        speed_limit: m/s.
        successors, predecessors: indices into `CityMap.lanes`.
        left, right: index of the neighbour lane in the same direction, or -1. (Left of the driving direction.)
        junction: name of the junction that a connector crosses, "" for lanes.
        turn: where a connector leads; STRAIGHT for lanes.
        signal: index into `CityMap.signals` of the light that a connector obeys, or -1.
        yields_to: connectors (indices) that have priority over this one.
        road: name of the road (edge): its lanes share it.
    """

    id: str
    centerline: FloatArray
    width: float = 3.5
    speed_limit: float = 13.9
    successors: tuple[int, ...] = ()
    predecessors: tuple[int, ...] = ()
    left: int = -1
    right: int = -1
    junction: str = ""
    turn: Turn = Turn.STRAIGHT
    signal: int = -1
    yields_to: tuple[int, ...] = ()
    road: str = ""

    @property
    def is_connector(self) -> bool:
        """Leads through a junction."""
        return bool(self.junction)

    @cached_property
    def length(self) -> float:
        """m along the centreline."""
        return float(np.linalg.norm(np.diff(self.centerline, axis=0), axis=1).sum())


@dataclass(frozen=True, eq=False)
class Divider:
    """A painted line between lanes.

    Attributes:
        points: [P, 2].
        is_road_divider: between opposite directions (yellow, solid); else between lanes (white, dashed).
    """

    points: FloatArray
    is_road_divider: bool = False


@dataclass(frozen=True, eq=False)
class Signal:
    """A traffic light for one approach lane (or one group of its connectors).

    Attributes:
        id: unique.
        stop_line: [2, 2] across the approach lane.
        head: [3] place of the signal head, m; heading: rad, the direction in which its light shines.
    """

    id: str
    stop_line: FloatArray
    head: FloatArray
    heading: float


@dataclass(frozen=True, eq=False)
class CityMap:
    """A city's roads.

    Attributes:
        name: of the city; the `location` of data sets recorded in it.
        lanes: driving lanes and connectors.
        boundaries: [P, 2] lines each: edge of the drivable area.
        drivable: shapely polygon or multipolygon: where a car may be.
        dividers: painted lines. signals: traffic lights.
        crossings: [P, 2] outlines of pedestrian crossings. walkways: [P, 2] outlines of pavements.
        drives_on_left: as in Singapore.
        parking_lanes: [P, 2] middles of the lanes beside the driving lanes that are for parking only, in driving
            direction. They are part of `drivable`.
    """

    name: str
    lanes: tuple[Lane, ...]
    boundaries: tuple[FloatArray, ...]
    drivable: BaseGeometry
    dividers: tuple[Divider, ...] = ()
    signals: tuple[Signal, ...] = ()
    crossings: tuple[FloatArray, ...] = ()
    walkways: tuple[FloatArray, ...] = ()
    drives_on_left: bool = False
    parking_lanes: tuple[FloatArray, ...] = ()

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """x and y from, x and y to, m, of the drivable area."""
        return tuple(float(v) for v in self.drivable.bounds)  # type: ignore[return-value]

    @cached_property
    def lane_index(self) -> dict[str, int]:
        """Index of a lane by its id."""
        return {lane.id: index for index, lane in enumerate(self.lanes)}

    def lanes_near(self, xy: FloatArray, radius_m: float = 5.0) -> list[int]:
        """Lanes whose centreline comes within `radius_m` of a place [2], nearest first."""
        from shapely.geometry import Point

        tree, lines = self._tree
        point = Point(float(xy[0]), float(xy[1]))
        found = [(float(lines[i].distance(point)), int(i)) for i in tree.query(point.buffer(radius_m))]
        return [index for distance, index in sorted(found) if distance <= radius_m]

    @cached_property
    def _tree(self) -> tuple[STRtree, list[BaseGeometry]]:
        from shapely.geometry import LineString
        from shapely.strtree import STRtree

        lines = [LineString(lane.centerline) for lane in self.lanes]
        return STRtree(lines), lines
