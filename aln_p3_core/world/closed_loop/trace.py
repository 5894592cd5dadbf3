"""`Trace`: what happened on a drive, compact enough to keep: for films, plots and reports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, transform_points
from aln_p3_core.world.actors import Actors
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.planner import Decision, EgoPlan
from aln_p3_core.world.state import WorldState

#: Actors farther away from the ego are not kept, m.
KEEP_RADIUS_M = 110.0
_EGO_FIELDS = tuple(f.name for f in fields(EgoState))
_ACTOR_ARRAYS = ("models", "positions", "headings", "velocities", "accelerations", "colors", "phases", "flags")
_VERSION = 1


@dataclass(frozen=True, eq=False)
class TracedPlan:
    """A plan as it was made.

    Attributes:
        stamp_s: when. times_s: [T] seconds of the episode. points_world: [T, 2] m.
        decision: what and why as plain words, empty where the planner does not say.
    """

    stamp_s: float
    times_s: FloatArray
    points_world: FloatArray
    decision: dict[str, Any]


@dataclass(eq=False)
class Trace:
    """States of a drive at an even rate, and every plan.

    Attributes:
        route: [P, 2] the path that was to be followed.
        states: the world, actors within `KEEP_RADIUS_M` of the ego.
        plans: in the order of time.
    """

    route: FloatArray
    states: list[WorldState] = field(default_factory=list)
    plans: list[TracedPlan] = field(default_factory=list)

    def add_state(self, state: WorldState) -> None:
        """Keeps a state."""
        near = state.actors.near(state.ego.center, KEEP_RADIUS_M)
        self.states.append(WorldState(state.ego, near, state.signals))

    def add_plan(self, plan: EgoPlan, T_world_ego: FloatArray) -> None:
        """Keeps a plan. `T_world_ego` is the ego pose at its stamp."""
        points = transform_points(T_world_ego, np.asarray(plan.points_ego, dtype=np.float64))
        times = plan.stamp_s + np.asarray(plan.times_s, dtype=np.float64)
        self.plans.append(TracedPlan(plan.stamp_s, times, points, _words(plan.decision)))

    def plan_at(self, time_s: float) -> TracedPlan | None:
        """The plan that was followed at an instant."""
        made = [plan for plan in self.plans if plan.stamp_s <= time_s + 1e-9]
        return made[-1] if made else None

    def save(self, path: Path) -> None:
        """Writes the trace as a compressed .npz, all of it or nothing; the same trace gives the same bytes."""
        actors = [state.actors for state in self.states]
        arrays: dict[str, Any] = {
            "version": np.array(_VERSION),
            "route": self.route,
            "ego": np.array([[getattr(state.ego, name) for name in _EGO_FIELDS] for state in self.states]),
            "signals": np.array([state.signals for state in self.states]),
            "actor_counts": np.array([len(group) for group in actors], np.int64),
            "actor_ids": np.array([name for group in actors for name in group.ids], dtype=np.str_),
            "plan_stamps": np.array([plan.stamp_s for plan in self.plans]),
            "plan_counts": np.array([len(plan.times_s) for plan in self.plans], np.int64),
            "plan_times": np.concatenate([plan.times_s for plan in self.plans] or [np.zeros(0)]),
            "plan_points": np.concatenate([plan.points_world for plan in self.plans] or [np.zeros((0, 2))]),
            "decisions": np.array([json.dumps(plan.decision, sort_keys=True) for plan in self.plans], dtype=np.str_),
        }
        for name in _ACTOR_ARRAYS:
            arrays[name] = np.concatenate([getattr(group, name) for group in actors])
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp.npz")
        np.savez_compressed(temporary, **arrays)
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Reads what `save` wrote.

        Raises:
            DataError: when the file is missing or no trace.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {name: file[name] for name in file.files}
            if int(data["version"]) != _VERSION:
                raise KeyError("version")
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is no trace of a drive ({error}); drive the route again to write it") from error
        trace = cls(data["route"])
        ends = np.cumsum(data["actor_counts"])
        for row, (end, count) in enumerate(zip(ends, data["actor_counts"], strict=True)):
            rows = slice(end - count, end)
            ids = tuple(str(name) for name in data["actor_ids"][rows])
            actors = Actors(ids=ids, **{name: data[name][rows] for name in _ACTOR_ARRAYS})
            ego = EgoState(*(float(value) for value in data["ego"][row]))
            trace.states.append(WorldState(ego, actors, data["signals"][row]))
        ends = np.cumsum(data["plan_counts"])
        for row, (end, count) in enumerate(zip(ends, data["plan_counts"], strict=True)):
            rows = slice(end - count, end)
            trace.plans.append(
                TracedPlan(
                    float(data["plan_stamps"][row]),
                    data["plan_times"][rows],
                    data["plan_points"][rows],
                    json.loads(str(data["decisions"][row])),
                )
            )
        return trace


def _words(decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {}
    return {
        "maneuver": decision.maneuver.value,
        "lateral": decision.lateral.value,
        "cause": decision.cause.value,
        "actor_id": decision.actor_id,
        "signal": int(decision.signal),
        "lateral_cause": decision.lateral_cause.value,
        "lateral_actor_id": decision.lateral_actor_id,
    }
