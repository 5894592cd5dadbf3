from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aln_p3_core.errors import CheckpointError, DataError
from aln_p3_core.evaluation.ego_motion import EgoMotion
from aln_p3_core.evaluation.ego_status_mlp import (
    EgoStatusMlp,
    features_of,
    load_ego_status_mlp,
    save_ego_status_mlp,
    train_ego_status_mlp,
)
from aln_p3_core.geometry import virtual_T_ego_model


def drives(count: int, seed: int) -> tuple[EgoMotion, np.ndarray]:
    """Cars at constant speed that turn by their command."""
    rng = np.random.default_rng(seed)
    speed, command = rng.uniform(0, 10, count), rng.integers(0, 3, count)
    times = 0.5 * np.arange(1, 7)
    side = np.array([1.0, -1.0, 0.0])[command, None] * times * 0.3
    futures = np.stack([side * speed[:, None], speed[:, None] * times], axis=-1)
    past = np.stack([-speed[:, None] * times[:4], np.zeros((count, 4))], axis=-1)
    motion = EgoMotion(
        velocities=np.stack([speed, np.zeros(count)], axis=-1),
        accelerations=np.zeros((count, 2)),
        yaw_rates=np.zeros(count),
        known=np.ones(count, dtype=bool),
        past_ego=past,
        past_mask=np.ones((count, 4), dtype=bool),
        commands=command,
        T_ego_model=np.tile(virtual_T_ego_model(), (count, 1, 1)),
    )
    return motion, futures


def test_it_learns_speed_and_command() -> None:
    motion, futures = drives(600, 0)
    network = train_ego_status_mlp(motion, futures, np.ones((600, 6), dtype=bool), steps=400)
    other, truth = drives(200, 1)
    error = np.linalg.norm(network.plan(other) - truth, axis=-1).mean()
    assert error < 0.6
    straight = np.linalg.norm(truth * [0, 1] - truth, axis=-1).mean()
    assert error < straight / 3


def test_masked_steps_teach_nothing_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    motion, futures = drives(64, 2)
    mask = np.ones((64, 6), dtype=bool)
    mask[:, 3:] = False
    spoilt = np.where(mask[..., None], futures, 1e6)
    state = torch.random.get_rng_state()
    first, second = (train_ego_status_mlp(motion, f, mask, steps=20, seed=5) for f in (futures, spoilt))
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(first.plan(motion), second.plan(motion))
    other = train_ego_status_mlp(motion, futures, mask, steps=20, seed=6)
    assert not np.array_equal(first.plan(motion), other.plan(motion))
    path = tmp_path / "folder" / "mlp.safetensors"
    save_ego_status_mlp(first, path, {"split": "train"})
    again, told = load_ego_status_mlp(path)
    assert told["split"] == "train"
    np.testing.assert_array_equal(again.plan(motion), first.plan(motion))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlp.safetensors"
    path.write_bytes(b"no such thing")
    with pytest.raises(CheckpointError, match=r"mlp\.safetensors"):
        load_ego_status_mlp(path)
    from safetensors.torch import save_file

    save_file(EgoStatusMlp().state_dict(), path)
    with pytest.raises(CheckpointError, match="version"):
        load_ego_status_mlp(path)


def test_no_future_is_refused() -> None:
    motion, futures = drives(4, 3)
    with pytest.raises(DataError, match="future"):
        train_ego_status_mlp(motion, futures, np.zeros((4, 6), dtype=bool))


def test_features_are_what_is_known() -> None:
    motion, _ = drives(3, 4)
    features = features_of(motion)
    assert features.shape == (3, EgoStatusMlp().mean.shape[0])
    np.testing.assert_allclose(features[:, 0], motion.velocities[:, 0], rtol=1e-6)
