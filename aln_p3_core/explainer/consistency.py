"""Plan-text consistency: does an explanation fit the plan that is driven and the objects that are detected?

Nobody ships such a measure, so this is our own; docs/consistency.md has its definitions and how its limits were set.
NumPy only: the explainer node runs it for every explanation, evaluation for every sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.explainer.cause_check import check_place, check_reason
from aln_p3_core.explainer.consistency_settings import ConsistencySettings
from aln_p3_core.explainer.consistency_types import Consistency, Finding, Kind, Verdict
from aln_p3_core.explainer.plan_check import check_direction, check_speed
from aln_p3_core.explainer.plan_motion import plan_motion
from aln_p3_core.explainer.seen import SeenAgents, SeenCrossings
from aln_p3_core.explainer.statement import read_statement
from aln_p3_core.scene import Agents, MapElements

__all__ = ["Consistency", "ConsistencySettings", "Finding", "Kind", "Verdict", "check_consistency"]

DEFAULT_SETTINGS = ConsistencySettings()


def check_consistency(
    text_narration: str,
    text_reasoning: str,
    plan: NDArray[np.floating],
    agents: Agents | None = None,
    map_elements: MapElements | None = None,
    speed_now_ms: float | None = None,
    *,
    step_s: float = 0.5,
    settings: ConsistencySettings = DEFAULT_SETTINGS,
) -> Consistency:
    """What an explanation states, held against the plan and the detections.

    Args:
        text_narration: what the car does, in any wording.
        text_reasoning: why; "" where there is none.
        plan: [T, 2] m, the published plan in the model frame (x right, y forward), T at least 2.
        agents: detected objects; None where they are not known: no cause is checked then.
        map_elements: detected lines; None where they are not known.
        speed_now_ms: speed of the car; taken from the plan's beginning where it is None.
        step_s: seconds between the plan's points.
        settings: limits.

    Returns:
        The findings. A text that cannot be read gives `not stated` and `consistent=None`; none raises.

    Raises:
        ValueError: for a plan of another shape or with numbers that are not finite.
    """
    points = np.asarray(plan, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
        raise ValueError(f"a plan must be finite [T, 2] with T at least 2, not shape {points.shape}; check its source")
    statement = read_statement(text_narration, text_reasoning)
    motion = plan_motion(points, speed_now_ms, step_s)
    seen = None if agents is None else SeenAgents.from_plan(motion, agents)
    crossings = None if map_elements is None else SeenCrossings.of(map_elements, settings.object_score)
    findings = [
        *check_direction(statement.narration, motion, settings),
        *check_speed(statement.narration, motion, settings),
        *check_place(statement.narration, motion, seen, crossings, settings),
    ]
    findings += [check_reason(reason, motion, seen, settings) for reason in statement.reasons]
    if not statement.reasons:
        findings.append(Finding(Kind.CAUSE, Verdict.NOT_STATED))
    return Consistency.of(tuple(findings))
