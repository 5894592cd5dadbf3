"""Agents of a recorded log as the world shows them: their paths, the models that stand for them, their lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.traffic.looks import REST_SPEED, model_of_size, paint_of
from aln_p3_core.world.traffic.recorded_log import RecordedLog
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

#: An agent that never gets farther than this from where it was first seen stands still.
STANDING_M = 1.0
#: Indicators are lit this long before and during a turn.
_INDICATOR_S = 2.5
_TURN_RAD = 0.35

_CYCLES = {"vehicle.motorcycle": ActorKind.MOTORCYCLE, "vehicle.bicycle": ActorKind.BICYCLE}
_BY_TYPE = {
    "VEHICLE": (ActorKind.CAR, ActorKind.VAN),
    "PEDESTRIAN": (ActorKind.PEDESTRIAN,),
    "CYCLIST": (ActorKind.BICYCLE,),
    "TRAFFIC_CONE": (ActorKind.CONE,),
    "TRAFFIC_BARRIER": (ActorKind.BARRIER,),
}


def kinds_for(track_type: str, category: str) -> tuple[ActorKind, ...]:
    """Kinds of models that may stand for a track; empty for what the world has no model of (animals, debris)."""
    if category in _CYCLES:
        return (_CYCLES[category],)
    if category.startswith("vehicle.bus"):
        return (ActorKind.BUS,)
    if category in ("vehicle.truck", "vehicle.construction", "vehicle.trailer"):
        return (ActorKind.TRUCK,)
    return _BY_TYPE.get(track_type, ())


@dataclass(frozen=True, eq=False)
class LogTrack:
    """One agent as recorded, over the steps at which it was seen. K = those steps.

    Attributes:
        id: the source's. model: index into `MODELS`. color: RGB.
        first: step of the log at which it is first seen.
        positions: [K, 2] middle of the box. headings: [K] rad, continuous. velocities: [K, 2] m/s.
        travelled: [K] m along the path; standing agents whose annotation wanders gain nothing.
        accelerations: [K] m/s^2 along the heading. flags: [K] `ActorFlag` bits.
        moves: whether it ever does.
    """

    id: str
    model: int
    color: tuple[int, int, int]
    first: int
    positions: FloatArray
    headings: FloatArray
    velocities: FloatArray
    travelled: FloatArray
    accelerations: FloatArray
    flags: NDArray[np.int64]
    moves: bool

    @property
    def kind(self) -> ActorKind:
        """What stands for it."""
        return MODELS[self.model].kind

    @property
    def last(self) -> int:
        """Step of the log at which it is last seen."""
        return self.first + len(self.headings) - 1

    @property
    def length_m(self) -> float:
        """Of its path."""
        return float(self.travelled[-1])

    def row_at(self, s: float) -> float:
        """Fractional row at which it has travelled `s` metres."""
        return float(np.interp(s, self.travelled, np.arange(len(self.travelled))))

    def pose_at_row(self, row: float) -> FloatArray:
        """[3] x, y, heading at a fractional row."""
        before = int(row)
        after = min(before + 1, len(self.headings) - 1)
        f = row - before
        x, y = (1 - f) * self.positions[before] + f * self.positions[after]
        return np.array([x, y, (1 - f) * self.headings[before] + f * self.headings[after]])

    def path_ahead(self, s: float, distances: FloatArray) -> FloatArray:
        """[P, 3] x, y, heading at distances ahead of `s`; straight on beyond the recorded path."""
        along = s + distances
        rows = np.interp(along, self.travelled, np.arange(len(self.travelled)))
        poses = np.array([self.pose_at_row(float(row)) for row in rows])
        beyond = np.maximum(along - self.length_m, 0.0)
        poses[:, 0] += beyond * np.cos(poses[:, 2])
        poses[:, 1] += beyond * np.sin(poses[:, 2])
        return poses


def make_tracks(log: RecordedLog, city: CityMap) -> list[LogTrack]:
    """Every agent of a log that the world has a model for, the ego left out."""
    rows = range(1, len(log.ids))
    return [_make_track(log, row, city) for row in rows if _is_shown(log, row)]


def _is_shown(log: RecordedLog, row: int) -> bool:
    return bool(kinds_for(log.types[row], log.categories[row])) and bool(log.valid[row].any())


def _make_track(log: RecordedLog, row: int, city: CityMap) -> LogTrack:
    name, category = log.ids[row], log.categories[row]
    child = category == "human.pedestrian.child"
    model = model_of_size(kinds_for(log.types[row], category), log.sizes[row], name, child=child)
    kind = MODELS[model].kind
    seen = np.flatnonzero(log.valid[row])
    steps = np.arange(seen[0], seen[-1] + 1)
    # A gap in the middle is bridged in a straight line.
    times = log.times
    positions = np.column_stack([np.interp(times[steps], times[seen], log.positions[row, seen, a]) for a in (0, 1)])
    turned = np.interp(times[steps], times[seen], np.unwrap(log.headings[row, seen]))
    velocities = np.column_stack([np.interp(times[steps], times[seen], log.velocities[row, seen, a]) for a in (0, 1)])
    moves = not kind.is_static and bool(np.linalg.norm(positions - positions[0], axis=1).max() > STANDING_M)
    if not moves:
        velocities = np.zeros_like(velocities)
    speeds = np.linalg.norm(velocities, axis=1)
    moved = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    # Annotations of somebody who stands wander by centimetres: no walking on the spot.
    moved = np.where(0.5 * (speeds[1:] + speeds[:-1]) > REST_SPEED, moved, 0.0)
    travelled = np.concatenate([[0.0], np.cumsum(moved)])
    along = velocities[:, 0] * np.cos(turned) + velocities[:, 1] * np.sin(turned)
    accelerations = _smooth(np.gradient(along, TRAFFIC_STEP_S)) if len(along) > 1 else np.zeros(1)
    return LogTrack(
        id=name,
        model=model,
        color=paint_of(kind, name),
        first=int(steps[0]),
        positions=positions,
        headings=turned,
        velocities=velocities,
        travelled=travelled,
        accelerations=accelerations,
        flags=_flags(kind, moves, positions, turned, speeds, accelerations, city),
        moves=moves,
    )


def _smooth(values: FloatArray, width: int = 5) -> FloatArray:
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")


def _flags(
    kind: ActorKind,
    moves: bool,
    positions: FloatArray,
    headings: FloatArray,
    speeds: FloatArray,
    accelerations: FloatArray,
    city: CityMap,
) -> NDArray[np.int64]:
    """[K] `ActorFlag` bits. Lamps were not recorded: braking and turning (within `_INDICATOR_S`) light them."""
    flags = np.zeros(len(headings), np.int64)
    if not kind.is_vehicle:
        return flags
    cycle = kind in (ActorKind.MOTORCYCLE, ActorKind.BICYCLE)
    if not moves and (cycle or not _in_lane(city, positions[0], float(headings[0]))):
        return flags | int(ActorFlag.PARKED)
    if cycle:
        flags |= int(ActorFlag.RIDER)
    flags[(accelerations < -0.6) | (speeds < 0.1)] |= int(ActorFlag.BRAKE)
    later = np.minimum(np.arange(len(headings)) + round(_INDICATOR_S / TRAFFIC_STEP_S), len(headings) - 1)
    turn = headings[later] - headings
    flags[(turn > _TURN_RAD) & moves] |= int(ActorFlag.LEFT)
    flags[(turn < -_TURN_RAD) & moves] |= int(ActorFlag.RIGHT)
    return flags


def _in_lane(city: CityMap, xy: FloatArray, heading: float) -> bool:
    """Whether a vehicle stands in a lane, along it."""
    for index in city.lanes_near(xy, 1.3):
        line = city.lanes[index].centerline
        middle = 0.5 * (line[:-1] + line[1:])
        nearest = int(((middle - xy) ** 2).sum(axis=1).argmin())
        delta = line[nearest + 1] - line[nearest]
        if abs(float(wrap_angle(np.arctan2(delta[1], delta[0]) - heading))) < 0.5:
            return True
    return False
