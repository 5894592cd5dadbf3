"""What the expert knows about everybody around the car at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors
from aln_p3_core.world.assets.catalogue import kinds_of, sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.forecast import Forecasts, Situation, forecast, match_lanes
from aln_p3_core.world.planners.lane_graph import LaneMatch, lane_graph
from aln_p3_core.world.planners.planner import Cause, Observation
from aln_p3_core.world.state import SignalColor

#: Whoever is farther away is not looked at, m.
LOOK_M = 110.0
#: But those that come the other way, m.
_FAR_M = 180.0
#: Slower than this somebody stands, m/s.
STANDING = 0.4
#: Before a light so far, m, a queue may reach.
_LIGHT_QUEUE_M = 55.0


@dataclass
class StandingMemory:
    """Since when everybody has been standing, and the car itself."""

    since: dict[str, float] = field(default_factory=dict)
    ego_since: float | None = None

    def update(self, time_s: float, actors: Actors, ego: EgoState) -> dict[str, float]:
        """Seconds that each of the actors has been standing, by id."""
        still = actors.speeds < STANDING
        self.since = {name: self.since.get(name, time_s) for name, at in zip(actors.ids, still, strict=True) if at}
        self.ego_since = (time_s if self.ego_since is None else self.ego_since) if abs(ego.speed) < STANDING else None
        return {name: time_s - since for name, since in self.since.items()}


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Everybody near the car. N = actors.

    Attributes:
        actors: who. kinds: of each. sizes: [N, 2] length, width, m. speeds: [N] m/s.
        parked: [N] vehicles without a driver. held: [N] those that stand at a light, or in the queue before it.
        offsets: [N, 2] m, of their middles from the ego's middle: x ahead, y left.
        turned: [N] rad, their heading relative to the ego's.
        match: their lanes.
        standing_s: by id.
        forecasts: what they may do.
    """

    actors: Actors
    kinds: tuple[ActorKind, ...]
    sizes: FloatArray
    speeds: FloatArray
    parked: NDArray[np.bool_]
    held: NDArray[np.bool_]
    offsets: FloatArray
    turned: FloatArray
    match: LaneMatch
    standing_s: Mapping[str, float]
    forecasts: Forecasts

    def followers(self) -> NDArray[np.bool_]:
        """[N] who drives behind the car in its tracks: they keep their distance, not the car."""
        behind = self.offsets[:, 0] < -0.3 * self.sizes[:, 0]
        return behind & (np.abs(self.offsets[:, 1]) < 1.6) & (np.abs(self.turned) < 0.7)


def look_around(observation: Observation, memory: StandingMemory) -> Surroundings:
    """Reads the surroundings of the car out of an observation."""
    state, route = observation.state, observation.route
    ego = state.ego
    actors = state.actors.near(ego.center, _FAR_M)
    far = np.linalg.norm(actors.positions[:, :2] - ego.center, axis=1) > LOOK_M
    oncoming = (np.abs(wrap_angle(actors.headings - ego.heading)) > 2.3) & (actors.speeds > 1.0)
    actors = actors.select(~far | oncoming)
    kinds = tuple(kinds_of(actors))
    standing = memory.update(state.time_s, actors, ego)
    match = match_lanes(observation.city, actors)
    ego_standing = 0.0 if memory.ego_since is None else state.time_s - memory.ego_since
    ahead = (route.s >= observation.route_s - 5.0) & (route.s <= observation.route_s + 80.0)
    lanes = observation.city.lanes
    connectors = [int(i) for i in dict.fromkeys(route.lane_of[ahead].tolist()) if i >= 0 and lanes[i].is_connector]
    situation = Situation(observation.city, state.signals, connectors, standing, ego_standing > 6.0)
    delta = actors.positions[:, :2] - ego.center
    cos, sin = np.cos(ego.heading), np.sin(ego.heading)
    parked = (actors.flags & ActorFlag.PARKED) > 0
    driven = np.array([kind.is_vehicle for kind in kinds], bool) & ~parked & (match.lane >= 0)
    held = driven & (actors.speeds < STANDING)
    held[held] = [_before_a_light(match, observation, int(row)) for row in np.flatnonzero(held)]
    return Surroundings(
        actors=actors,
        kinds=kinds,
        sizes=sizes_of(actors)[:, :2],
        speeds=actors.speeds,
        parked=parked,
        held=held,
        offsets=np.stack([delta[:, 0] * cos + delta[:, 1] * sin, delta[:, 1] * cos - delta[:, 0] * sin], axis=1),
        turned=wrap_angle(actors.headings - ego.heading),
        match=match,
        standing_s=standing,
        forecasts=forecast(actors, match, situation),
    )


def _before_a_light(match: LaneMatch, observation: Observation, row: int) -> bool:
    """Whether there is a red or yellow light closely ahead of somebody in a lane."""
    lanes = observation.city.lanes
    for chain in lane_graph(observation.city).chains(int(match.lane[row])):
        for index, start in zip(chain.lanes, chain.starts, strict=True):
            signal = lanes[index].signal if lanes[index].is_connector else -1
            near = -2.0 < start - float(match.s[row]) < _LIGHT_QUEUE_M
            if signal >= 0 and near and observation.state.signals[signal] in (SignalColor.RED, SignalColor.YELLOW):
                return True
    return False


def standing_cause(around: Surroundings, row: int) -> Cause:
    """What somebody or something is that stands in the way."""
    kind = around.kinds[row]
    if kind.is_static:
        return Cause.WORKS
    if kind is ActorKind.PEDESTRIAN:
        return Cause.PEDESTRIAN
    if kind is ActorKind.BICYCLE and around.actors.flags[row] & ActorFlag.RIDER:
        return Cause.CYCLIST
    if kind is ActorKind.BUS and not around.parked[row] and not around.held[row]:
        return Cause.BUS_AT_STOP
    return Cause.STOPPED_VEHICLE
