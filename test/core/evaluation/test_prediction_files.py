"""Predictions in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aln_p3_core.evaluation.prediction_files import load_predictions, save_predictions
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.scene import Agents, MapElements


def agents(count: int, seed: int) -> Agents:
    rng = np.random.default_rng(seed)
    numbers = [
        rng.normal(size=shape).astype(np.float32) for shape in ((count, 3), (count, 3), count, (count, 2), count)
    ]
    ids = np.arange(count)
    forecasts = rng.normal(size=(count, 6, 6, 2)).astype(np.float32)
    return Agents(*numbers, ids, forecasts, np.ones((count, 6), np.float32) / 6, ids, ("car", "bus"), 0.25)


def lines(count: int) -> MapElements:
    points = np.full((count, 4, 2), 0.5, np.float32)
    return MapElements(points, np.ones(count, np.float32), np.zeros(count, np.int64), np.arange(count))


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    plans = np.random.default_rng(0).normal(size=(3, 6, 2))
    command = RouteCommand(Command.LEFT, CommandProvenance.GROUND_TRUTH)
    written = [
        SamplePrediction("a", "s", plans[1], plans, agents(3, 1), lines(2), command),
        SamplePrediction("b", "s", plans[0], -plans, agents(0, 2), lines(0)),
    ]
    save_predictions(tmp_path / "f.npz", "key", written)
    read = load_predictions(tmp_path / "f.npz", "key")
    assert read is not None and [(p.token, p.scene, p.command) for p in read] == [
        (p.token, p.scene, p.command) for p in written
    ]
    for one, other in zip(written, read, strict=True):
        assert np.array_equal(one.plan_model, other.plan_model) and np.array_equal(one.plans_model, other.plans_model)
        assert other.agents.class_names == ("car", "bus") and other.agents.step_s == 0.25
        for name in ("centers_model", "sizes_lwh", "scores", "class_ids", "forecasts_model", "query_ids"):
            a, b = getattr(one.agents, name), getattr(other.agents, name)
            assert np.array_equal(a, b) and a.dtype == b.dtype
        assert np.array_equal(one.map_elements.points_model, other.map_elements.points_model)


def test_plans_alone_and_no_samples(tmp_path: Path) -> None:
    save_predictions(tmp_path / "f.npz", "key", [SamplePrediction("a", "s", np.ones((6, 2)))])
    (only,) = load_predictions(tmp_path / "f.npz", "key")
    assert only.agents is None and only.map_elements is None and only.plans_model is None
    save_predictions(tmp_path / "g.npz", "key", [])
    assert load_predictions(tmp_path / "g.npz", "key") == []


def test_a_file_that_does_not_hold_is_none(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    assert load_predictions(path, "key") is None
    save_predictions(path, "key", [SamplePrediction("a", "s", np.ones((6, 2)))])
    assert load_predictions(path, "other") is None
    path.write_bytes(path.read_bytes()[:200])
    assert load_predictions(path, "key") is None
    np.savez(path, something=np.ones(3))
    assert load_predictions(path, "key") is None
    assert list(tmp_path.glob(".*")) == []
