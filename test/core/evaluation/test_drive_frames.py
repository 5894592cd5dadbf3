"""A scene frame by frame: at key frames, and with the sweeps between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.evaluation.drive_frames import drive_frames


def test_sweeps_come_between_the_same_key_frames(track_root: Path) -> None:
    dataset = NuScenesDataset(track_root)
    slow = list(drive_frames(dataset, dataset.scenes[0]))
    fast = list(drive_frames(dataset, dataset.scenes[0], 10))
    assert all(is_key for _, is_key in slow) and [frame.token for frame, _ in slow] == list(dataset.tokens)
    assert [frame.token for frame, is_key in fast if is_key] == list(dataset.tokens)
    stamps = np.array([frame.reference_stamp_ns for frame, _ in fast])
    assert np.diff(stamps) * 1e-9 == pytest.approx(0.1, abs=1e-3) and len(fast) == 20
    for frame, is_key in fast:
        assert frame.missing_cameras == () and frame.newest_image_stamp_ns <= frame.reference_stamp_ns
        assert frame.reference_stamp_ns - min(v.stamp_ns for v in frame.views.values()) < 150e6
        if not is_key:
            assert frame.drive_id == slow[0][0].drive_id and frame.ego_status is not None
    # A sweep's frame speaks of its own instant: the car has moved on since the key frame.
    moved = np.linalg.norm(fast[1][0].T_global_ego[:3, 3] - fast[0][0].T_global_ego[:3, 3])
    assert moved > 0.3


def test_mistakes_are_explained(make_root: Callable[..., Path]) -> None:
    dataset = NuScenesDataset(make_root())
    with pytest.raises(DataError, match="no sweeps of LIDAR_TOP"):
        list(drive_frames(dataset, "scene-0001", 10))
    with pytest.raises(ConfigError, match="2 or 10 Hz, not at 5"):
        list(drive_frames(dataset, "scene-0001", 5))
