"""Answers of the online alignment tasks: the driver's own predictions in words (Hint-AD, section 5.5 of its code's
description).

Done right where the released code slips: a distance is the root of the sum of squares, a speed is metres a second
whatever the step, and planned points are positions, not steps.
"""

from __future__ import annotations

import math

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import Agents

#: Classes that are counted, with their plurals (Hint-UniAD).
COUNTED = {
    "car": "cars",
    "truck": "trucks",
    "construction_vehicle": "construction_vehicles",
    "bus": "buses",
    "bicycle": "bicycles",
    "pedestrian": "pedestrians",
}
#: Objects that are counted have at least this score.
COUNTED_SCORE = 0.3
#: Planned points that are told.
PLAN_POINTS = 5
# Forecast steps that a speed is read from, and the speed below which an object is stationary, m/s.
_SPEED_STEPS = 5
_STATIONARY_MS = 0.05


def online_answer(task: Task, agents: Agents, plan_T2: FloatArray, row: int = -1) -> str:
    """The answer of an online task.

    Args:
        task: COUNT, POSITION, MOTION or PLAN.
        agents: detections, model frame (x right, y forward).
        plan_T2: planned positions, m, model frame.
        row: of the agent that POSITION and MOTION are about.

    Raises:
        DataError: for another task, or an agent that is not there.
    """
    if task is Task.COUNT:
        return count_answer(agents)
    if task is Task.PLAN:
        points = ",".join(f"[{x:.2f},{y:.2f}]" for x, y in plan_T2[:PLAN_POINTS])
        return f"The future trajectory points are [{points},]."
    if task not in (Task.POSITION, Task.MOTION):
        raise DataError(f"the task {task.value} has no online answer")
    if not 0 <= row < len(agents):
        raise DataError(f"no agent {row}: there are {len(agents)}")
    if task is Task.POSITION:
        x, y = agents.centers_model[row, :2]
        return f"It's about {math.hypot(x, y):.1f} meters away at {clock_hour(x, y)} o'clock direction."
    return motion_answer(agents, row)


def count_answer(agents: Agents) -> str:
    """How many objects of each counted class are detected."""
    names = [agents.class_names[index] for index in agents.class_ids[agents.scores >= COUNTED_SCORE]]
    told = ", ".join(f"{names.count(name)} {plural}" for name, plural in COUNTED.items())
    return f"There are {told} in this frame."


def motion_answer(agents: Agents, row: int) -> str:
    """Speed and direction of an agent's likeliest forecast: the slope of its first five positions (least squares)."""
    mode = int(np.argmax(agents.forecast_probabilities[row]))
    path = agents.forecasts_model[row, mode, :_SPEED_STEPS].astype(float)
    times = agents.step_s * np.arange(len(path))
    times = times - times.mean()
    vx, vy = (times[:, None] * path).sum(axis=0) / (times**2).sum()
    speed = math.hypot(vx, vy)
    if speed < _STATIONARY_MS:
        return "The object is stationary."
    return f"The object is moving at {speed:.2f} m/s to its {clock_hour(vx, vy)} o'clock direction."


def clock_hour(x: float, y: float) -> int:
    """Hour of a direction in the model frame: 12 ahead (y), 3 to the right (x)."""
    return round(math.degrees(math.atan2(x, y)) % 360 / 30) % 12 or 12
