"""Plans, agents and scenes with words about them: for the tests of plan-text consistency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.scene import AGENT_CLASSES, Agents, DrivingScene, MapElements, Plan, SceneTokens

STEPS, STEP_S = 6, 0.5


def made_plan(speed: float, end_speed: float | None = None, turned: float = 0.0) -> NDArray[np.float64]:
    """[6, 2] m in the model frame: a speed that changes evenly, a heading that turns evenly (left positive, rad)."""
    end_speed = speed if end_speed is None else end_speed
    times = np.linspace(0.0, 3.0, 301)
    speeds = speed + (end_speed - speed) * times / 3.0
    headings = turned * times / 3.0
    step = times[1]
    ahead, left = np.cumsum(speeds * np.cos(headings)) * step, np.cumsum(speeds * np.sin(headings)) * step
    return np.stack([-left, ahead], axis=1)[50::50]


def lane_change(speed: float, metres_left: float) -> NDArray[np.float64]:
    """[6, 2] m: a smooth move to the side within the three seconds."""
    share = np.arange(1, STEPS + 1) / STEPS
    left = metres_left * (3 * share**2 - 2 * share**3)
    return np.stack([-left, speed * 3.0 * share], axis=1)


def made_agents(*rows: tuple[str, float, float, float, float], score: float = 0.9) -> Agents:
    """Agents (class, x right, y forward, speed m/s, course from straight ahead, left positive, rad) of 4 m by 2 m."""
    count = len(rows)
    x, y, speed, course = (np.array([row[k] for row in rows], dtype=np.float32) for k in (1, 2, 3, 4))
    return Agents(
        centers_model=np.stack([x, y, np.zeros(count, np.float32)], axis=1),
        sizes_lwh=np.tile(np.float32([4.0, 2.0, 1.5]), (count, 1)),
        headings_model=(course + np.pi / 2).astype(np.float32),
        velocities_model=np.stack([-speed * np.sin(course), speed * np.cos(course)], axis=1),
        scores=np.full(count, score, dtype=np.float32),
        class_ids=np.array([AGENT_CLASSES.index(row[0]) for row in rows], dtype=np.int64),
        forecasts_model=np.zeros((count, 1, STEPS, 2), dtype=np.float32),
        forecast_probabilities=np.ones((count, 1), dtype=np.float32),
        query_ids=np.arange(count),
    )


def no_lines() -> MapElements:
    empty = np.zeros(0, dtype=np.int64)
    return MapElements(np.zeros((0, 20, 2), np.float32), np.zeros(0, np.float32), empty, empty)


def crossing_at(y: float) -> MapElements:
    points = np.stack([np.linspace(-5, 5, 20), np.full(20, y)], axis=1).astype(np.float32)
    one = np.array([1])
    return MapElements(points[None], np.float32([0.9]), one, np.array([0]))


def made_scene(
    agents: Agents,
    plans: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    command: Command = Command.STRAIGHT,
    *,
    token: str = "scene",
    width: int = 16,
    modes: int = 3,
    bev_shape: tuple[int, int] = (20, 12),
) -> DrivingScene:
    """A scene with tokens: an agent's own token holds its row + 1, the BEV map its row and column.

    Args:
        plans: of the commands right, left, straight.
    """
    count = len(agents)
    bev = np.zeros((*bev_shape, width), dtype=np.float32)
    bev[..., 0], bev[..., 1] = np.indices(bev_shape)
    tokens = SceneTokens(
        bev=bev,
        agents=np.tile(np.arange(1, count + 1, dtype=np.float32)[:, None], (1, width)),
        motion=np.ones((count, modes, 2 * width), dtype=np.float32),
        map=np.zeros((3, width), dtype=np.float32),
        ego=np.ones(2 * width, dtype=np.float32),
    )
    plan = Plan(np.stack(plans).astype(np.float32), RouteCommand(command, CommandProvenance.GIVEN))
    return DrivingScene(agents, no_lines(), plan, 0, 0, np.eye(4), np.eye(4), tokens=tokens, token=token)
