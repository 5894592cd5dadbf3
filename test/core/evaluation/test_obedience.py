"""Obedience on a made-up crossing: a road along x, with a turn to the left and one to the right after 20 m."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aln_p3_core.datasets.targets import Targets
from aln_p3_core.evaluation.lane_branches import read_lane_graph
from aln_p3_core.evaluation.obedience import measure_obedience, read_protocol, ways_ahead
from aln_p3_core.evaluation.plan_rows import flipped_command
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.world.planners.baselines import circle
from aln_p3_core.world.recorder.arcline import fit_arcline

RADIUS_M = 10.0
TIMES = 0.5 * np.arange(1, 7)


def arc(sign: int) -> np.ndarray:
    angle = np.linspace(0, np.pi / 2, 40)
    return np.stack([20 + RADIUS_M * np.sin(angle), sign * RADIUS_M * (1 - np.cos(angle))], axis=1)


@pytest.fixture
def crossing(tmp_path: Path) -> Path:
    """The root of the map. After each turn the road goes on for 40 m."""
    lanes = {
        "in": np.array([[-20.0, 0], [20, 0]]),
        "left": arc(1),
        "right": arc(-1),
        "ahead": np.array([[20.0, 0], [35, 0]]),
        "left_out": np.array([[30.0, 10], [30, 50]]),
        "right_out": np.array([[30.0, -10], [30, -50]]),
        "ahead_out": np.array([[35.0, 0], [75, 0]]),
        "oncoming": np.array([[20.0, 1.0], [-20, 1.0]]),
    }
    after = {"in": ["left", "right", "ahead"], "left": ["left_out"], "right": ["right_out"], "ahead": ["ahead_out"]}
    content = {
        "arcline_path_3": {name: fit_arcline(points) for name, points in lanes.items()},
        "connectivity": {name: {"incoming": [], "outgoing": after.get(name, [])} for name in lanes},
    }
    (tmp_path / "maps" / "expansion").mkdir(parents=True)
    (tmp_path / "maps" / "expansion" / "town.json").write_text(json.dumps(content))
    return tmp_path


def dataset_at(root: Path, x: float, location: str = "town") -> Any:
    """Stands on the road at `x`, looking along it; the model frame is the ego's, turned so that y is forward."""
    pose = np.eye(4)
    pose[0, 3] = x
    turned = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return SimpleNamespace(
        root=root,
        scene_of=lambda token: "scene-0001",
        location_of=lambda scene: location,
        reference_of=lambda token: (0, pose),
        T_ego_model=lambda token: turned,
    )


def drive(x: float, command: Command, speed: float) -> np.ndarray:
    """[6, 2] the places of a car that drives so from `x`, in its model frame (x right, y forward)."""
    lengths = speed * TIMES
    before = np.minimum(lengths, 20 - x)
    sign = {Command.LEFT: 1, Command.RIGHT: -1, Command.STRAIGHT: 0}[command]
    bent, _ = circle(1.0, sign / RADIUS_M, lengths - before)
    ahead, left = before + bent[:, 0], bent[:, 1]
    return np.stack([-left, ahead], axis=1)


def truth(path: np.ndarray, command: Command, known: int = 6) -> Targets:
    none = np.zeros(0)
    mask = np.arange(6) < known
    return Targets(
        token="t", centers_model=np.zeros((0, 3)), sizes_lwh=np.zeros((0, 3)), headings_model=none,
        velocities_model=np.zeros((0, 2)), velocity_valid=none.astype(bool), class_ids=none.astype(np.int64),
        num_lidar_points=none.astype(np.int64), num_radar_points=none.astype(np.int64), valid=none.astype(bool),
        futures_model=np.zeros((0, 6, 2)), future_mask=np.zeros((0, 6), bool), ego_future_model=path,
        ego_future_mask=mask, command=RouteCommand(command, CommandProvenance.GIVEN), instance_tokens=(),
        annotation_tokens=(),
    )  # fmt: skip


