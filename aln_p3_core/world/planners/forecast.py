"""Where everybody will be: a privileged forecast that follows lanes, lights and the right of way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors
from aln_p3_core.world.assets.catalogue import kinds_of, sizes_of
from aln_p3_core.world.city.city_map import CityMap, Lane, Turn
from aln_p3_core.world.planners.lane_graph import Chain, LaneMatch, lane_graph
from aln_p3_core.world.state import SignalColor

#: Seconds between two steps of a forecast, and how many follow the present.
FORECAST_STEP_S = 0.2
FORECAST_STEPS = 35
TIMES_S: FloatArray = FORECAST_STEP_S * np.arange(FORECAST_STEPS + 1)
#: Slower than this an actor stands, m/s.
STANDING_SPEED = 0.15
#: m/s^2 at which others are trusted to stop where they have to.
_TRUSTED_BRAKING = 3.5
#: A vehicle that moves faster across its lane than this, m/s, is changing it.
CHANGING_SPEED = 0.3
_STARTING_ACCELERATION = 2.0
_SWING_S = 0.6
#: A vehicle this long or longer is placed by its front: its body swings out of its lane in turns, m.
LONG_M = 5.5
#: Seconds that an indicated change of lane is expected to take. Nearer to a lane's end, m, an indicator means a turn.
_CHANGE_S = 3.0
_TURN_INDICATED_M = 30.0
_LANE_WIDTH_M = 3.4
#: Seconds for which a person is believed to keep walking as now.
_PEDESTRIAN_BELIEF_S = 3.5


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What may happen. H = hypotheses (one or more an actor), T = `FORECAST_STEPS` + 1.

    Attributes:
        actor: [H] row of the actor in the actors that were forecast.
        positions: [H, T, 2] middles of the footprints, m. headings: [H, T] rad.
        speeds: [H, T] m/s.
        sizes: [H, 2] length and width, m.
        moving: [H] whether it moves at all.
        yields: [H] whether the actor has to give way to the ego, or is held by a light.
    """

    actor: NDArray[np.int64]
    positions: FloatArray
    headings: FloatArray
    speeds: FloatArray
    sizes: FloatArray
    moving: NDArray[np.bool_]
    yields: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.actor)


@dataclass(frozen=True, eq=False)
class Situation:
    """What the forecast has to know beside the actors.

    Attributes:
        city: the roads. signals: [S] colours now.
        ego_connectors: connectors that the ego is going to drive over, in order.
        standing_s: seconds that an actor has been standing, by id.
        ego_has_waited: the ego has waited so long that standing traffic is not expected to start any more.
    """

    city: CityMap
    signals: NDArray[np.int64]
    ego_connectors: Collection[int]
    standing_s: Mapping[str, float]
    ego_has_waited: bool = False


def forecast(actors: Actors, match: LaneMatch, situation: Situation) -> Forecasts:
    """Hypotheses for all actors (those near the ego): at least one each, in the order of the rows."""
    rows: list[int] = []
    tracks: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    yields: list[bool] = []
    kinds, speeds = kinds_of(actors), actors.speeds
    straight = _straight_on(actors, speeds)
    lengths = sizes_of(actors)[:, 0]
    for row, kind in enumerate(kinds):
        ways: list[tuple[tuple[FloatArray, FloatArray, FloatArray], bool]] = []
        parked = bool(actors.flags[row] & ActorFlag.PARKED)
        if kind.is_vehicle and not parked and match.lane[row] >= 0:
            ways = _along_lanes(actors, row, float(speeds[row]), match, situation, float(lengths[row]))
        if not ways:
            ways = [((straight[0][row], straight[1][row], straight[2][row]), False)]
        for track, gives_way in ways:
            rows.append(row)
            tracks.append(track)
            yields.append(gives_way)
    steps = len(TIMES_S)
    actor = np.asarray(rows, np.int64)
    every = [np.stack([t[part] for t in tracks]) if tracks else None for part in range(3)]
    positions = np.zeros((0, steps, 2)) if every[0] is None else every[0]
    headings = np.zeros((0, steps)) if every[1] is None else every[1]
    ahead = np.zeros((0, steps)) if every[2] is None else every[2]
    return Forecasts(
        actor, positions, headings, ahead, sizes_of(actors)[actor, :2],
        ahead.max(axis=1, initial=0.0) > STANDING_SPEED, np.asarray(yields, bool),
    )  # fmt: skip


