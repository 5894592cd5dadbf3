"""What a planner sees and gives: `Observation`, `EgoPlan`, and the reason of it, `Decision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import numpy as np

from aln_p3_core.frame import DrivingFrame
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.render.images import RenderedView
from aln_p3_core.world.route import Route
from aln_p3_core.world.state import WorldState


class Maneuver(Enum):
    """What the ego does along its way."""

    KEEP_SPEED = "keep_speed"
    ACCELERATE = "accelerate"
    DECELERATE = "decelerate"
    STOP = "stop"
    WAIT = "wait"
    START = "start"


class LateralManeuver(Enum):
    """What the ego does across its way."""

    KEEP_LANE = "keep_lane"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    CHANGE_LEFT = "change_left"
    CHANGE_RIGHT = "change_right"
    NUDGE_LEFT = "nudge_left"
    NUDGE_RIGHT = "nudge_right"


class Cause(Enum):
    """Why: the thing that the ego's speed or path answers to."""

    FREE_ROAD = "free_road"
    SPEED_LIMIT = "speed_limit"
    CURVE = "curve"
    LEAD_VEHICLE = "lead_vehicle"
    LEAD_BRAKING = "lead_braking"
    STOPPED_VEHICLE = "stopped_vehicle"
    BUS_AT_STOP = "bus_at_stop"
    CUT_IN = "cut_in"
    RED_LIGHT = "red_light"
    YELLOW_LIGHT = "yellow_light"
    GREEN_LIGHT = "green_light"
    ONCOMING_TRAFFIC = "oncoming_traffic"
    CROSS_TRAFFIC = "cross_traffic"
    MERGING_TRAFFIC = "merging_traffic"
    PEDESTRIAN = "pedestrian"
    CYCLIST = "cyclist"
    WORKS = "works"
    OBSTACLE = "obstacle"
    ROUTE_END = "route_end"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the planner does and why, for labels and explanations.

    Attributes:
        maneuver, lateral: what it does.
        cause: why the speed is what it is.
        actor_id: the actor that is the cause, "" when it is none.
        signal: index of the light that is the cause, or -1.
        lateral_cause: why it leaves the middle of its lane; FREE_ROAD when it does not.
        lateral_actor_id: the actor that it goes around, "" when it is none.
    """

    maneuver: Maneuver = Maneuver.KEEP_SPEED
    lateral: LateralManeuver = LateralManeuver.KEEP_LANE
    cause: Cause = Cause.FREE_ROAD
    actor_id: str = ""
    signal: int = -1
    lateral_cause: Cause = Cause.FREE_ROAD
    lateral_actor_id: str = ""


@dataclass(frozen=True, eq=False)
class EgoPlan:
    """Where the ego shall be. T = points.

    Attributes:
        stamp_s: the instant that the plan speaks of, seconds of the episode.
        times_s: [T] seconds after it, rising; the first may be 0.
        points_ego: [T, 2] of the ego origin (rear axle), in the ego frame as it stood at `stamp_s`.
        headings_ego: [T] rad in that frame.
        decision: what and why, where the planner knows.
    """

    stamp_s: float
    times_s: FloatArray
    points_ego: FloatArray
    headings_ego: FloatArray
    decision: Decision | None = None


def as_sent(plan: EgoPlan) -> EgoPlan:
    """The plan as exactly as a message carries it: stamp in us, times in ns, headings in 1e-9 rad.

    Whoever follows a plan follows this one, so that it makes no difference whether the plan was sent.
    """
    return replace(
        plan,
        stamp_s=round(plan.stamp_s, 6),
        times_s=np.asarray(plan.times_s, dtype=np.float64).round(9),
        points_ego=np.asarray(plan.points_ego, dtype=np.float64),
        headings_ego=wrap_angle(np.asarray(plan.headings_ego, dtype=np.float64)).round(9),
    )


@dataclass(frozen=True, eq=False)
class Observation:
    """What there is to know at a planning tick. A driver reads `frame` only; the rest is ground truth.

    Attributes:
        state: the world now.
        route: what to follow. route_s: m along it.
        city: the roads.
        frame: six images and what goes with them; None when the planner does not look (`Planner.needs_images`).
        views: the rendered pictures with depth and labels, by camera; empty where nothing was rendered.
    """

    state: WorldState
    route: Route
    route_s: float
    city: CityMap
    frame: DrivingFrame | None = None
    views: Mapping[str, RenderedView] = field(default_factory=dict)


class Planner(Protocol):
    """Drives the ego. One object may serve many episodes, one after the other."""

    @property
    def name(self) -> str:
        """For tables and reports."""

    @property
    def needs_images(self) -> bool:
        """Whether `Observation.frame` must be filled."""

    def reset(self) -> None:
        """A new episode begins."""

    def plan(self, observation: Observation) -> EgoPlan:
        """The plan from now on; at least three seconds long."""


def straight_plan(stamp_s: float, speed: float, horizon_s: float = 3.0, step_s: float = 0.5) -> EgoPlan:
    """Straight on at a constant speed (0: stand still)."""
    times = step_s * np.arange(1, round(horizon_s / step_s) + 1)
    points = np.stack([speed * times, np.zeros_like(times)], axis=1)
    return EgoPlan(stamp_s, times, points, np.zeros_like(times))
