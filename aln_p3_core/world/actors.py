"""Everybody and everything that stands or moves in the world but the ego: `Actors`, one instant of them.

World frame: x east, y north, z up, metres; flat ground at z = 0. Headings are radians counter-clockwise from +x.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntFlag

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, wrap_angle


class ActorKind(Enum):
    """What an actor is; the value is its nuScenes category."""

    CAR = "vehicle.car"
    VAN = "vehicle.car#van"
    TRUCK = "vehicle.truck"
    BUS = "vehicle.bus.rigid"
    MOTORCYCLE = "vehicle.motorcycle"
    BICYCLE = "vehicle.bicycle"
    PEDESTRIAN = "human.pedestrian.adult"
    CONE = "movable_object.trafficcone"
    BARRIER = "movable_object.barrier"

    @property
    def category(self) -> str:
        """nuScenes category, such as "vehicle.car" (a van counts as a car there)."""
        return self.value.partition("#")[0]

    @property
    def detection_class(self) -> str:
        """Class of the nuScenes detection benchmark, such as "car" or "traffic_cone"."""
        name = self.category.split(".")[1]
        return {"trafficcone": "traffic_cone", "adult": "pedestrian"}.get(name, name)

    @property
    def is_vehicle(self) -> bool:
        """Drives on the road: cars to bicycles."""
        return self.value.startswith("vehicle.")

    @property
    def is_static(self) -> bool:
        """Never moves: cones and barriers."""
        return self.value.startswith("movable_object.")


class ActorFlag(IntFlag):
    """What can be seen or said of an actor beside its motion."""

    BRAKE = 1  # brake lights are lit
    LEFT = 2  # left indicator
    RIGHT = 4  # right indicator
    PARKED = 8  # a vehicle without a driver
    RIDER = 16  # somebody sits on the cycle
    SITTING = 32  # a pedestrian who sits


@dataclass(frozen=True, eq=False)
class Actors:
    """Actors at one instant, one row each. N = number of actors.

    Attributes:
        ids: unique names, the same as long as the actor exists.
        models: [N] int, index into `assets.catalogue.MODELS`: kind, mesh, size.
        positions: [N, 3] middle of the footprint on the ground, world frame, m.
        headings: [N] rad.
        velocities: [N, 2] m/s, world frame.
        accelerations: [N] m/s^2 along the heading.
        colors: [N, 3] uint8 RGB, the paint of those that are painted.
        phases: [N] rad: the walking or pedalling cycle.
        flags: [N] int, bits of `ActorFlag`.
    """

    ids: tuple[str, ...]
    models: NDArray[np.int64]
    positions: FloatArray
    headings: FloatArray
    velocities: FloatArray
    accelerations: FloatArray
    colors: NDArray[np.uint8]
    phases: FloatArray
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def speeds(self) -> FloatArray:
        """[N] m/s, never negative."""
        return np.linalg.norm(self.velocities, axis=1)

    def select(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Actors:
        """The named rows (indices or a mask), in that order."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        arrays = {name: getattr(self, name)[index] for name in _ARRAYS}
        return Actors(ids=tuple(self.ids[i] for i in index), **arrays)

    def near(self, xy: FloatArray, radius_m: float) -> Actors:
        """Those within `radius_m` of a place [2]."""
        offset = self.positions[:, :2] - np.asarray(xy)[:2]
        return self.select((offset**2).sum(axis=1) <= radius_m**2)


_ARRAYS = ("models", "positions", "headings", "velocities", "accelerations", "colors", "phases", "flags")


def make_actors(
    ids: Sequence[str],
    models: Sequence[int] | NDArray[np.integer],
    positions: object,
    headings: object,
    *,
    velocities: object = None,
    accelerations: object = None,
    colors: object = None,
    phases: object = None,
    flags: object = None,
) -> Actors:
    """Builds `Actors` from lists; what is left out is zero (grey for the colour). Positions may be [N, 2]."""
    count = len(ids)
    place = np.asarray(positions, dtype=np.float64).reshape(count, -1) if count else np.zeros((0, 3))
    if place.shape[1] == 2:
        place = np.column_stack([place, np.zeros(count)])

    def filled(value: object, shape: tuple[int, ...], dtype: type, default: float = 0) -> NDArray:
        if value is None:
            return np.full(shape, default, dtype)
        return np.asarray(value, dtype=dtype).reshape(shape)

    return Actors(
        ids=tuple(ids),
        models=np.asarray(models, dtype=np.int64).reshape(count),
        positions=place,
        headings=np.asarray(headings, dtype=np.float64).reshape(count),
        velocities=filled(velocities, (count, 2), np.float64),
        accelerations=filled(accelerations, (count,), np.float64),
        colors=filled(colors, (count, 3), np.uint8, 128),
        phases=filled(phases, (count,), np.float64),
        flags=filled(flags, (count,), np.int64),
    )


def no_actors() -> Actors:
    """An empty street."""
    return make_actors([], [], [], [])


def join_actors(groups: Iterable[Actors]) -> Actors:
    """All actors of several groups, in order."""
    parts = [group for group in groups if len(group)]
    if not parts:
        return no_actors()
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    return Actors(ids=tuple(i for part in parts for i in part.ids), **arrays)


def interpolate_actors(earlier: Actors, later: Actors, fraction: float, span_s: float) -> Actors:
    """Actors between two instants, in the rows of `later`: row k here is row k of `later`.

    Args:
        earlier, later: the two instants.
        fraction: 0 gives the places of `earlier`, 1 those of `later`.
        span_s: seconds between the two. Who is only in `later` is moved back along its velocity.
    """
    if fraction >= 1.0 or not len(later):
        return later
    row_of = {name: row for row, name in enumerate(earlier.ids)}
    rows = np.array([row_of.get(name, -1) for name in later.ids])
    known = rows >= 0
    back = 1.0 - fraction
    positions = later.positions.copy()
    positions[:, :2] -= later.velocities * (back * span_s)
    headings = later.headings.copy()
    phases = later.phases.copy()
    old = rows[known]
    positions[known] = fraction * later.positions[known] + back * earlier.positions[old]
    headings[known] = earlier.headings[old] + fraction * wrap_angle(later.headings[known] - earlier.headings[old])
    phases[known] = earlier.phases[old] + fraction * wrap_angle(later.phases[known] - earlier.phases[old])
    velocities = later.velocities.copy()
    velocities[known] = fraction * later.velocities[known] + back * earlier.velocities[old]
    return replace(later, positions=positions, headings=wrap_angle(headings), phases=phases, velocities=velocities)