def prediction(*paths: np.ndarray) -> SamplePrediction:
    """Plans of right, left and straight."""
    return SamplePrediction("t", "scene-0001", paths[0], np.stack(paths))


def test_ways_ahead_have_the_command_of_their_junction(crossing: Path) -> None:
    graph = read_lane_graph(crossing, "town", np.radians(35))
    assert graph is not None
    ways = graph.branches(np.array([10.0, 0.4]), 0.1, 40.0, 2.0, 0.7)
    assert {way.command for way in ways} == set(Command)
    for way in ways:
        assert way.choice_s == pytest.approx(10.0, abs=1.0)
        assert np.diff(way.s).max() < 0.6 and way.s[-1] >= 40.0
        end = {Command.LEFT: (30, 24.3), Command.RIGHT: (30, -24.3), Command.STRAIGHT: (50, 0)}[way.command]
        assert way.at(40.0)[0] == pytest.approx(end, abs=1.0)
    assert not graph.branches(np.array([10.0, 8.0]), 0.0, 40.0, 2.0, 0.7), "beside the road"
    assert read_lane_graph(crossing, "elsewhere", np.radians(35)) is None


@pytest.mark.parametrize("given", list(Command))
def test_obeying_plans_and_one_that_knows_one_way_only(crossing: Path, given: Command) -> None:
    dataset = dataset_at(crossing, 8.0)
    plans = [drive(8.0, command, 8.0) for command in Command]
    targets = {"t": truth(plans[given.value], given)}
    obeying = measure_obedience([prediction(*plans)], targets, dataset)
    assert (obeying.given, obeying.flipped, obeying.frames) == (1.0, 1.0, 1)
    assert sum(count for _, count in obeying.by_asked.values()) == 2
    deaf = measure_obedience([prediction(*[plans[given.value]] * 3)], targets, dataset)
    assert (deaf.given, deaf.flipped) == (1.0, 0.0)
    # Standing still goes nowhere, whatever it is told.
    still = measure_obedience([prediction(*[np.zeros((6, 2))] * 3)], targets, dataset)
    assert (still.given, still.flipped) == (0.0, 0.0)


def test_only_frames_that_show_it_count(crossing: Path) -> None:
    protocol = read_protocol()
    near = dataset_at(crossing, 8.0)
    fast, slow = drive(8.0, Command.LEFT, 8.0), drive(8.0, Command.LEFT, 1.0)
    ways, shown = ways_ahead("t", truth(fast, Command.LEFT), near, protocol)
    assert set(ways) == shown == set(Command)
    ways, shown = ways_ahead("t", truth(slow, Command.LEFT), near, protocol)
    assert set(ways) == set(Command) and not shown, "too short a way to show it"
    far = dataset_at(crossing, -20.0)
    assert not ways_ahead("t", truth(drive(-20.0, Command.LEFT, 3.0), Command.LEFT), far, protocol)[0], "too far away"
    assert not ways_ahead("t", truth(fast, Command.LEFT, known=5), near, protocol)[0], "the future is not known"
    unmapped = dataset_at(crossing, 8.0, "elsewhere")
    nothing = measure_obedience([prediction(fast, fast, fast)], {"t": truth(fast, Command.LEFT)}, unmapped)
    assert (nothing.given, nothing.flipped, nothing.frames) == (None, None, 0)


def test_flipped_commands_are_those_of_the_road(crossing: Path) -> None:
    protocol = read_protocol()
    path = drive(8.0, Command.STRAIGHT, 8.0)
    targets = truth(path, Command.STRAIGHT)

    def flipped(command: Command, location: str = "town") -> Command:
        given = replace(prediction(path, path, path), command=RouteCommand(command))
        return flipped_command(given, targets, dataset_at(crossing, 8.0, location), protocol).command

    assert flipped(Command.LEFT) is Command.RIGHT and flipped(Command.RIGHT) is Command.LEFT
    assert flipped(Command.STRAIGHT) is Command.LEFT
    assert flipped(Command.STRAIGHT, "elsewhere") is Command.STRAIGHT
