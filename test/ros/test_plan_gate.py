"""Plans that nobody can drive."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.config import PlannerConfig
from aln_p3_core.frame import RouteCommand
from aln_p3_core.scene import Plan
from aln_p3_ros.driving.plan_gate import plan_problem


def plan(speed: float = 8.0, commands: int = 3, steps: int = 6) -> Plan:
    points = np.zeros((commands, steps, 2), np.float32)
    points[:, :, 1] = 0.5 * speed * np.arange(1, steps + 1)
    return Plan(points, RouteCommand())


@pytest.mark.parametrize("speed", [-5.0, 0.0, 8.0, 99.0])
def test_what_a_car_can_drive_passes(speed: float) -> None:
    assert plan_problem(plan(speed), PlannerConfig()) == ""


@pytest.mark.parametrize(
    ("sick", "words"),
    [
        (plan(commands=1), "(1, 6, 2)"),
        (plan(steps=0), "(3, 0, 2)"),
        (plan(steps=7), "the recipe's (3, 6, 2)"),
        (plan(101.0), "101 m/s (limit 100 m/s)"),
        (plan(float("nan")), "NaN"),
    ],
)
def test_what_it_cannot_is_named(sick: Plan, words: str) -> None:
    assert words in plan_problem(sick, PlannerConfig())


@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_leap_is_found_at_every_step_and_for_every_command(step: int) -> None:
    for command in range(3):
        leaping = plan()
        leaping.trajectories_model[command, step] += 60.0
        assert "m/s" in plan_problem(leaping, PlannerConfig())
