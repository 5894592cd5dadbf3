"""Actors that follow a script: a path, and phases that end when the ego comes near, after a while, or at a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import atan2, cos, sin

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag, Actors
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH, EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.traffic.body_tracker import is_walker
from aln_p3_core.world.traffic.following import idm_acceleration
from aln_p3_core.world.traffic.footprint import ego_half, ego_overlaps, first_blocked, to_box_frame
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

NO_FLAGS = ActorFlag(0)
_FRONT_M = EGO_CENTER_AHEAD_M + EGO_SIZE_LWH[0] / 2
#: How fast a gap to the ego that is too large or too small is made good, 1/s.
_GAP_RATE = 0.8
#: A path is blocked when something comes this close to the side of the body that follows it, m.
_CLEARANCE_M = 0.25
_PARKED_CLEARANCE_M = 0.0
#: Nobody who follows a script comes nearer to the ego than this, m.
_TOUCH_M = 0.3
_RANGE_M = 60.0
_WALK_SPEEDS = (0.8, 3.2)
_CYCLE_SPEEDS = (2.0, 6.0)
#: People on foot reach their speed with, m/s^2.
_WALK_ACCELERATION = 4.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """Ends a phase as soon as one of these is so; never, when all are None.

    Attributes:
        after_s: the phase lasts so long, s.
        at_s: the actor is so far along its path, m.
        ego_reaches: the ego's front bumper is so far along its own route, m.
        ego_stops_at: (place, reaction, braking): the ego is as near to a place on its route (m) as it must be to
            stop just before it, when it brakes with `braking` m/s^2 after `reaction` seconds.
        ego_stands_s: the ego has stood for so long, s.
    """

    after_s: float | None = None
    at_s: float | None = None
    ego_reaches: float | None = None
    ego_stops_at: tuple[float, float, float] | None = None
    ego_stands_s: float | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a script.

    Attributes:
        speed: wanted, m/s; None keeps the speed that the actor has.
        gap_m: rather keep so far ahead of the ego along the path (from its front to the own rear bumper; negative:
            overlapping); `speed` is the least speed then.
        meets_at: instead of `speed`: be at (own place, ego's place) along the two paths, m, together with the ego's
            front bumper, if the ego keeps its speed; reckoned when the phase begins.
        top_speed: with `gap_m`, m/s.
        acceleration, braking: m/s^2.
        lateral_m: moves over to this offset from the path (left positive). lateral_s: within so long.
        heedless: takes no notice of others (but nobody drives into the ego).
        flags: shown beside BRAKE.
        until: ends it.
    """

    speed: float | None = None
    gap_m: float | None = None
    meets_at: tuple[float, float] | None = None
    top_speed: float = 14.0
    acceleration: float = 1.8
    braking: float = 2.5
    lateral_m: float | None = None
    lateral_s: float = 3.0
    heedless: bool = False
    flags: ActorFlag = NO_FLAGS
    until: Trigger = Trigger()


@dataclass(frozen=True, eq=False)
class Script:
    """What an actor will do.

    Attributes:
        id: unique. model: index into `MODELS`.
        path: of the middle of its footprint.
        phases: in order; the last one goes on for good, unless the actor is set free.
        start_s, lateral_m, speed: along and beside the path, and m/s, at time 0.
        flags: shown all the time.
        edges: SUMO edges that a vehicle drives along once it is set free after its last phase; with none it is never
            set free.
    """

    id: str
    model: int
    path: Route
    phases: tuple[Phase, ...]
    start_s: float = 0.0
    lateral_m: float = 0.0
    speed: float = 0.0
    flags: ActorFlag = NO_FLAGS
    edges: tuple[str, ...] = ()


