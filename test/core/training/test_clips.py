"""Clips: which frames they take, what they remember, and that any process reads the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stored_scenes import small_recipe, write_scenes
from torch.utils.data import DataLoader

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.memory import can_bus_with_differences
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.batch import ClipFrame, TrainingBatch
from aln_p3_core.training.clips import ClipDataset, ClipDraw, collate_clips
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.sampler import ClipSampler
from aln_p3_core.training.settings import AugmentationSettings, DataSettings

CONFIG = small_recipe()
STEADY = DataSettings(clip_frames=3, clip_spares=0, fresh_start_probability=0.0)


@pytest.fixture
def store(make_root: Callable[..., Path], tmp_path: Path) -> FrameStore:
    root = write_scenes(make_root, 2, samples=7)
    return FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False)


def dataset_of(store: FrameStore, data: DataSettings, **options: object) -> ClipDataset:
    return ClipDataset(store, range(len(store)), CONFIG, data, **options)  # type: ignore[arg-type]


def frames_of(dataset: ClipDataset, draw: ClipDraw) -> list[int]:
    """Indices of the stored frames in a clip, told by their pictures' addresses."""
    stored = {dataset.store.frame(i).pixels_NHWC.ctypes.data: i for i in range(len(dataset.store))}
    return [stored[frame.pixels_NHWC.ctypes.data] for frame in dataset[draw].frames]  # type: ignore[union-attr]


def test_a_clip_is_read_without_a_copy_and_ends_at_its_frame(store: FrameStore) -> None:
    dataset = ClipDataset(store, [5, 9], CONFIG, STEADY)
    assert len(dataset) == 2
    assert frames_of(dataset, ClipDraw(0)) == [3, 4, 5] and frames_of(dataset, ClipDraw(1)) == [7, 8, 9]
    assert dataset[1].targets.token == store.tokens[9]


def test_ego_motion_is_that_of_the_drivers_memory(store: FrameStore) -> None:
    clip = dataset_of(store, STEADY)[4]
    assert [frame.history_valid for frame in clip.frames] == [False, True, True]
    assert (clip.frames[0].T_prev_cur == np.eye(4)).all() and not clip.frames[0].can_bus[:3].any()
    for number, index in ((1, 3), (2, 4)):
        before, now = store.frame(index - 1), store.frame(index)
        frame = clip.frames[number]
        point = frame.T_prev_cur @ [1.0, 2.0, 3.0, 1.0]
        np.testing.assert_allclose(before.T_global_model @ point, now.T_global_model @ [1, 2, 3, 1], atol=1e-9)
        assert (frame.can_bus == can_bus_with_differences(now.can_bus, before.can_bus)).all()


def test_scenes_begin_with_repetitions_that_nobody_remembers(store: FrameStore) -> None:
    dataset = dataset_of(store, STEADY)
    for index, expected, history in (
        (7, [7, 7, 7], [False, False, False]),
        (8, [7, 7, 8], [False, False, True]),
        (9, [7, 8, 9], [False, True, True]),
    ):
        assert frames_of(dataset, ClipDraw(index)) == expected
        assert [frame.history_valid for frame in dataset[index].frames] == history


def test_one_earlier_frame_is_left_out_by_lot(store: FrameStore) -> None:
    dataset = dataset_of(store, replace(STEADY, clip_spares=1))
    found = Counter(tuple(frames_of(dataset, ClipDraw(6, seed))) for seed in range(60))
    assert set(found) == {(3, 4, 6), (3, 5, 6), (4, 5, 6)} and min(found.values()) > 8
    early = {tuple(frames_of(dataset, ClipDraw(1, seed))) for seed in range(30)}
    assert early == {(0, 0, 1), (1, 1, 1)}
    for seed in range(30):
        clip = dataset[ClipDraw(1, seed)]
        assert [f.history_valid for f in clip.frames] == [False, False, frames_of(dataset, ClipDraw(1, seed))[1] == 0]


def test_some_clips_start_without_memory(store: FrameStore) -> None:
    dataset = dataset_of(store, replace(STEADY, fresh_start_probability=0.25))
    fresh = [not any(f.history_valid for f in dataset[ClipDraw(4, seed)].frames) for seed in range(200)]
    assert 25 < sum(fresh) < 75


def test_nothing_is_remembered_over_a_hole(store: FrameStore) -> None:
    dataset = dataset_of(store, STEADY)
    holes = ClipDataset(store, [4], CONFIG, STEADY)
    frame = store.frame
    shift = {3: 0, 4: 10**9}

    def later(index: int) -> object:
        return replace(frame(index), stamp_ns=frame(index).stamp_ns + shift.get(index, 0))

    holes.store = replace_frame(store, later)
    assert [f.history_valid for f in dataset[4].frames] == [False, True, True]
    assert [f.history_valid for f in holes[0].frames] == [False, True, False]


def replace_frame(store: FrameStore, frame: Callable[[int], object]) -> FrameStore:
    other = replace(store)
    other.frame = frame  # type: ignore[method-assign, assignment]
    return other


def test_batches(store: FrameStore) -> None:
    dataset = dataset_of(store, STEADY)
    batch = collate_clips([dataset[4], dataset[7]])
    assert len(batch) == 2 and len(batch.clip) == 3
    frame = batch.clip[-1]
    assert frame.pixels_BNHWC is not None and frame.pixels_BNHWC.dtype == torch.uint8
    assert frame.pixels_BNHWC.shape == (2, 6, 64, 96, 3) and frame.features is None
    assert frame.rows_BN.dtype == torch.int64 and frame.camera_valid_BN.dtype == torch.bool
    assert frame.model2img_BN44.dtype == frame.T_prev_cur_B44.dtype == frame.can_bus_B18.dtype == torch.float32
    assert frame.ego_status_B8.shape == (2, 8) and frame.history_valid_B.tolist() == [True, False]
    assert (frame.pixels_BNHWC[0].numpy() == store.frame(4).pixels_NHWC).all()


def equal(one: TrainingBatch, two: TrainingBatch) -> bool:
    def same(a: object, b: object) -> bool:
        return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b

    frames = all(
        same(getattr(a, name), getattr(b, name))
        for a, b in zip(one.clip, two.clip, strict=True)
        for name in ClipFrame.__slots__
    )
    return frames and [t.token for t in one.targets] == [t.token for t in two.targets]


def test_worker_processes_read_the_same_batches(store: FrameStore) -> None:
    augmentation = AugmentationSettings(1.0, 0.5, flip_probability=0.5, camera_dropout_probability=0.5)
    dataset = dataset_of(store, DataSettings(), augmentation=augmentation)
    batches: list[list[TrainingBatch]] = []
    for workers in (0, 2):
        sampler = ClipSampler(np.ones(len(dataset)), 4, seed=3)
        loader = DataLoader(dataset, batch_sampler=sampler, num_workers=workers, collate_fn=collate_clips)
        batches.append([batch for batch, _ in zip(loader, range(5), strict=False)])
    assert all(equal(a, b) for a, b in zip(*batches, strict=True))
    other = DataLoader(dataset, batch_sampler=ClipSampler(np.ones(len(dataset)), 4, seed=4), collate_fn=collate_clips)
    assert not equal(next(iter(other)), batches[0][0])


def test_impossible_lengths_are_refused(store: FrameStore) -> None:
    with pytest.raises(ConfigError, match="clip_frames"):
        dataset_of(store, DataSettings(clip_frames=0))
    with pytest.raises(ConfigError, match="clip_spares"):
        dataset_of(store, DataSettings(clip_spares=-1))
