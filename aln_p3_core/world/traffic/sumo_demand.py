"""Who drives and walks where in SUMO: drawn from a seed, never arriving, dense around the ego's route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.traffic.looks import crc, model_of_kind
from aln_p3_core.world.traffic.sumo_session import EGO, vehicle_type

_MIX = MappingProxyType(
    {
        ActorKind.CAR: 0.70,
        ActorKind.VAN: 0.08,
        ActorKind.TRUCK: 0.06,
        ActorKind.BUS: 0.04,
        ActorKind.MOTORCYCLE: 0.06,
        ActorKind.BICYCLE: 0.06,
    }
)
#: One in so many people on foot is a child.
_CHILD_SHARE = 12
#: A drive through the streets is planned this far ahead and prolonged before it ends, m.
_AHEAD_M = 900.0
_WALK_M = (150.0, 500.0)


@dataclass(frozen=True)
class Demand:
    """How full the streets are.

    Attributes:
        vehicles_per_km: for each kilometre of lane within the radius.
        walkers_per_km: for each kilometre of pavement within the radius.
        parked: share of the parking places that are taken.
        radius_m: around the ego's route.
        warm_up_s: simulated before time 0.
        mix: shares of the kinds of vehicles.
    """

    vehicles_per_km: float = 9.0
    walkers_per_km: float = 20.0
    parked: float = 0.6
    radius_m: float = 260.0
    warm_up_s: float = 40.0
    mix: Mapping[ActorKind, float] = field(default_factory=lambda: _MIX)


class SumoDemand:
    """Puts vehicles and people into a simulation and keeps them going."""

    def __init__(self, sumo: ModuleType, demand: Demand, rng: np.random.Generator, around: FloatArray) -> None:
        """Reads the street graph from SUMO.

        Args:
            sumo: libsumo, with a network loaded.
            demand: how many.
            rng: draws everything.
            around: [F, 2] places that the streets shall be full around, m.
        """
        self._sumo = sumo
        self._demand = demand
        self._rng = rng
        self._lanes: dict[str, list[str]] = {}
        self._length: dict[str, float] = {}
        self._pavements: list[str] = []
        self._near: set[str] = set()
        near_walks: list[str] = []
        for edge in sorted(sumo.edge.getIDList()):
            if edge.startswith(":"):
                continue
            names = [f"{edge}_{k}" for k in range(sumo.edge.getLaneNumber(edge))]
            driven = [name for name in names if self._allows(name, "passenger")]
            walked = [name for name in names if self._allows(name, "pedestrian") and name not in driven]
            near = _distance(np.array(sumo.lane.getShape(names[0])), around) <= demand.radius_m
            self._length[edge] = float(sumo.lane.getLength(names[0]))
            if driven:
                self._lanes[edge] = driven
                if near:
                    self._near.add(edge)
            if walked:
                self._pavements.append(edge)
                if near:
                    near_walks.append(edge)
        self._near_walks = near_walks or self._pavements
        self._next = {edge: self._successors(edge) for edge in self._lanes}

    def populate(self) -> None:
        """Adds everybody at once; they depart in the next steps."""
        edges = sorted(self._near)
        meters = np.array([self._length[edge] * len(self._lanes[edge]) for edge in edges])
        if len(edges) and meters.sum() > 0:
            count = round(self._demand.vehicles_per_km * float(meters.sum()) / 1000)
            kinds = list(self._demand.mix)
            shares = np.array([self._demand.mix[kind] for kind in kinds])
            starts = self._rng.choice(len(edges), size=count, p=meters / meters.sum())
            drawn = self._rng.choice(len(kinds), size=count, p=shares / shares.sum())
            for number, (start, kind) in enumerate(zip(starts, drawn, strict=True)):
                self._add_vehicle(f"{kinds[kind].name.lower()}-{number}", kinds[kind], edges[start])
        lengths = np.array([self._length[edge] for edge in self._near_walks])
        if len(lengths):
            count = round(self._demand.walkers_per_km * float(lengths.sum()) / 1000)
            for number, start in enumerate(self._rng.choice(len(lengths), size=count, p=lengths / lengths.sum())):
                self._add_person(f"pedestrian-{number}", self._near_walks[start])

    def prolong(self) -> None:
        """Gives those who are about to arrive somewhere else to go. To be called every few seconds."""
        sumo = self._sumo
        for name in sumo.vehicle.getIDList():
            if not sumo.vehicle.getTypeID(name).startswith("model"):
                continue
            route, index = sumo.vehicle.getRoute(name), sumo.vehicle.getRouteIndex(name)
            if index < 0 or sum(self._length[edge] for edge in route[index + 1 :]) > _AHEAD_M / 3:
                continue
            sumo.vehicle.setRoute(name, [*route[index:], *self._drive(route[-1])[1:]])
        for name in sumo.person.getIDList():
            if sumo.person.getRemainingStages(name) <= 1:
                stage = sumo.person.getStage(name, 0)
                self._add_walk(name, stage.edges[-1], stage.arrivalPos)

    def drop_pending(self) -> None:
        """Takes out whoever found no place to depart: nobody shall appear from nowhere later."""
        for name in self._sumo.simulation.getPendingVehicles():
            if name != EGO:
                self._sumo.vehicle.remove(name)

    def _allows(self, lane: str, kind: str) -> bool:
        allowed = self._sumo.lane.getAllowed(lane)
        return kind in allowed if allowed else kind not in self._sumo.lane.getDisallowed(lane)

    def _successors(self, edge: str) -> tuple[str, ...]:
        links = [link for lane in self._lanes[edge] for link in self._sumo.lane.getLinks(lane)]
        ahead = sorted({link[0].rpartition("_")[0] for link in links if link[6] != "t"} & set(self._lanes))
        back = sorted({link[0].rpartition("_")[0] for link in links if link[6] == "t"} & set(self._lanes))
        return tuple(ahead or back)

    def drive_on(self, edges: Sequence[str]) -> list[str]:
        """A way along edges, prolonged by lot."""
        return [*edges, *self._drive(edges[-1])[1:]]

    def _drive(self, edge: str) -> list[str]:
        """A random way through the streets, rather within the radius than out of it."""
        route, length = [edge], self._length[edge]
        while length < _AHEAD_M:
            choices = self._next[route[-1]]
            if not choices:
                break
            inside = [choice for choice in choices if choice in self._near]
            choices = tuple(inside) or choices
            route.append(choices[self._rng.integers(len(choices))])
            length += self._length[route[-1]]
        return route

    def _add_vehicle(self, name: str, kind: ActorKind, edge: str) -> None:
        sumo = self._sumo
        route = self._drive(edge)
        if len(route) < 2:
            return
        sumo.route.add(f"route-{name}", route)
        sumo.vehicle.add(
            name,
            f"route-{name}",
            typeID=vehicle_type(model_of_kind(kind, name)),
            depart="now",
            departLane="best_prob",
            departPos="random_free",
            departSpeed="0",
        )

    def _add_person(self, name: str, edge: str) -> None:
        place = float(self._rng.uniform(0.0, self._length[edge]))
        child = crc("child", name) % _CHILD_SHARE == 0
        model = model_of_kind(ActorKind.PEDESTRIAN, name, child=child)
        self._sumo.person.add(name, edge, place, typeID=vehicle_type(model))
        self._add_walk(name, edge, place)

    def _add_walk(self, name: str, edge: str, place: float) -> None:
        """A walk to a random place that pavements and crossings lead to; on the spot when there is none."""
        sumo = self._sumo
        for _ in range(8):
            goal = self._near_walks[self._rng.integers(len(self._near_walks))]
            arrival = float(self._rng.uniform(0.2, 0.8)) * self._length[goal]
            stages = sumo.simulation.findIntermodalRoute(edge, goal, departPos=place, arrivalPos=arrival)
            walked = sum(stage.length for stage in stages)
            if len(stages) == 1 and goal != edge and _WALK_M[0] <= walked <= _WALK_M[1]:
                sumo.person.appendWalkingStage(name, stages[0].edges, arrival)
                return
        sumo.person.appendWaitingStage(name, 3600.0)


def model_of_type(name: str) -> int:
    """Index into `MODELS` of one of our SUMO types."""
    return int(name.removeprefix("model")) if name.startswith("model") else -1


def _distance(line: FloatArray, places: FloatArray) -> float:
    """Nearest distance between the points of a line (and its middle) and some places."""
    points = np.concatenate([line, line.mean(axis=0, keepdims=True)])
    return float(np.linalg.norm(points[:, None] - places[None], axis=-1).min())
