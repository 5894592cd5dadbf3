"""Going around what stands in the way: how far to the side, from where to where, and whether it is worth it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EGO_SIZE_LWH
from aln_p3_core.world.planners.drive_path import PATH_STEP_M
from aln_p3_core.world.planners.lane_graph import lane_graph
from aln_p3_core.world.planners.planner import Cause, Observation
from aln_p3_core.world.planners.stop_lines import FRONT_M, REAR_M, waits_at_junction
from aln_p3_core.world.planners.surroundings import STANDING, Surroundings, standing_cause
from aln_p3_core.world.route import Route

#: m between the car's side and what it passes: wanted, and at least.
SIDE_GAP_M = 0.55
LEAST_SIDE_GAP_M = 0.3
#: Obstacles nearer to each other along the route than this are passed in one go, m.
_TOGETHER_M = 16.0
#: A swerve whose offset differs by less, m, goes on as it is.
_SAME_M = 0.25
_LOOK_M = 60.0
#: Seconds that a driven vehicle must have been standing before it is gone around; a bus at its stop.
_PATIENCE_S = 5.0
_BUS_PATIENCE_S = 6.0
#: The same, where the way around leads over the opposite lane.
_OPPOSITE_PATIENCE_S = 14.0
#: 1/m: sharpest bend of a swerve at walking pace. m/s^2 across the car at speed.
_SHARPEST = 0.16
_SWERVE_ACCELERATION = 1.1
#: A swerve by more than this, m, is driven no faster than this, m/s.
_WIDE_M = 1.0
PASSING_SPEED = 9.0
#: Farther out the middle of the car is in the next lane, m.
_OWN_SIDE_M = 1.68
_LANE_HALF_M = 1.75
_HALF_WIDTH_M = EGO_SIZE_LWH[1] / 2


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that stands, in the route's coordinates: from where to where along and beside it, m."""

    row: int
    begin_s: float
    end_s: float
    right: float
    left: float


@dataclass(frozen=True, slots=True)
class Swerve:
    """A way around: `offset` m left of the route between two places, with ramps before and behind.

    Attributes:
        offset: m. begins_at: m left of the route where it begins (another one may be under way there).
        start_s: where the first ramp begins. full_s: where it is over. end_s: where the second begins.
        done_s: where the car is back. actor_id, cause: what it goes around first.
    """

    offset: float
    begins_at: float
    start_s: float
    full_s: float
    end_s: float
    done_s: float
    actor_id: str
    cause: Cause

    @property
    def back_s(self) -> float:
        """m along the route where the car is as good as back."""
        return 0.4 * self.end_s + 0.6 * self.done_s

    def slows(self, s: FloatArray) -> NDArray[np.bool_]:
        """Where along the route the car does not drive faster than `PASSING_SPEED`."""
        wide: NDArray[np.bool_] = (s >= self.start_s) & (s <= self.back_s) & (abs(self.offset) > _WIDE_M)
        return wide

    def lateral(self, s: FloatArray) -> FloatArray:
        """m left of the route at arc lengths."""
        into = _smooth((s - self.start_s) / max(self.full_s - self.start_s, 1e-6))
        out = _smooth((s - self.end_s) / max(self.done_s - self.end_s, 1e-6))
        lateral: FloatArray = (self.begins_at + (self.offset - self.begins_at) * into) * (1.0 - out)
        return lateral


def wanted_lateral(swerve: Swerve | None, route_s: float, length_m: float) -> FloatArray | None:
    """[K] m left of the route as `drive_path` wants it; None on the route."""
    if swerve is None:
        return None
    return swerve.lateral(route_s + PATH_STEP_M * np.arange(int(length_m / PATH_STEP_M) + 1))


def obstacles(around: Surroundings, route: Route, route_s: float) -> list[Obstacle]:
    """Everything that stands within a few metres of the route ahead, in order."""
    still = np.array([_stands(around, row) for row in range(len(around.kinds))], bool)
    rows = np.flatnonzero(still & (around.offsets[:, 0] > -12.0) & (around.offsets[:, 0] < _LOOK_M + 15.0))
    if not len(rows):
        return []
    window = (route.s > route_s - 15.0) & (route.s < route_s + _LOOK_M + 20.0)
    points, s, headings = route.points[window], route.s[window], route.headings[window]
    heading = around.actors.headings[rows]
    nose = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    side = np.stack([-nose[:, 1], nose[:, 0]], axis=1)
    half = around.sizes[rows] / 2
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1], [1, 0], [-1, 0], [0, 1], [0, -1]], float)
    corners = (
        around.actors.positions[rows, None, :2]
        + signs[None, :, :1] * half[:, None, :1] * nose[:, None]
        + signs[None, :, 1:] * half[:, None, 1:] * side[:, None]
    )
    nearest = ((corners[:, :, None] - points) ** 2).sum(axis=-1).argmin(axis=-1)
    delta = corners - points[nearest]
    cos, sin = np.cos(headings[nearest]), np.sin(headings[nearest])
    along = s[nearest] + delta[..., 0] * cos + delta[..., 1] * sin
    across = delta[..., 1] * cos - delta[..., 0] * sin
    found = [
        Obstacle(int(row), float(a.min()), float(a.max()), float(c.min()), float(c.max()))
        for row, a, c in zip(rows, along, across, strict=True)
        if c.min() < 8.0 and c.max() > -8.0
    ]
    return sorted(found, key=lambda o: o.begin_s)


