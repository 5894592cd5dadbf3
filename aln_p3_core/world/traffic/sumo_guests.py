"""The ego and the scripted actors as SUMO's own vehicles see them: guests whom somebody else moves."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, sin
from types import ModuleType

import numpy as np
import shapely

from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH, EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.traffic.body_tracker import sumo_angle
from aln_p3_core.world.traffic.script import ScriptedActor
from aln_p3_core.world.traffic.sumo_demand import SumoDemand
from aln_p3_core.world.traffic.sumo_session import EGO, shadow_type, vehicle_type

#: The ego's front bumper ahead of its place, m.
FRONT_AHEAD_M = EGO_CENTER_AHEAD_M + EGO_SIZE_LWH[0] / 2
#: SUMO's own speed and lane change modes, for those who are set free.
_SPEED_MODE, _LANE_CHANGE_MODE = 31, 1621
#: `moveToXY` that takes a vehicle anywhere, on its route or off it.
_ANYWHERE = 2


class SumoGuests:
    """Keeps the guests where they are. Those on foot, and cyclists, are guests only while they are on the road."""

    def __init__(self, sumo: ModuleType, city: CityMap, route: Route, demand: SumoDemand) -> None:
        """Nobody is there yet. `route` is the ego's; `demand` knows how streets go on."""
        self._sumo = sumo
        self._city = city
        self._route = route
        self._demand = demand
        self._scripted: set[str] = set()
        self._entries = 0

    def has(self, name: str) -> bool:
        """Whether a SUMO vehicle is a guest."""
        return name == EGO or name in self._scripted

    def place_ego(self, ego: EgoState, ahead_s: float) -> None:
        """Puts the ego where it will be `ahead_s` seconds from now if it goes on as it does."""
        heading = ego.heading + ego.yaw_rate * ahead_s
        way = ego.speed * ahead_s
        x = ego.x + way * cos(ego.heading + ego.yaw_rate * ahead_s / 2) + FRONT_AHEAD_M * cos(heading)
        y = ego.y + way * sin(ego.heading + ego.yaw_rate * ahead_s / 2) + FRONT_AHEAD_M * sin(heading)
        if EGO not in self._sumo.vehicle.getIDList():
            # Whoever meets it at a junction knows where it is going.
            self._enter(EGO, EGO, self._demand.drive_on(roads_of(self._city, self._route)))
        self._put(EGO, x, y, heading, max(ego.speed, 0.0))

    def place(self, actors: Sequence[ScriptedActor]) -> list[str]:
        """Puts scripted actors where they are; those whose script is over are left to SUMO: their names."""
        sumo = self._sumo
        present = set(sumo.vehicle.getIDList())
        freed = []
        for actor in actors:
            name, model = actor.script.id, actor.script.model
            if actor.free:
                if name in self._scripted and name in present:
                    self._set_free(name)
                    freed.append(name)
                self._scripted.discard(name)
                continue
            if not shapely.contains_xy(self._city.drivable, actor.x, actor.y):
                if name in self._scripted and name in present:
                    sumo.vehicle.remove(name)
                self._scripted.discard(name)
                continue
            if name not in present:
                self._scripted.add(name)
                self._enter(
                    name, vehicle_type(model) if actor.script.edges else shadow_type(model), self._edges_of(actor)
                )
            half = MODELS[model].size_lwh[0] / 2
            x, y = actor.x + half * cos(actor.heading), actor.y + half * sin(actor.heading)
            self._put(name, x, y, actor.heading, actor.speed)
        return freed

    def _set_free(self, name: str) -> None:
        vehicle = self._sumo.vehicle
        vehicle.setSpeedMode(name, _SPEED_MODE)
        vehicle.setLaneChangeMode(name, _LANE_CHANGE_MODE)
        vehicle.setSpeed(name, -1)

    def _enter(self, name: str, type_id: str, edges: Sequence[str]) -> None:
        vehicle = self._sumo.vehicle
        self._entries += 1
        route = f"guest-{name}-{self._entries}"
        self._sumo.route.add(route, list(edges))
        vehicle.add(name, route, typeID=type_id, depart="now", departLane="best", departPos="0")
        vehicle.setSpeedMode(name, 0)
        vehicle.setLaneChangeMode(name, 0)

    def _put(self, name: str, front_x: float, front_y: float, heading: float, speed: float) -> None:
        self._sumo.vehicle.moveToXY(name, "", -1, float(front_x), float(front_y), sumo_angle(heading), _ANYWHERE)
        self._sumo.vehicle.setSpeed(name, float(speed))

    def _edges_of(self, actor: ScriptedActor) -> list[str]:
        if actor.script.edges:
            return self._demand.drive_on(actor.script.edges)
        for radius in (5.0, 20.0, 80.0):
            for index in self._city.lanes_near(np.array([actor.x, actor.y]), radius):
                if not self._city.lanes[index].is_connector:
                    return [self._city.lanes[index].road]
        return [next(lane.road for lane in self._city.lanes if not lane.is_connector)]


def roads_of(city: CityMap, route: Route) -> tuple[str, ...]:
    """The roads (SUMO edges) along a route, in order."""
    roads: list[str] = []
    for index in route.lane_of:
        lane = city.lanes[index] if index >= 0 else None
        if lane is not None and not lane.is_connector and (not roads or roads[-1] != lane.road):
            roads.append(lane.road)
    return tuple(roads)