def match_lanes(city: CityMap, actors: Actors) -> LaneMatch:
    """The lanes that actors drive on. Long vehicles are looked up by their fronts; `s` is that of their middles."""
    lengths = sizes_of(actors)[:, 0]
    ahead = np.where(lengths >= LONG_M, 0.5 * lengths, 0.0)
    nose = np.stack([np.cos(actors.headings), np.sin(actors.headings)], axis=1)
    match = lane_graph(city).match(actors.positions[:, :2] + ahead[:, None] * nose, actors.headings)
    return replace(match, s=match.s - ahead)


def _straight_on(actors: Actors, speeds: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Everybody on at their present velocity; people for as long as that can be believed."""
    times = np.broadcast_to(TIMES_S, (len(actors), len(TIMES_S)))
    people = np.array([kind is ActorKind.PEDESTRIAN for kind in kinds_of(actors)], bool)
    times = np.where(people[:, None], np.minimum(times, _PEDESTRIAN_BELIEF_S), times)
    still = speeds < STANDING_SPEED
    velocity = np.where(still[:, None], 0.0, actors.velocities)
    positions = actors.positions[:, None, :2] + velocity[:, None] * times[..., None]
    headings = np.broadcast_to(actors.headings[:, None], times.shape)
    return positions, headings, np.broadcast_to(np.where(still, 0.0, speeds)[:, None], times.shape)


def _along_lanes(
    actors: Actors, row: int, speed: float, match: LaneMatch, situation: Situation, length: float
) -> list[tuple[tuple[FloatArray, FloatArray, FloatArray], bool]]:
    graph = lane_graph(situation.city)
    lane = int(match.lane[row])
    chains = _likely(graph.chains(lane), int(actors.flags[row]), speed)
    across = float(
        actors.velocities[row] @ [-np.sin(match.heading[row]), np.cos(match.heading[row])]
        if speed > 1.0 and length < LONG_M
        else 0.0
    )
    s0 = float(match.s[row])
    lateral = _lateral(float(match.lateral[row]), across, situation.city.lanes[lane])
    changed = _indicated(situation.city.lanes[lane], s0, float(match.lateral[row]), int(actors.flags[row]), across)
    ways = []
    for chain in chains:
        stop, gives_way = _hold(chain, s0 + 0.5 * length, speed, situation)
        acceleration = float(actors.accelerations[row])
        motions = [_motion(speed, acceleration)]
        if stop is None and _goes_first(chain, s0, situation):
            if _may_start(speed, situation, actors.ids[row]):
                motions.append(_starting(speed, situation.city.lanes[lane].speed_limit))
            elif acceleration < -0.5:
                # It brakes for a reason that may be gone at any time.
                motions.append(_motion(speed, 0.0))
        for travelled, ahead in motions:
            moved, fast = travelled, ahead
            if stop is not None:
                room = max(stop - s0 - 0.5 * length, 0.0)
                fast = np.where(moved < room - 1e-6, fast, 0.0)
                moved = np.minimum(moved, room)
            for beside in (lateral,) if changed is None else (lateral, changed):
                positions, headings = _poses(chain, s0 + moved, beside, length)
                # From where it really is, onto the lane within some metres.
                rest = np.clip(1.0 - moved / (0.6 * length + 4.0), 0.0, 1.0)
                positions = positions + rest[:, None] * (actors.positions[row, :2] - positions[0])
                headings = headings + rest * wrap_angle(actors.headings[row] - headings[0])
                ways.append(((positions, headings, fast), gives_way))
    return ways


def _poses(chain: Chain, s: FloatArray, lateral: FloatArray, length: float) -> tuple[FloatArray, FloatArray]:
    """Middles [T, 2] and headings [T] of a body along a lane; a long one cuts its corners."""
    if length < LONG_M:
        return chain.at(s, lateral)
    front, _ = chain.at(s + 0.5 * length, lateral)
    rear, _ = chain.at(s - 0.25 * length, lateral)
    axis = front - rear
    heading = np.arctan2(axis[:, 1], axis[:, 0])
    return front - 0.5 * length * np.stack([np.cos(heading), np.sin(heading)], axis=1), heading


def _likely(chains: tuple[Chain, ...], flags: int, speed: float) -> tuple[Chain, ...]:
    """The ways that fit the indicators; all of them when none does."""
    if len(chains) == 1:
        return chains
    if flags & ActorFlag.LEFT:
        wanted: tuple[Turn, ...] = (Turn.LEFT, Turn.U_TURN)
    elif flags & ActorFlag.RIGHT:
        wanted = (Turn.RIGHT,)
    else:
        wanted = (Turn.STRAIGHT,)
    return tuple(chain for chain in chains if chain.turn in wanted) or chains


def _lateral(lateral: float, across: float, lane: Lane) -> FloatArray:
    """[T] m left of the lane's middle: on to the next lane's middle while changing, else as it is.

    In a bend bodies swing: where there is no lane to change to, sideways motion lasts for a moment only.
    """
    if abs(across) < CHANGING_SPEED:
        return np.full(len(TIMES_S), lateral)
    if lane.is_connector:
        return np.full(len(TIMES_S), lateral)
    if lateral * across > 0 and (lane.left if across > 0 else lane.right) < 0:
        return lateral + across * np.minimum(TIMES_S, _SWING_S)
    goal = np.copysign(_LANE_WIDTH_M, across) if lateral * across > 0 and abs(lateral) > 0.4 else 0.0
    moved = lateral + across * TIMES_S
    return np.minimum(moved, max(goal, lateral)) if across > 0 else np.maximum(moved, min(goal, lateral))


def _indicated(lane: Lane, s: float, lateral: float, flags: int, across: float) -> FloatArray | None:
    """[T] m left of the lane's middle if a vehicle changes to the lane that it indicates; None where it does not."""
    if lane.is_connector or abs(across) >= CHANGING_SPEED or lane.length - s < _TURN_INDICATED_M:
        return None
    if flags & ActorFlag.LEFT and not flags & ActorFlag.RIGHT and lane.left >= 0:
        goal = _LANE_WIDTH_M
    elif flags & ActorFlag.RIGHT and not flags & ActorFlag.LEFT and lane.right >= 0:
        goal = -_LANE_WIDTH_M
    else:
        return None
    return lateral + (goal - lateral) * np.clip(TIMES_S / _CHANGE_S, 0.0, 1.0)


def _motion(speed: float, acceleration: float) -> tuple[FloatArray, FloatArray]:
    """[T] distances and speeds: braking goes on for two seconds, a start for one."""
    if speed < STANDING_SPEED and acceleration < 0.3:
        return np.zeros(len(TIMES_S)), np.zeros(len(TIMES_S))
    acceleration = float(np.clip(acceleration, -6.0, 2.5))
    lasting = np.minimum(TIMES_S, 2.0 if acceleration < -0.5 else 1.0)
    speeds = np.maximum(speed + acceleration * lasting, 0.0)
    return _travelled(speeds), speeds


def _starting(speed: float, limit: float) -> tuple[FloatArray, FloatArray]:
    speeds = np.minimum(speed + _STARTING_ACCELERATION * TIMES_S, max(limit, speed))
    return _travelled(speeds), speeds


def _travelled(speeds: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(0.5 * (speeds[1:] + speeds[:-1]) * FORECAST_STEP_S)])


