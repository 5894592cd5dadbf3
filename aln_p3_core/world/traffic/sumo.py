"""`SumoTraffic`: live traffic from SUMO around the ego, with actors that follow scripts among it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, join_actors, make_actors, no_actors
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.sumo_net import SumoCity
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.state import TrafficState
from aln_p3_core.world.traffic.body_tracker import (
    Body,
    appeared,
    heading_of_sumo,
    is_walker,
    move_vehicle,
    move_walker,
    place_body,
)
from aln_p3_core.world.traffic.light_script import LightActor, LightScript
from aln_p3_core.world.traffic.looks import crc, paint_of, phase_after
from aln_p3_core.world.traffic.script import Script, ScriptedActor, ego_front_s
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S
from aln_p3_core.world.traffic.sumo_demand import Demand, SumoDemand, model_of_type
from aln_p3_core.world.traffic.sumo_guests import FRONT_AHEAD_M, SumoGuests
from aln_p3_core.world.traffic.sumo_session import SumoSession, vehicle_type
from aln_p3_core.world.traffic.walkers import WalkerManners

#: Actors farther from the ego than this are not told, m.
SEEN_M = 150.0
#: Bodies are followed for so many steps before time 0, so that they have headings and velocities then.
_FOLLOWED_STEPS = 30
_DEPART_STEPS = 40
#: Scripted lights are set so many steps before time 0: junctions clear until then.
_LIGHT_STEPS = 80
_PROLONG_STEPS = 30
#: At time 0 the ego's lane is free of others so far behind it and, at least, so far ahead, m; and so many seconds.
_FREE_BEHIND_M, _FREE_AHEAD_M, _FREE_AHEAD_S = 12.0, 14.0, 2.5
_BRAKE_BIT, _RIGHT_BIT, _LEFT_BIT = 8, 1, 2
_STREAM = "stream-"
_RIDDEN = (ActorKind.MOTORCYCLE, ActorKind.BICYCLE)

# libsumo's constants: traci.constants VAR_POSITION, VAR_ANGLE, VAR_SPEED, VAR_SIGNALS.
_POSITION, _ANGLE, _SPEED, _SIGNALS = 0x42, 0x43, 0x40, 0x5B
_PERSON_VALUES = (_POSITION, _ANGLE, _SPEED)
_VEHICLE_VALUES = (*_PERSON_VALUES, _SIGNALS)


@dataclass(frozen=True)
class StageTraffic:
    """What a scenario asks of the traffic, beside how much of it there is.

    Attributes:
        scripts: actors that follow a script.
        things: static actors, such as cones, and parked cars.
        clear_edges: SUMO edges without traffic at time 0 (a drive goes on with what comes later).
        clear_circles: [F, 3] x, y, radius, m: nobody in there at time 0.
        streams: vehicles that are sent along edges, in the order of time: (SUMO edges, seconds after time 0 (negative
            during the warm-up), model).
        lights: traffic lights that turn when the scenario needs it.
    """

    scripts: tuple[Script, ...] = ()
    things: Actors = field(default_factory=no_actors)
    clear_edges: tuple[str, ...] = ()
    clear_circles: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    streams: tuple[tuple[tuple[str, ...], float, int], ...] = ()
    lights: tuple[LightScript, ...] = ()


class SumoTraffic:
    """Traffic of a SUMO network. It opens its simulation at `start`; a process runs one at a time."""

    def __init__(
        self,
        town: SumoCity,
        route: Route,
        seed: int,
        *,
        demand: Demand | None = None,
        setting: StageTraffic | None = None,
    ) -> None:
        """Prepares; nothing runs yet.

        Args:
            town: the network.
            route: the ego's: streets are full around it.
            seed: of everything that is drawn by lot.
            demand: how full the streets are.
            setting: scripted actors, things, and what a scenario wants besides.
        """
        self._town = town
        self._route = route
        self._seed = seed
        self._demand = demand or Demand()
        self._setting = setting or StageTraffic()
        self._session: SumoSession | None = None

    @property
    def city(self) -> CityMap:
        return self._town.city

    def start(self, ego: EgoState) -> TrafficState:
        """Warms the simulation up without the ego, then puts it and the scripted actors into it.

        Raises:
            ConfigError: when libsumo is missing. DataError: when SUMO cannot load the network.
        """
        self.close()
        self._session = SumoSession(self._town.file, crc("sumo", self._seed))
        self._steps = self._ticks = self._warm_up = 0
        self._bodies: dict[str, Body] = {}
        self._signals_of: dict[str, int] = {}
        self._people: set[str] = set()
        self._held: set[str] = set()
        self._front_s = ego_front_s(self._route, ego, None)
        self._scripted: list[ScriptedActor] = []
        self._sent = 0
        rng = np.random.default_rng([self._seed, crc("demand")])
        around = self._route.points[:: max(1, len(self._route.points) // 30)]
        self._traffic = SumoDemand(self._sumo, self._demand, rng, around)
        self._guests = SumoGuests(self._sumo, self.city, self._route, self._traffic)
        self._traffic.populate()
        self._manners = WalkerManners(self.city, self._zebras())
        warm_up = max(round(self._demand.warm_up_s / TRAFFIC_STEP_S), _FOLLOWED_STEPS + 1)
        self._warm_up = warm_up
        for step in range(warm_up - 1):
            if step == max(0, warm_up - _LIGHT_STEPS):
                self._light_actors = [LightActor(script, self._sumo) for script in self._setting.lights]
            self._tick(followed=step >= warm_up - _FOLLOWED_STEPS)
        self._scripted = [ScriptedActor.begin(script) for script in self._setting.scripts]
        self._make_room(ego)
        self._guests.place_ego(ego, ahead_s=0.0)
        self._guests.place(self._scripted)
        self._tick(followed=True)
        self._actors = self._read(ego)
        return TrafficState(0.0, self._actors, self._lights())

    def step(self, ego: EgoState) -> TrafficState:
        """A step on; everybody reacts to where the ego will be if it goes on as it does.

        Raises:
            ConfigError: when another simulation was opened in this process meanwhile.
        """
        self._running.require_open()
        self._front_s = ego_front_s(self._route, ego, self._front_s - FRONT_AHEAD_M)
        for light in self._light_actors:
            light.step(ego, self._front_s)
        self._guests.place_ego(ego, ahead_s=TRAFFIC_STEP_S)
        for actor in self._scripted:
            if not actor.free:
                actor.step(ego, self._front_s, self._actors)
        self._let_go(self._guests.place(self._scripted))
        self._mind_the_ego(ego)
        self._tick(followed=True)
        self._steps += 1
        self._actors = self._read(ego)
        return TrafficState(round(self._steps * TRAFFIC_STEP_S, 6), self._actors, self._lights())

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    @property
    def _running(self) -> SumoSession:
        assert self._session is not None, "start() comes before step()"
        return self._session

    @property
    def _sumo(self) -> ModuleType:
        return self._running.sumo

    def _tick(self, *, followed: bool) -> None:
        """One step of SUMO, and of the bodies of all who are in it."""
        sumo = self._sumo
        self._send_streams()
        sumo.simulationStep()
        self._ticks += 1
        for name in sumo.simulation.getDepartedIDList():
            if not self._guests.has(name):
                sumo.vehicle.subscribe(name, _VEHICLE_VALUES)
        for name in sumo.simulation.getDepartedPersonIDList():
            sumo.person.subscribe(name, _PERSON_VALUES)
            self._people.add(name)
        if self._ticks % _PROLONG_STEPS == 0:
            self._traffic.prolong()
        if self._ticks == _DEPART_STEPS:
            self._traffic.drop_pending()
        if followed:
            self._follow()

    def _follow(self) -> None:
        """Moves every body to where SUMO has it."""
        sumo = self._sumo
        scripted = {actor.script.id: actor for actor in self._scripted if not actor.free}
        bodies: dict[str, Body] = {}
        for name, values in sorted(sumo.vehicle.getAllSubscriptionResults().items()):
            if name in scripted or self._guests.has(name):
                continue
            self._signals_of[name] = values[_SIGNALS]
            bodies[name] = self._moved(name, values, sumo.vehicle.getTypeID)
        for name, values in sorted(sumo.person.getAllSubscriptionResults().items()):
            bodies[name] = self._moved(name, values, sumo.person.getTypeID)
        for name, actor in sorted(scripted.items()):
            known = self._bodies.get(name)
            if known is None:
                known = Body(actor.script.model, actor.x, actor.y, actor.heading, 0.0, 0.0)
                known.vx, known.vy = actor.speed * np.cos(actor.heading), actor.speed * np.sin(actor.heading)
                known.speed = actor.speed
            else:
                place_body(known, actor.x, actor.y, actor.heading)
            bodies[name] = known
        self._bodies = bodies

    def _moved(self, name: str, values: Mapping[int, Any], type_of: Callable[[str], str]) -> Body:
        """The body of somebody whom SUMO moves, after this step."""
        x, y = values[_POSITION]
        heading = heading_of_sumo(values[_ANGLE])
        body = self._bodies.get(name)
        if body is None:
            return appeared(model_of_type(type_of(name)), x, y, heading, values[_SPEED])
        if not is_walker(body.model):
            move_vehicle(body, x, y)
        elif not move_walker(body, x, y, values[_SPEED], heading):
            # Now and then SUMO skips the way around a street corner. Whoever is there now is somebody else.
            lives = body.lives + 1
            body = appeared(body.model, x, y, heading, values[_SPEED])
            body.lives = lives
        return body

    def _read(self, ego: EgoState) -> Actors:
        """Everybody within `SEEN_M` of the ego."""
        flags_of = {actor.script.id: int(actor.flags) for actor in self._scripted if not actor.free}
        names, rows, models, colors, flags = [], [], [], [], []
        for name, body in self._bodies.items():
            if (body.x - ego.x) ** 2 + (body.y - ego.y) ** 2 > SEEN_M**2:
                continue
            kind = MODELS[body.model].kind
            flag = flags_of.get(name)
            if flag is None:
                signals = self._signals_of.get(name, 0) if kind.is_vehicle else 0
                flag = ActorFlag.BRAKE if signals & _BRAKE_BIT else 0
                flag |= ActorFlag.LEFT if signals & _LEFT_BIT else 0
                flag |= ActorFlag.RIGHT if signals & _RIGHT_BIT else 0
            if kind in _RIDDEN:
                flag |= ActorFlag.RIDER
            name = f"{name}.{body.lives}" if body.lives else name
            names.append(name)
            models.append(body.model)
            phase = float(phase_after(kind, body.travelled))
            rows.append((body.x, body.y, body.heading, body.vx, body.vy, body.acceleration, phase))
            colors.append(paint_of(kind, f"{self._seed}/{name}"))
            flags.append(int(flag))
        table = np.array(rows).reshape(-1, 7)
        moving = make_actors(
            names,
            models,
            table[:, :2],
            table[:, 2],
            velocities=table[:, 3:5],
            accelerations=table[:, 5],
            phases=table[:, 6],
            colors=colors,
            flags=flags,
        )
        return join_actors([moving, self._setting.things.near(ego.xy, SEEN_M)])

    def _lights(self) -> np.ndarray:
        light = self._sumo.trafficlight
        links = self._town.signal_links
        return links.colors({name: light.getRedYellowGreenState(name) for name in sorted(set(links.tls))})

    def _zebras(self) -> list[bool]:
        """For every crossing: whether people go first there (with a light they do when it lets them)."""
        minor = set()
        for lane in self._sumo.lane.getIDList():
            if lane.startswith(":") and "_w" in lane:
                for link in self._sumo.lane.getLinks(lane):
                    if link[5] == "m":
                        minor.add(link[0].rpartition("_")[0])
        return [name not in minor for name in self._town.crossing_ids]

    def _make_room(self, ego: EgoState) -> None:
        """Takes out whoever stands where the ego, a script or the scenario needs room at time 0."""
        sumo = self._sumo
        cleared = set(self._setting.clear_edges)
        ahead = max(_FREE_AHEAD_M, _FREE_AHEAD_S * ego.speed)
        circles = self._setting.clear_circles
        for actor in self._scripted:
            radius = MODELS[actor.script.model].size_lwh[0] / 2 + 4.0
            circles = np.vstack([circles, [[actor.x, actor.y, radius]]])
        for name, body in sorted(self._bodies.items()):
            here = np.array([body.x, body.y])
            s, aside = self._route.project(here, self._front_s)
            on_way = abs(aside) < 2.5 and -_FREE_BEHIND_M < s - self._front_s - body.length / 2 + FRONT_AHEAD_M < ahead
            in_circle = bool((np.hypot(*(circles[:, :2] - here).T) < circles[:, 2] + body.length / 2).any())
            on_foot = name in self._people
            road = "" if on_foot else sumo.vehicle.getRoadID(name)
            # Streams are sent on purpose.
            if not (on_way or in_circle or (road in cleared and not name.startswith(_STREAM))):
                continue
            domain = sumo.person if on_foot else sumo.vehicle
            domain.unsubscribe(name)
            domain.remove(name)
            del self._bodies[name]

    def _let_go(self, names: Sequence[str]) -> None:
        """From now on SUMO moves those whose script is over, from where they are."""
        for name in names:
            self._sumo.vehicle.subscribe(name, _VEHICLE_VALUES)

    def _send_streams(self) -> None:
        """Lets the vehicles of the streams depart when it is their time."""
        streams = self._setting.streams
        while self._sent < len(streams) and streams[self._sent][1] <= (self._ticks - self._warm_up) * TRAFFIC_STEP_S:
            edges, _, model = streams[self._sent]
            name = f"{_STREAM}{self._sent}"
            self._sumo.route.add(f"route-{name}", self._traffic.drive_on(list(edges)))
            self._sumo.vehicle.add(
                name, f"route-{name}", typeID=vehicle_type(model), departLane="best", departSpeed="max"
            )
            self._sent += 1

    def _mind_the_ego(self, ego: EgoState) -> None:
        """Holds people who must not step in front of the ego, and lets go of those who need not wait any more."""
        for name in sorted(self._people):
            body = self._bodies.get(name)
            waits = body is not None and self._manners.waits(body, ego)
            if waits and name not in self._held:
                self._sumo.person.setSpeed(name, 0.0)
                self._held.add(name)
            elif not waits and name in self._held:
                self._held.discard(name)
                if body is not None:
                    self._sumo.person.setSpeed(name, -1)
