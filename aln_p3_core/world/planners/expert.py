"""The rule-based expert: drives on ground truth, teaches the learned driver, and says why it does what it does.

Every plan begins at the car's true state. The path leads back to the route, around what stands in the way. Along
it the car keeps to limits and curves, and stays behind leaders, lights, and whoever goes first where paths meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aln_p3_core.geometry import invert_transform, transform_points, wrap_angle
from aln_p3_core.world.planners.deciding import DecisionMemory, decide
from aln_p3_core.world.planners.drive_path import DrivePath, drive_path
from aln_p3_core.world.planners.forecast import TIMES_S
from aln_p3_core.world.planners.passing import (
    PASSING_SPEED,
    Obstacle,
    Swerve,
    blocking,
    meets_oncoming,
    obstacles,
    wanted_lateral,
    ways_around,
)
from aln_p3_core.world.planners.planner import EgoPlan, Observation
from aln_p3_core.world.planners.speed_profile import Restraint, SpeedProfile, roll_out
from aln_p3_core.world.planners.stop_lines import LightMemory, end_restraint, keep_clear_restraints, light_restraints
from aln_p3_core.world.planners.surroundings import StandingMemory, Surroundings, look_around
from aln_p3_core.world.planners.yielding import PASSING_GAP_M, YieldMemory, conflicts, leaders, traffic_on
from aln_p3_core.world.route import Route

#: Points of a plan: `TIMES_S` up to this many seconds.
HORIZON_S = 4.0
#: Rounds in which conflicts are looked for: yielding to one may lead into another.
_ROUNDS = 3
#: So many ways around an obstacle are tried.
_WAYS = 3
#: Farther beside the route than this, m, a swerve is finished rather than given up.
_UNDER_WAY_M = 0.5


@dataclass(frozen=True, eq=False)
class _Drive:
    """One way to drive on: a path, what holds the car on it, and its motion."""

    path: DrivePath
    restraints: Sequence[Restraint]
    profile: SpeedProfile
    yielding: frozenset[str]


class Expert:
    """Drives by rules and ground truth; see the module. One object may serve many episodes."""

    name = "expert"
    needs_images = False

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets what it has decided."""
        self._standing = StandingMemory()
        self._lights = LightMemory()
        self._yields = YieldMemory()
        self._decisions = DecisionMemory()
        self._swerve: Swerve | None = None
        self._route: Route | None = None
        self._last_time_s = -np.inf

    def plan(self, observation: Observation) -> EgoPlan:
        """The next four seconds, a point every 0.2 s, with the decision behind them."""
        if observation.route is not self._route or observation.state.time_s < self._last_time_s - 1e-6:
            self.reset()
        self._route, self._last_time_s = observation.route, observation.state.time_s
        around = look_around(observation, self._standing)
        drive = self._best_drive(observation, around)
        self._yields.keep(observation.state.time_s, drive.yielding)
        count = round(HORIZON_S / float(TIMES_S[1])) + 1
        places, headings = drive.path.at(drive.profile.s[:count])
        ego = observation.state.ego
        decision = decide(observation, drive.path, drive.profile, drive.restraints, self._swerve, self._decisions)
        points = transform_points(invert_transform(ego.T_world_ego), places)
        return EgoPlan(ego.time_s, TIMES_S[:count], points, wrap_angle(headings - ego.heading), decision)

    def _best_drive(self, observation: Observation, around: Surroundings) -> _Drive:
        """On the present line; or around what blocks it, when that is free."""
        route_s = observation.route_s
        if self._swerve is not None and route_s > self._swerve.done_s:
            self._swerve = None
        found = obstacles(around, observation.route, route_s)
        group = blocking(found, around, observation)
        if not group:
            return self._drive(observation, around, self._swerve)
        ways = ways_around(group, found, around, observation, self._swerve)
        for way in ways[:_WAYS]:
            drive = self._drive(observation, around, way)
            if _passes(drive, way, group, around, observation):
                self._swerve = way
                return drive
        place, heading = observation.route.pose_at(route_s)
        lateral = float((observation.state.ego.xy - place) @ [-np.sin(heading), np.cos(heading)])
        if self._swerve is not None and abs(lateral) > _UNDER_WAY_M:
            # Too far out to go back: on when it is free.
            self._swerve = ways[0] if ways else self._swerve
            return self._drive(observation, around, self._swerve)
        self._swerve = None
        return self._drive(observation, around, None, frozenset(around.actors.ids[o.row] for o in group))

    def _drive(
        self,
        observation: Observation,
        around: Surroundings,
        swerve: Swerve | None,
        wait_for: frozenset[str] = frozenset(),
    ) -> _Drive:
        ego, route, route_s = observation.state.ego, observation.route, observation.route_s
        speed = max(ego.speed, 0.0)
        length = float(np.clip(25.0 + 6.5 * max(speed, 5.0), 60.0, 130.0))
        lateral = wanted_lateral(swerve, route_s, length)
        path = drive_path(route, ego, route_s, length, lateral)
        if swerve is not None:
            slow = np.where(swerve.slows(path.route_s), PASSING_SPEED, np.inf)
            path = replace(path, limits=np.minimum(path.limits, slow))
        traffic = traffic_on(around, path, route)
        ahead, rest = leaders(traffic)
        ahead = [_with_room(r) if r.actor_id in wait_for else r for r in ahead]
        held = [*ahead, *light_restraints(observation, path, self._lights)]
        held += keep_clear_restraints(observation, path, ahead)
        held += end_restraint(observation, path)
        profile = roll_out(speed, ego.acceleration, path, held)
        yielding: list[Restraint] = []
        for _ in range(_ROUNDS):
            new, rest = conflicts(traffic, rest, profile, self._yields)
            if not new:
                break
            yielding += new
            profile = roll_out(speed, ego.acceleration, path, [*held, *yielding])
        return _Drive(
            path,
            [*held, *yielding],
            profile,
            frozenset(r.actor_id for r in yielding),
        )


def _passes(
    drive: _Drive, way: Swerve, group: Sequence[Obstacle], around: Surroundings, observation: Observation
) -> bool:
    """Whether nobody keeps the car from going around a group."""
    goal = drive.path.s_of_route(max(o.end_s for o in group) + 1.0)
    for restraint in drive.restraints:
        if float(restraint.speeds.max()) > 2.0 and float(restraint.places[0]) > 3.0:
            continue
        if float(restraint.places.min()) < goal:
            return False
    left, speed = drive.path.s_of_route(way.back_s), max(float(drive.profile.speeds[-1]), 3.0)
    within = np.flatnonzero(drive.profile.s >= left)
    leaves_s = float(TIMES_S[within[0]]) if len(within) else float(TIMES_S[-1] + (left - drive.profile.s[-1]) / speed)
    return not meets_oncoming(way, around, observation, leaves_s)


def _with_room(restraint: Restraint) -> Restraint:
    """The same, from so far back that the car can swing out."""
    return replace(restraint, places=restraint.places - PASSING_GAP_M, slack_m=1.5)
