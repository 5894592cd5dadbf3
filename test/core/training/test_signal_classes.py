"""Lights as classes, on the targets that clips hand out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.training.augmentation import AugmentationSettings
from aln_p3_core.training.clips import ClipDataset, collate_clips
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import DataSettings
from aln_p3_core.training.signal_classes import SIGNAL_CLASSES, signal_classes

CONFIG = small_recipe()
COLORS = ("off", "red", "yellow", "green", "green_yield")


def test_lights_of_a_root_reach_the_batch_without_a_new_store(make_root: Callable[..., Path], tmp_path: Path) -> None:
    root = write_scenes(make_root, 2, samples=7)
    store = FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.suffix}
    assert (signal_classes(NuScenesDataset(root), store.tokens) == -1).all()
    # Told afterwards: the first scene's lights, and that the next frame has none ahead.
    first, second = (scene.tokens for scene in store.scenes)
    rows = {token: {"color": color, "distance_m": 5.0} for token, color in zip(first, COLORS, strict=False)}
    (root / "signal_ahead.json").write_text(json.dumps(rows | {first[5]: None}))
    dataset = NuScenesDataset(root)
    store = FrameStore.build(dataset, CONFIG, tmp_path / "store", progress=False)
    assert {path: path.stat().st_mtime_ns for path in written} == written

    signals = signal_classes(dataset, store.tokens)
    assert signals.dtype == np.int8 and signals.tolist() == [0, 1, 2, 3, 3, 0, -1] + [-1] * len(second)
    assert SIGNAL_CLASSES == ("none", "red", "yellow", "green")
    ends = [8, 4, 1, 5]
    data = DataSettings(clip_frames=2)
    for augmentation in (None, AugmentationSettings(flip_probability=1.0)):
        clips = ClipDataset(store, ends, CONFIG, data, augmentation, signals=signals)
        batch = collate_clips([clips[place] for place in range(len(ends))])
        assert pad_targets(batch.targets).signal_B.tolist() == [-1, 3, 1, 0]
    unknown = ClipDataset(store, ends, CONFIG, data)
    assert [int(unknown[place].targets.signal) for place in range(len(ends))] == [-1] * 4
