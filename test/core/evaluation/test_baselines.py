from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_ego_status_mlp import drives

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.evaluation.baselines import (
    MLP_FILE,
    baseline_plans,
    constant_curvature,
    constant_velocity,
    in_model_frame,
    trained_mlp,
)
from aln_p3_core.evaluation.planning_truth_build import planning_truth

TIMES = 0.5 * np.arange(1, 7)


def test_rows_of_a_drive_straight_on(make_root: Callable[..., Path]) -> None:
    dataset = NuScenesDataset(make_root())
    truth = planning_truth(dataset, dataset.tokens)
    plans = baseline_plans(dataset, truth)
    assert list(plans) == ["human", "stand_still", "constant_velocity", "constant_curvature"]
    true_path = truth.recorded_future_model[1]
    for name in ("human", "constant_velocity", "constant_curvature"):
        np.testing.assert_allclose(plans[name][1], true_path, atol=1e-4)
    assert (plans["stand_still"] == 0).all()
    assert np.isnan(plans["human"][-1]).all()
    assert (plans["constant_velocity"][0] == 0).all()  # no status yet: it stands
    assert list(baseline_plans(dataset, truth, names=("stand_still",))) == ["stand_still"]


def test_the_circle_is_that_of_the_whole_car() -> None:
    """The model frame's origin lies ahead of the rear axle and swings out."""
    motion, _ = drives(5, 0)
    motion = replace(motion, yaw_rates=np.array([0.0, 0.2, -0.3, 0.5, 1e-9]))
    speed, rate = motion.velocities[:, :1], motion.yaw_rates[:, None]
    fine = np.arange(0, 3.0005, 0.001)
    heading = rate * fine
    for axis, wave in ((0, np.cos), (1, np.sin)):
        middle = (wave(heading)[:, 1:] + wave(heading)[:, :-1]) / 2 * 0.001
        path = np.concatenate([np.zeros((5, 1)), np.cumsum(speed * middle, axis=1)], axis=1)
        heading_at, at = rate * TIMES, np.round(TIMES / 0.001).astype(int)
        if axis == 0:
            x = path[:, at]
        else:
            expected = in_model_frame(np.stack([x, path[:, at]], axis=-1), heading_at, motion.T_ego_model)
    np.testing.assert_allclose(constant_curvature(motion), expected, atol=1e-4)
    # With the lidar 0.94 m ahead, a turn on the spot alone moves it.
    spot = in_model_frame(np.zeros((1, 1, 2)), np.array([[np.pi / 2]]), motion.T_ego_model[:1])
    np.testing.assert_allclose(spot, [[[-0.94, -0.94]]], atol=1e-9)
    np.testing.assert_allclose(constant_velocity(motion)[:, :, 1], speed * TIMES, atol=1e-9)


def test_the_mlp_is_trained_once_and_kept(two_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = NuScenesDataset(two_scenes)
    assert trained_mlp(dataset, tmp_path) is None  # no train split
    first = trained_mlp(dataset, tmp_path, "val", steps=5)
    assert first is not None
    truth = planning_truth(dataset, dataset.tokens)
    plans = baseline_plans(dataset, truth, first)
    assert "ego_status_mlp" in plans
    monkeypatch.setattr("aln_p3_core.evaluation.ego_status_mlp.train_ego_status_mlp", None)
    again = trained_mlp(dataset, tmp_path, "val", steps=5)
    assert again is not None
    np.testing.assert_array_equal(baseline_plans(dataset, truth, again)["ego_status_mlp"], plans["ego_status_mlp"])
    monkeypatch.undo()
    (tmp_path / MLP_FILE).write_bytes(b"broken")
    assert trained_mlp(dataset, tmp_path, "val", steps=5) is not None
    other = trained_mlp(dataset, tmp_path, "val", steps=6)
    assert other is not None
    assert not np.array_equal(baseline_plans(dataset, truth, other)["ego_status_mlp"], plans["ego_status_mlp"])
