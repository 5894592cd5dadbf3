"""Plans and commands as they are stored beside the tables: `expert_plan.json`, `route_command.json`."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from aln_p3_core.geometry import invert_transform, transform_points, wrap_angle
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.planner import Decision, EgoPlan
from aln_p3_core.world.recorder.labels import instance_token
from aln_p3_core.world.recorder.tables import Row

#: A human's future is stored in these steps, s, as far as the recording goes.
HUMAN_STEP_S = 0.5
HUMAN_STEPS = 6


def human_plan(
    recorded_ego: Callable[[float], EgoState], time_s: float, duration_s: float, decision: Decision | None = None
) -> EgoPlan:
    """What the human did from `time_s` on, up to three seconds or the end of the recording (then fewer points)."""
    now = recorded_ego(time_s)
    count = min(HUMAN_STEPS, int((duration_s - time_s) / HUMAN_STEP_S + 1e-6))
    times = HUMAN_STEP_S * np.arange(1, count + 1)
    future = [recorded_ego(time_s + float(t)) for t in times]
    places = np.array([[ego.x, ego.y] for ego in future]).reshape(-1, 2)
    return EgoPlan(
        stamp_s=time_s,
        times_s=times,
        points_ego=transform_points(invert_transform(now.T_world_ego), places),
        headings_ego=wrap_angle(np.array([ego.heading for ego in future]) - now.heading),
        decision=decision,
    )


def plan_row(plan: EgoPlan, source: str, scene: str, labelled: Collection[str]) -> Row:
    """One entry of `expert_plan.json`.

    Args:
        plan: stamped with the key frame's own time.
        source: who it comes from: "expert" or "human".
        scene: identity of the scene.
        labelled: ids of the actors that have a track in the scene; others are named without a token.
    """
    row: Row = {
        "source": source,
        "times_s": np.round(plan.times_s, 4).tolist(),
        "points_ego": np.round(plan.points_ego, 4).tolist(),
        "headings_ego": np.round(plan.headings_ego, 5).tolist(),
        "decision": None,
    }
    decision = plan.decision
    if decision is not None:
        row["decision"] = {
            "maneuver": decision.maneuver.value,
            "lateral": decision.lateral.value,
            "cause": decision.cause.value,
            "instance_token": _track(decision.actor_id, scene, labelled),
            "signal": int(decision.signal),
            "lateral_cause": decision.lateral_cause.value,
            "lateral_instance_token": _track(decision.lateral_actor_id, scene, labelled),
        }
    return row


def _track(actor_id: str, scene: str, labelled: Collection[str]) -> str:
    return instance_token(scene, actor_id) if actor_id in labelled else ""