def _hold(chain: Chain, front_s: float, speed: float, situation: Situation) -> tuple[float | None, bool]:
    """Where the front has to stop on a chain (a light, or the ego's right of way), when it still can."""
    lanes = situation.city.lanes
    for lane, start in zip(chain.lanes, chain.starts, strict=True):
        room = start - front_s
        if room > 60.0:
            break
        connector = lanes[lane]
        if not connector.is_connector or room < -1.0:
            continue
        color = situation.signals[connector.signal] if 0 <= connector.signal < len(situation.signals) else None
        held = color in (SignalColor.RED, SignalColor.YELLOW)
        gives_way = not held and any(c in connector.yields_to for c in situation.ego_connectors)
        if (held or gives_way) and speed**2 / (2 * _TRUSTED_BRAKING) <= max(room, 0.0) + 0.5:
            return start, True
    return None, False


def _may_start(speed: float, situation: Situation, name: str) -> bool:
    """Slow, and not standing for so long that it seems to wait for the ego."""
    return speed < 5.0 and situation.standing_s.get(name, 0.0) <= (1.5 if situation.ego_has_waited else 6.0)


def _goes_first(chain: Chain, s0: float, situation: Situation) -> bool:
    """Whether a vehicle is before (or in) a junction in which the ego must give way to it."""
    lanes = situation.city.lanes
    over = {c for mine in situation.ego_connectors for c in lanes[mine].yields_to}
    return any(
        lane in over and start - s0 < 25.0 and start + lanes[lane].length > s0
        for lane, start in zip(chain.lanes, chain.starts, strict=True)
    )