@dataclass
class ScriptedActor:
    """An actor on the way through its script.

    Attributes:
        script: what it does. s, lateral: m along and beside the path. speed, acceleration: m/s, m/s^2.
        x, y, heading: of its middle, m and rad. phase: number of the present phase. free: the script is over.
    """

    script: Script
    s: float = 0.0
    lateral: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    phase: int = 0
    free: bool = False
    _phase_s: float = 0.0
    _lateral_from: float = 0.0
    _meeting_speed: float = 0.0
    _ego_stood_s: float = 0.0
    _entered: bool = field(default=False)

    @classmethod
    def begin(cls, script: Script) -> ScriptedActor:
        """At its place of time 0."""
        actor = cls(script, script.start_s, script.lateral_m, script.speed)
        actor._pose(0.0)
        actor._lateral_from = script.lateral_m
        return actor

    @property
    def flags(self) -> ActorFlag:
        """What it shows."""
        flags = self.script.flags | self.script.phases[self.phase].flags
        is_vehicle = MODELS[self.script.model].kind.is_vehicle
        if is_vehicle and (self.acceleration < -0.6 or (self.speed < 0.1 and not flags & ActorFlag.PARKED)):
            flags |= ActorFlag.BRAKE
        return flags

    def step(self, ego: EgoState, ego_front_s: float, others: Actors) -> None:
        """One traffic step on.

        Args:
            ego: the ego now. ego_front_s: its front bumper along its route, m.
            others: everybody else now (oneself included or not).
        """
        self._ego_stood_s = self._ego_stood_s + TRAFFIC_STEP_S if abs(ego.speed) < 0.2 else 0.0
        while not self.free and self._over(ego, ego_front_s):
            if self.phase + 1 < len(self.script.phases):
                self.phase += 1
            else:
                # Without streets to drive on, the last phase goes on.
                self.free = bool(self.script.edges)
                break
            self._phase_s, self._lateral_from, self._entered = 0.0, self.lateral, False
        phase = self.script.phases[self.phase]
        if not self._entered:
            self._entered = True
            if phase.meets_at is not None:
                self._meeting_speed = self._speed_to_meet(phase.meets_at, ego, ego_front_s)
        self._move(phase, ego, others)
        self._phase_s += TRAFFIC_STEP_S

    def _over(self, ego: EgoState, ego_front_s: float) -> bool:
        until = self.script.phases[self.phase].until
        if until.ego_stops_at is not None:
            place, reaction, braking = until.ego_stops_at
            if place - ego_front_s <= ego.speed * reaction + ego.speed**2 / (2 * braking):
                return True
        return (
            (until.after_s is not None and self._phase_s >= until.after_s - 1e-9)
            or (until.at_s is not None and self.s >= until.at_s)
            or (until.ego_reaches is not None and ego_front_s >= until.ego_reaches)
            or (until.ego_stands_s is not None and self._ego_stood_s >= until.ego_stands_s - 1e-9)
        )

    def _speed_to_meet(self, places: tuple[float, float], ego: EgoState, ego_front_s: float) -> float:
        own, egos = places
        time_s = max(egos - ego_front_s, 0.0) / max(ego.speed, 1.0)
        on_foot = is_walker(self.script.model)
        low, high = _WALK_SPEEDS if on_foot else _CYCLE_SPEEDS
        # It takes a while to get up to speed: distance = v t - v^2 / 2 a.
        gain = _WALK_ACCELERATION if on_foot else self.script.phases[self.phase].acceleration
        root = time_s**2 - 2 * (own - self.s) / gain
        return float(np.clip(gain * (time_s - np.sqrt(max(root, 0.0))), low, high))

    def _wanted(self, phase: Phase, ego: EgoState) -> float:
        if phase.meets_at is not None:
            return self._meeting_speed
        if phase.gap_m is None:
            return self.speed if phase.speed is None else phase.speed
        rear = self.s - MODELS[self.script.model].size_lwh[0] / 2
        front, _ = self.script.path.project(ego.xy, self.s)
        lack = phase.gap_m - (rear - front - _FRONT_M)
        # The gap is kept while the ego accelerates, too.
        coming = ego.speed + max(ego.acceleration, 0.0) * TRAFFIC_STEP_S
        return float(np.clip(coming + _GAP_RATE * lack, phase.speed or 0.0, phase.top_speed))

    def _move(self, phase: Phase, ego: EgoState, others: Actors) -> None:
        wanted = self._wanted(phase, ego)
        if not self.script.edges:
            # It comes to rest at the end of its path.
            wanted = min(wanted, float(np.sqrt(2 * phase.braking * (self.script.path.length - self.s))))
        on_foot = is_walker(self.script.model)
        change = (wanted - self.speed) / TRAFFIC_STEP_S
        limit = _WALK_ACCELERATION if on_foot else phase.acceleration
        acceleration = float(np.clip(change, -phase.braking, limit))
        if not phase.heedless and not on_foot:
            gap, leader = self._gap(ego, others)
            if np.isfinite(gap):
                follows = idm_acceleration(self.speed, max(wanted, self.speed) + 1.0, gap, leader)
                acceleration = min(acceleration, follows)
        speed = max(0.0, self.speed + acceleration * TRAFFIC_STEP_S)
        moved = 0.5 * (speed + self.speed) * TRAFFIC_STEP_S
        before = (self.s, self.lateral)
        self.s = min(self.s + moved, self.script.path.length)
        if phase.lateral_m is not None and speed > 0.3:
            share = min(1.0, (self._phase_s + TRAFFIC_STEP_S) / phase.lateral_s)
            mix = share**3 * (10 - 15 * share + 6 * share**2)
            self.lateral = (1 - mix) * self._lateral_from + mix * phase.lateral_m
        aside = self.lateral - before[1]
        pose = (self.x, self.y, self.heading)
        self._pose(atan2(aside, moved) if moved > 0.02 else 0.0, keep=moved <= 0.02)
        if self._touches(ego, pose):
            self.s, self.lateral = before
            self.x, self.y, self.heading = pose
            speed = 0.0
            self._phase_s -= TRAFFIC_STEP_S
        self.acceleration = (speed - self.speed) / TRAFFIC_STEP_S
        self.speed = speed

    def _pose(self, turned: float, *, keep: bool = False) -> None:
        place, heading = self.script.path.pose_at(self.s, self.lateral)
        self.x, self.y = float(place[0]), float(place[1])
        if not keep:
            self.heading = float(heading) + turned

    def _touches(self, ego: EgoState, before: tuple[float, float, float]) -> bool:
        """Whether this step would lead into the ego, and not away from it."""
        length, width = MODELS[self.script.model].size_lwh[:2]
        size = np.array([[length + 2 * _TOUCH_M, width + 2 * _TOUCH_M]])
        here = np.array([[self.x, self.y]])
        if not bool(ego_overlaps(ego, here, np.array([self.heading]), size)[0]):
            return False
        return bool(to_box_frame(ego.center, np.array(before[:2]), before[2])[0] > 0.0)

    def _gap(self, ego: EgoState, others: Actors) -> tuple[float, float]:
        """Free metres ahead of the front bumper along the path, and the speed, m/s, of what ends them."""
        length, width = MODELS[self.script.model].size_lwh[:2]
        ahead = np.arange(0.0, max(15.0, 4.0 * self.speed) + length / 2, 0.5)
        phase = self.script.phases[self.phase]
        aim = self.lateral if phase.lateral_m is None else phase.lateral_m
        path, _ = self.script.path.pose_at(self.s + ahead, np.where(ahead < 8.0, self.lateral, aim))
        obstacles = []
        if self._is_ahead(ego.center):
            obstacles.append((ego.center, ego.heading, ego_half(), ego.velocity, _CLEARANCE_M))
        sizes = sizes_of(others)
        for j in np.flatnonzero(np.linalg.norm(others.positions[:, :2] - [self.x, self.y], axis=1) < _RANGE_M):
            if others.ids[j] != self.script.id and self._is_ahead(others.positions[j, :2]):
                # A bus squeezes past parked cars: nobody would ever move them.
                parked = bool(others.flags[j] & ActorFlag.PARKED)
                clearance = _PARKED_CLEARANCE_M if parked else _CLEARANCE_M
                place, heading = others.positions[j, :2], float(others.headings[j])
                obstacles.append((place, heading, sizes[j, :2] / 2, others.velocities[j], clearance))
        best, speed = np.inf, 0.0
        for center, heading, half, velocity, clearance in obstacles:
            distance = first_blocked(path, ahead, width / 2 + clearance, center, heading, half) - length / 2
            if distance < best:
                best = max(0.0, distance)
                speed = max(0.0, float(velocity @ [cos(self.heading), sin(self.heading)]))
        return best, speed

    def _is_ahead(self, xy: FloatArray) -> bool:
        return float(to_box_frame(xy, np.array([self.x, self.y]), self.heading)[0]) > 0.5


def ego_front_s(route: Route, ego: EgoState, near_s: float | None) -> float:
    """The ego's front bumper along its route, m."""
    return route.project(ego.xy, near_s)[0] + _FRONT_M


def straight_path(points: FloatArray, step_m: float = 0.5) -> Route:
    """A path along straight legs between places [P, 2], m."""
    corners = np.asarray(points, dtype=np.float64)
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    s = np.concatenate([[0.0], np.cumsum(lengths)])
    along = np.linspace(0.0, s[-1], max(2, round(s[-1] / step_m) + 1))
    path = np.column_stack([np.interp(along, s, corners[:, 0]), np.interp(along, s, corners[:, 1])])
    return Route(path, np.full(len(path), 1.0), np.full(len(path), -1, np.int64))