def blocking(found: Sequence[Obstacle], around: Surroundings, observation: Observation) -> list[Obstacle]:
    """The first group of obstacles that stand in the way and may be gone around."""
    route_s = observation.route_s
    reach = _HALF_WIDTH_M + LEAST_SIDE_GAP_M
    group: list[Obstacle] = []
    for obstacle in found:
        if obstacle.left < -reach or obstacle.right > reach:
            continue
        if obstacle.end_s < route_s - REAR_M or obstacle.begin_s > route_s + _LOOK_M:
            continue
        if group and obstacle.begin_s > max(o.end_s for o in group) + _TOGETHER_M:
            break
        if not _may_be_passed(obstacle, around, observation):
            break
        group.append(obstacle)
    return group


def ways_around(
    group: Sequence[Obstacle],
    found: Sequence[Obstacle],
    around: Surroundings,
    observation: Observation,
    current: Swerve | None,
) -> list[Swerve]:
    """Swerves past a group that stay on the road and clear of everything that stands, the best first.

    Smaller ones are better, and those on the side of the `current` one.
    """
    route_s, speed = observation.route_s, max(observation.state.ego.speed, 0.0)
    begin, end = min(o.begin_s for o in group), max(o.end_s for o in group)
    row = min(group, key=lambda o: o.begin_s).row
    base = 0.0 if current is None else float(current.lateral(np.array(route_s)))
    full, back = begin - FRONT_M - 0.5, end + REAR_M + 0.5
    # Into the opposite lane only for what will not move, or has not for long.
    patient = all(_stays(o.row, around) for o in group)
    ways: list[tuple[float, Swerve]] = []
    for gap, narrow in ((SIDE_GAP_M, 0.0), (0.5 * (SIDE_GAP_M + LEAST_SIDE_GAP_M), 1.0), (LEAST_SIDE_GAP_M, 2.0)):
        left = max(o.left for o in group) + _HALF_WIDTH_M + gap
        right = min(o.right for o in group) - _HALF_WIDTH_M - gap
        for offset in (left, right):
            kept = current is not None and abs(offset - current.offset) < _SAME_M
            if current is not None and kept:
                end_s = max(back, current.full_s)
                done_s = max(end_s + _ramp(abs(current.offset), speed), min(current.done_s, end_s + 25.0))
                swerve = replace(current, end_s=end_s, done_s=done_s)
            else:
                length = _ramp(abs(offset - base), speed)
                start = max(full - length, route_s)
                over = max(full, start + 0.75 * _ramp(abs(offset - base), min(speed, 2.0)))
                end_s = max(back, over)
                swerve = Swerve(
                    offset, base, start, over, end_s, end_s + _ramp(abs(offset), speed),
                    around.actors.ids[row], standing_cause(around, row),
                )  # fmt: skip
            same_side = current is not None and (offset > 0) == (current.offset > 0)
            opposite = abs(offset) > _OWN_SIDE_M and not _on_own_side(swerve, observation)
            if opposite and not patient:
                continue
            if _has_room(swerve, observation.route, found, observation.city):
                cost = narrow + (8.0 if opposite else 0.0) - (6.0 if same_side else 0.0) - (4.0 if kept else 0.0)
                ways.append((abs(offset) + cost, swerve))
    return [swerve for _, swerve in sorted(ways, key=lambda way: way[0])]


