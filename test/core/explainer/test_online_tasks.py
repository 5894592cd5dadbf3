from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.errors import DataError
from aln_p3_core.explainer.online_tasks import clock_hour, online_answer
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.scene import AGENT_CLASSES, Agents

_PLAN = np.cumsum(np.full((6, 2), (0.1, 2.0)), axis=0)


def _agents() -> Agents:
    """A car 5 m away at (3, 4) whose likelier mode drives to the right at 4 m/s, a standing bus, and a weak truck."""
    count, modes, steps = 3, 2, 6
    centers = np.array([[3.0, 4.0, 0.0], [0.0, -20.0, 0.0], [1.0, 1.0, 0.0]], np.float32)
    forecasts = np.repeat(centers[:, None, None, :2], modes, axis=1).repeat(steps, axis=2)
    forecasts[0, 1, :, 0] += 2.0 * np.arange(1, steps + 1)
    probabilities = np.array([[0.3, 0.7], [0.5, 0.5], [1.0, 0.0]], np.float32)
    return Agents(
        centers_model=centers,
        sizes_lwh=np.ones((count, 3), np.float32),
        headings_model=np.zeros(count, np.float32),
        velocities_model=np.zeros((count, 2), np.float32),
        scores=np.array([0.9, 0.5, 0.1], np.float32),
        class_ids=np.array([AGENT_CLASSES.index(name) for name in ("car", "bus", "truck")]),
        forecasts_model=forecasts,
        forecast_probabilities=probabilities,
        query_ids=np.arange(count),
    )


def test_distance_is_a_root() -> None:
    assert online_answer(Task.POSITION, _agents(), _PLAN, 0) == "It's about 5.0 meters away at 1 o'clock direction."
    assert online_answer(Task.POSITION, _agents(), _PLAN, 1) == "It's about 20.0 meters away at 6 o'clock direction."


def test_speed_is_metres_a_second_of_the_likeliest_mode() -> None:
    text = "The object is moving at 4.00 m/s to its 3 o'clock direction."
    assert online_answer(Task.MOTION, _agents(), _PLAN, 0) == text
    assert online_answer(Task.MOTION, _agents(), _PLAN, 1) == "The object is stationary."


def test_plan_is_told_as_positions() -> None:
    text = "The future trajectory points are [[0.10,2.00],[0.20,4.00],[0.30,6.00],[0.40,8.00],[0.50,10.00],]."
    assert online_answer(Task.PLAN, _agents(), _PLAN) == text


def test_counts_what_is_surely_there() -> None:
    text = "There are 1 cars, 0 trucks, 0 construction_vehicles, 1 buses, 0 bicycles, 0 pedestrians in this frame."
    assert online_answer(Task.COUNT, _agents(), _PLAN) == text


@pytest.mark.parametrize(
    ("place", "hour"), [((0, 5), 12), ((5, 0), 3), ((0, -5), 6), ((-5, 0), 9), ((-0.1, 5), 12), ((-2, 3), 11)]
)
def test_clock(place: tuple[float, float], hour: int) -> None:
    assert clock_hour(*place) == hour


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="no agent 7"):
        online_answer(Task.MOTION, _agents(), _PLAN, 7)
    with pytest.raises(DataError, match="no online answer"):
        online_answer(Task.CAPTION, _agents(), _PLAN)


def test_answers_are_read_by_the_benchmarks_scorer() -> None:
    from aln_p3_core.evaluation.language import hint_ad_alignment as scorer
    from aln_p3_core.evaluation.language.hint_ad import Item

    def item(task: Task, row: int, truth: str) -> list[Item]:
        return [Item("<align>", online_answer(task, _agents(), _PLAN, row), truth)]

    position = scorer.position_errors(item(Task.POSITION, 0, "It's about 7.0 meters away at 2 o'clock direction."))
    assert position.errors["distance"] == [2.0] and position.errors["direction"] == [30.0]
    motion = scorer.motion_errors(item(Task.MOTION, 0, "The object is moving at 3.00 m/s to its 3 o'clock direction."))
    assert motion.errors["speed"] == [1.0] and motion.errors["direction"] == [0.0]
    counts = scorer.count_errors(item(Task.COUNT, -1, "There are 1 cars, 1 buses, 6 bicycles in this frame."))
    assert counts.errors["count"] == [pytest.approx(6**0.5)]
    plan = scorer.plan_errors(item(Task.PLAN, -1, "The future trajectory points are [[0.10,2.00],[0.20,4.00],]."))
    assert plan.errors["plan"] == [0.0]
