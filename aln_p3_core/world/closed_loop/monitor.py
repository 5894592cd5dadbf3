"""`Monitor`: watches a drive, step by step, and says how it went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.closed_loop.collisions import CollisionMeasure
from aln_p3_core.world.closed_loop.comfort import Comfort, comfort_of
from aln_p3_core.world.closed_loop.events import Fault, Infraction, InfractionKind
from aln_p3_core.world.closed_loop.off_road import OffRoadMeasure
from aln_p3_core.world.closed_loop.progress import ProgressMeasure
from aln_p3_core.world.closed_loop.red_light import RedLightMeasure
from aln_p3_core.world.closed_loop.right_of_way import RightOfWay
from aln_p3_core.world.closed_loop.score import driving_score, is_success, penalty_of
from aln_p3_core.world.closed_loop.time_to_collision import TimeToCollisionMeasure
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.route import Route
from aln_p3_core.world.state import WorldState


class Status(Enum):
    """How a drive stands, or how it ended."""

    DRIVING = "driving"
    COMPLETED = "completed"
    RECORDING_OVER = "recording_over"
    TIME_OUT = "time_out"
    BLOCKED = "blocked"
    ROUTE_DEVIATION = "route_deviation"


@dataclass(frozen=True, eq=False)
class Measures:
    """What a drive is judged by. docs/closed_loop.md defines each.

    Attributes:
        status: how it ended.
        driving_score: 0..100. success: whether everything went well. success_own_fault: the same when contacts
            that others caused are forgiven.
        route_completion: percent, before and outside_share (0..1) of it off the road or on the wrong side.
        penalty: product of the infractions' factors, 0..1.
        infractions: all that happened, in the order of time.
        collisions: number by type; own_fault_collisions: those that are the ego's fault.
        comfort: shares of comfortable segments.
        min_ttc_s: least time to collision, inf where there was none. critical_ttc_share: of the time.
        duration_s, distance_m, mean_speed: of the drive. red_lights_passed: lights crossed, in any colour.
    """

    status: Status
    driving_score: float
    success: bool
    success_own_fault: bool
    route_completion: float
    outside_share: float
    penalty: float
    infractions: tuple[Infraction, ...]
    collisions: dict[str, int]
    own_fault_collisions: int
    comfort: Comfort
    min_ttc_s: float
    critical_ttc_share: float
    duration_s: float
    distance_m: float
    mean_speed: float
    lights_passed: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        kinds = [infraction.kind.value for infraction in self.infractions]
        return {
            "status": self.status.value,
            "driving_score": round(self.driving_score, 4),
            "success": self.success,
            "success_own_fault": self.success_own_fault,
            "route_completion": round(self.route_completion, 4),
            "outside_share": round(self.outside_share, 6),
            "penalty": round(self.penalty, 6),
            "counts": {kind.value: kinds.count(kind.value) for kind in InfractionKind},
            "collisions": self.collisions,
            "own_fault_collisions": self.own_fault_collisions,
            "comfort": round(self.comfort.share, 4),
            "comfort_by_limit": {name: round(share, 4) for name, share in self.comfort.by_limit.items()},
            "min_ttc_s": None if np.isinf(self.min_ttc_s) else round(self.min_ttc_s, 3),
            "critical_ttc_share": round(self.critical_ttc_share, 6),
            "duration_s": round(self.duration_s, 3),
            "distance_m": round(self.distance_m, 3),
            "mean_speed": round(self.mean_speed, 4),
            "lights_passed": self.lights_passed,
            "infractions": [infraction.to_json() for infraction in self.infractions],
        }


class Monitor:
    """Fed with every physics step of a drive, in order. It only watches: nothing depends on it but its verdict."""

    def __init__(
        self,
        city: CityMap,
        route: Route,
        start: WorldState,
        route_s: float,
        *,
        time_limit_s: float,
        blocked_after_s: float = 30.0,
        time_limit_ends_route: bool = False,
        goal_s: float | None = None,
    ) -> None:
        """Begins with the state at time 0.

        Args:
            city, route: where and along what.
            start, route_s: the world at time 0, and where the ego is along the route then, m.
            time_limit_s: a drive that lasts longer is a time-out.
            blocked_after_s: see `ProgressMeasure`.
            time_limit_ends_route: the limit is the end of a recording: reaching it is no failure.
            goal_s: completion counts up to here along the route, m (where a human driver came to); its end when None.
        """
        self._route = route
        self._time_limit_s = time_limit_s
        self._is_recording = time_limit_ends_route
        self._last = start
        self._egos: list[EgoState] = [start.ego]
        self._distance_m = 0.0
        self._right_of_way = RightOfWay(city, route)
        self.collisions = CollisionMeasure(self._right_of_way)
        self.red_lights = RedLightMeasure(city, route)
        self.red_lights.observe(start, route_s)
        self.off_road = OffRoadMeasure(city)
        self.progress = ProgressMeasure(route, route_s, blocked_after_s, goal_s)
        self.time_to_collision = TimeToCollisionMeasure()
        self.infractions: list[Infraction] = []
        self.status = Status.DRIVING

    def observe(self, state: WorldState, route_s: float) -> list[Infraction]:
        """Feeds the next step. `route_s` is the ego's place along the route, m. Returns what went wrong in it."""
        ego, step_s = state.ego, state.time_s - self._last.time_s
        place, heading = self._route.pose_at(route_s)
        offset = ego.xy - place
        lateral_m = float(np.copysign(np.hypot(*offset), np.cos(heading) * offset[1] - np.sin(heading) * offset[0]))
        moved_m = float(np.hypot(ego.x - self._last.ego.x, ego.y - self._last.ego.y))
        self._distance_m += moved_m
        self._egos.append(ego)

        self._right_of_way.observe(route_s)
        red = self.red_lights.observe(state, route_s)
        if red:
            self._right_of_way.ran_red(state.time_s)
        new = red + self.collisions.observe(self._last, state, lateral_m)
        new += self.off_road.observe(ego, lateral_m, moved_m, step_s)
        held = self.red_lights.holds(state, route_s)
        ended = self.progress.observe(state, route_s, lateral_m, held, step_s)
        self.time_to_collision.observe(state)
        self._last = state
        if route_s >= self._route.length - 1.0 and abs(lateral_m) < LATERAL_AT_GOAL_M:
            self.status, ended = Status.COMPLETED, []
        elif ended:
            self.status = Status(ended[0].kind.value)
        elif state.time_s >= self._time_limit_s - 1e-6:
            ended = self._out_of_time(state)
        self.infractions += new + ended
        return new + ended

    def _out_of_time(self, state: WorldState) -> list[Infraction]:
        if self._is_recording:
            self.status = Status.RECORDING_OVER
            return []
        self.status = Status.TIME_OUT
        return [Infraction(InfractionKind.TIME_OUT, state.time_s, state.ego.x, state.ego.y)]

    def measures(self) -> Measures:
        """How the drive went so far."""
        events = tuple(sorted(self.infractions, key=lambda event: event.time_s))
        contacts = [event for event in events if event.kind.is_collision]
        outside_share = self.off_road.outside_m / self._distance_m if self._distance_m > 1e-6 else 0.0
        completion = 1.0 if self.status is Status.COMPLETED else self.progress.share
        enough = self.status is Status.RECORDING_OVER and completion >= RECORDING_COMPLETION
        completed = self.status is Status.COMPLETED or enough
        kinds = ("pedestrian", "cyclist", "vehicle", "static")
        return Measures(
            status=self.status,
            driving_score=driving_score(completion, outside_share, events),
            success=is_success(completed, events),
            success_own_fault=is_success(completed, events, own_fault_only=True),
            route_completion=100.0 * completion,
            outside_share=outside_share,
            penalty=penalty_of(events),
            infractions=events,
            collisions={kind: sum(event.kind.value == f"collision_{kind}" for event in contacts) for kind in kinds},
            own_fault_collisions=sum(event.fault is Fault.EGO for event in contacts),
            comfort=comfort_of(
                self._egos, self._egos[1].time_s - self._egos[0].time_s if len(self._egos) > 1 else 0.05
            ),
            min_ttc_s=self.time_to_collision.minimum_s,
            critical_ttc_share=self.time_to_collision.critical_share,
            duration_s=self._last.time_s,
            distance_m=self._distance_m,
            mean_speed=self._distance_m / max(self._last.time_s, 1e-9),
            lights_passed=self.red_lights.passed,
        )


#: At the end of the route the ego is within this of it, m: parking on the other side is not arriving.
LATERAL_AT_GOAL_M = 4.0
#: A recording that ends counts as driven when this share of the human's way was driven.
RECORDING_COMPLETION = 0.8