def meets_oncoming(swerve: Swerve, around: Surroundings, observation: Observation, leaves_s: float) -> bool:
    """Whether somebody comes the other way, on the swerve's track, before the car has left it in `leaves_s` seconds.

    Looks farther ahead than the forecasts: who swerves into the opposite lane must be back in time.
    """
    reach = _HALF_WIDTH_M + 0.3
    oncoming = (np.abs(around.turned) > 2.3) & (around.speeds > 1.0) & (around.offsets[:, 0] > 0.0) & ~around.parked
    for row in np.flatnonzero(oncoming):
        if around.offsets[row, 0] > 180.0 or not around.kinds[row].is_vehicle:
            continue
        place = around.actors.positions[row, :2]
        s, lateral = observation.route.project(place, observation.route_s + float(around.offsets[row, 0]), 60.0)
        half = 0.5 * float(around.sizes[row, 1])
        if lateral + half < swerve.offset - reach or lateral - half > swerve.offset + reach:
            continue
        if s > swerve.full_s and (s - swerve.back_s) / float(around.speeds[row]) < leaves_s + 1.0:
            return True
    return False


def _has_room(swerve: Swerve, route: Route, found: Sequence[Obstacle], city: CityMap) -> bool:
    """On the road with the whole body, and past everything that stands."""
    s = np.arange(swerve.full_s, swerve.end_s + FRONT_M, 1.0)
    for side in (-_HALF_WIDTH_M, _HALF_WIDTH_M):
        places, _ = route.pose_at(s, swerve.offset + side)
        if not shapely.contains_xy(city.drivable, places[:, 0], places[:, 1]).all():
            return False
    reach = _HALF_WIDTH_M + LEAST_SIDE_GAP_M - 0.05
    return not any(
        o.end_s > swerve.full_s
        and o.begin_s < swerve.end_s + FRONT_M
        and o.left > swerve.offset - reach
        and o.right < swerve.offset + reach
        for o in found
    )


def _on_own_side(swerve: Swerve, observation: Observation) -> bool:
    """Whether the middle of the car is in a lane that leads its way."""
    middle = np.array([0.5 * (swerve.full_s + swerve.end_s)])
    place, heading = observation.route.pose_at(middle, swerve.offset)
    match = lane_graph(observation.city).match(place, heading)
    return bool(match.lane[0] >= 0 and abs(match.lateral[0]) < _LANE_HALF_M)


def _stays(row: int, around: Surroundings) -> bool:
    stands = around.standing_s.get(around.actors.ids[row], 0.0) > _OPPOSITE_PATIENCE_S
    return bool(around.kinds[row].is_static or around.parked[row] or stands)


def _ramp(offset: float, speed: float) -> float:
    """m along the route within which the car moves aside by `offset`."""
    speed = float(np.clip(speed, 0.5, PASSING_SPEED if offset > _WIDE_M else np.inf))
    bend = min(_SHARPEST, _SWERVE_ACCELERATION / speed**2)
    return float(max(np.sqrt(6.0 * offset / bend), 4.0))


def _smooth(u: FloatArray) -> FloatArray:
    t = np.clip(u, 0.0, 1.0)
    smooth: FloatArray = t * t * (3 - 2 * t)
    return smooth


def _stands(around: Surroundings, row: int) -> bool:
    return bool(around.kinds[row].is_static or around.parked[row] or around.speeds[row] < STANDING)


def _may_be_passed(obstacle: Obstacle, around: Surroundings, observation: Observation) -> bool:
    """Parked cars and works at once; who may drive on any moment only after a while, and never in a queue."""
    row = obstacle.row
    kind = around.kinds[row]
    if kind.is_static or around.parked[row]:
        return True
    if kind is ActorKind.PEDESTRIAN:
        return around.standing_s.get(around.actors.ids[row], 0.0) > 4.0
    patience = _BUS_PATIENCE_S if kind is ActorKind.BUS else _PATIENCE_S
    if around.standing_s.get(around.actors.ids[row], 0.0) < patience:
        return False
    if around.held[row]:
        return False
    if kind is not ActorKind.BUS and waits_at_junction(observation.route, obstacle.begin_s, obstacle.end_s):
        return False
    return not _queues(around, row)


def _queues(around: Surroundings, row: int) -> bool:
    """Whether somebody stands closely ahead of a vehicle in its lane."""
    actors = around.actors
    delta = actors.positions[:, :2] - actors.positions[row, :2]
    cos, sin = np.cos(actors.headings[row]), np.sin(actors.headings[row])
    ahead = delta[:, 0] * cos + delta[:, 1] * sin
    beside = np.abs(delta[:, 1] * cos - delta[:, 0] * sin)
    driven = np.array([kind.is_vehicle for kind in around.kinds]) & ~around.parked
    near = (ahead > 1.0) & (ahead < 0.5 * around.sizes[row, 0] + 12.0) & (beside < 1.5) & driven
    return bool(near.any())
