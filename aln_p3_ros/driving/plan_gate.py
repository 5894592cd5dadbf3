"""The one gate that every plan passes before it is published: whether a vehicle can be meant to drive it."""

from __future__ import annotations

import numpy as np

from aln_p3_core.config import PlannerConfig
from aln_p3_core.scene import Plan
from aln_p3_ros.messages.trajectory import MAX_SPEED_MPS


def plan_problem(plan: Plan, recipe: PlannerConfig) -> str:
    """What is wrong with a plan, or "". The plans for the other commands are judged too: they are published beside
    it, and a network that fails at one of them has failed.

    Args:
        recipe: tells how many plans of how many steps there must be.
    """
    points = np.asarray(plan.trajectories_model, dtype=np.float64)
    expected = (recipe.commands, recipe.steps, 2)
    if points.shape != expected:
        return f"its shape is {points.shape}, the recipe's {expected}"
    if not np.isfinite(points).all():
        return "it holds NaN or infinity"
    steps = np.diff(points, axis=1, prepend=0.0)
    fastest = float(np.linalg.norm(steps, axis=-1).max()) / plan.step_s
    return f"it moves at {fastest:.3g} m/s (limit {MAX_SPEED_MPS:g} m/s)" if fastest > MAX_SPEED_MPS else ""
