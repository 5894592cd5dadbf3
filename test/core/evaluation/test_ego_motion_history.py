from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.evaluation.ego_motion import ego_motion


def test_motion_looks_back_only(make_root: Callable[..., Path]) -> None:
    # Straight on at 10 m/s until 2 s, then around a corner.
    def drive(t: float) -> tuple[float, float, float]:
        return (100 + 10 * t, 50.0, 0.0) if t <= 2 else (120.0, 50 + 10 * (t - 2), np.pi / 2)

    dataset = NuScenesDataset(make_root(ego=drive))
    motion = ego_motion(dataset, dataset.tokens)
    assert motion.known.tolist() == [False] + [True] * 8
    np.testing.assert_array_equal(motion.past_mask.sum(axis=1)[:6], [0, 1, 2, 3, 4, 4])
    np.testing.assert_allclose(motion.velocities[4], [10, 0], atol=1e-6)
    np.testing.assert_allclose(motion.accelerations[4], 0, atol=1e-6)
    np.testing.assert_allclose(motion.past_ego[4], [[-5, 0], [-10, 0], [-15, 0], [-20, 0]], atol=1e-6)
    # Half a second later the car looks along y, and its past lies behind and to the left.
    np.testing.assert_allclose(motion.past_ego[5], [[-5, 0], [-5, 5], [-5, 10], [-5, 15]], atol=1e-6)
    assert (motion.past_ego[~motion.past_mask] == 0).all()
