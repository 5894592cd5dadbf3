"""What augmentation changes, what it leaves, and that it comes from the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.training.augmentation import augmented, color_maps, grid_mask
from aln_p3_core.training.clip_data import Clip
from aln_p3_core.training.clips import ClipDataset, ClipDraw
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.settings import AugmentationSettings, DataSettings

CONFIG = small_recipe()
NOTHING = AugmentationSettings(0.0, 0.0, camera_dropout_probability=0.0)
DATA = DataSettings(clip_frames=2, clip_spares=0, fresh_start_probability=0.0)


@pytest.fixture
def dataset(make_root: Callable[..., Path], tmp_path: Path) -> ClipDataset:
    root = write_scenes(make_root, 1, samples=4)
    store = FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False)
    return ClipDataset(store, range(len(store)), CONFIG, DATA)


def changed(clip: Clip, seed: int = 0, **settings: float) -> Clip:
    return augmented(clip, replace(NOTHING, **settings), CONFIG, np.random.default_rng(seed))


def test_nothing_drawn_changes_nothing_and_copies_nothing(dataset: ClipDataset) -> None:
    clip = dataset[2]
    same = changed(clip)
    assert all(a is b for a, b in zip(same.frames, clip.frames, strict=True)) and same.targets is clip.targets


def test_colours_change_alike_in_all_frames_of_a_camera_and_the_store_stays(dataset: ClipDataset) -> None:
    clip = dataset[2]
    before = [frame.pixels_NHWC.copy() for frame in clip.frames]  # type: ignore[union-attr]
    out = changed(clip, photometric_probability=1.0)
    maps = set()
    for old, new, clip_frame in zip(before, out.frames, clip.frames, strict=True):
        assert clip_frame.pixels_NHWC is not None and new.pixels_NHWC is not None
        assert (clip_frame.pixels_NHWC == old).all()
        # Pictures of the made-up root are evenly grey: grey stays grey, and one number tells the change.
        for camera in range(6):
            rows = clip_frame.rows_N[camera]
            colours = np.unique(new.pixels_NHWC[camera, :rows].reshape(-1, 3), axis=0)
            assert len(colours) == 1 and np.ptp(colours[0].astype(int)) <= 1
            assert abs(int(colours[0, 0]) - int(old[camera, 0, 0, 0])) < 128
        maps.add(tuple(new.pixels_NHWC[:, 0, 0, 0]))
    assert all(len(set(values)) > 1 for values in maps), "each camera has a draw of its own"
    again = changed(clip, photometric_probability=1.0)
    assert (again.frames[1].pixels_NHWC == out.frames[1].pixels_NHWC).all()  # type: ignore[union-attr]
    other = changed(clip, seed=1, photometric_probability=1.0)
    assert (other.frames[1].pixels_NHWC != out.frames[1].pixels_NHWC).any()  # type: ignore[union-attr]


@given(st.integers(0, 10_000), st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_colour_order_does_not_matter(seed: int, colour: list[int]) -> None:
    rgb = color_maps(2, "rgb", np.random.default_rng(seed))
    bgr = color_maps(2, "bgr", np.random.default_rng(seed))
    pixel = np.array(colour, dtype=np.float64)
    for a, b in zip(rgb, bgr, strict=True):
        np.testing.assert_allclose((b @ [*pixel[::-1], 1])[::-1], a @ [*pixel, 1], atol=1e-9)


def test_hue_turns_and_saturation_fades_as_in_a_colour_wheel() -> None:
    class Fixed:
        def __init__(self, *values: float) -> None:
            self.values = list(values)

        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.full(count, self.values.pop(0))

    neutral = color_maps(1, "rgb", Fixed(0.0, 1.0, 1.0, 0.0))[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(neutral, np.eye(3, 4), atol=1e-12)
    turned = color_maps(1, "rgb", Fixed(0.0, 1.0, 1.0, 18.0))[0] @ [200, 100, 100, 1]  # type: ignore[arg-type]
    hue = cv2.cvtColor(turned.round().astype(np.uint8)[None, None], cv2.COLOR_RGB2HSV)[0, 0, 0]
    assert 14 <= 2 * int(hue) <= 22
    grey = color_maps(1, "rgb", Fixed(10.0, 1.0, 0.0, 0.0))[0] @ [200, 100, 50, 1]  # type: ignore[arg-type]
    np.testing.assert_allclose(grey, 0.299 * 200 + 0.587 * 100 + 0.114 * 50 + 10)


def test_the_grid_blanks_squares_of_the_ratio(dataset: ClipDataset) -> None:
    shares = []
    for seed in range(200):
        mask = grid_mask((64, 96), 0.5, np.random.default_rng(seed))
        assert (mask == (mask.any(axis=1)[:, None] & mask.any(axis=0))).all()
        shares.append(mask.mean())
    assert np.mean(shares) == pytest.approx(0.25, abs=0.04) and min(shares) < 0.2
    clip = dataset[2]
    out = changed(clip, grid_mask_probability=1.0)
    fill = np.array([127, 127, 127])
    for old, new in zip(clip.frames, out.frames, strict=True):
        assert old.pixels_NHWC is not None and new.pixels_NHWC is not None
        differs = (new.pixels_NHWC != old.pixels_NHWC).any(axis=-1)
        assert differs.any() and (new.pixels_NHWC[differs] == fill).all()
        assert (differs[0, :54] == differs[3, :54]).all(), "one grid for all pictures"


def test_a_camera_is_lost_as_on_the_road(dataset: ClipDataset, make_root: Callable[..., Path]) -> None:
    clip = dataset[2]
    out = changed(clip, camera_dropout_probability=1.0)
    (camera,) = np.flatnonzero(~out.frames[0].camera_valid_N)
    for frame in out.frames:
        assert np.flatnonzero(~frame.camera_valid_N).tolist() == [camera]
        assert frame.rows_N[camera] == 0 and not frame.model2img_N44[camera].any()
        assert frame.pixels_NHWC is not None and (frame.pixels_NHWC[camera] == 127).all()
    lost = {int(np.flatnonzero(~changed(clip, s, camera_dropout_probability=1.0).frames[0].camera_valid_N)[0])
            for s in range(40)}  # fmt: skip
    assert lost == set(range(6))
    for frame in clip.frames:
        frame.camera_valid_N = np.arange(6) == camera
    assert [f.camera_valid_N.sum() for f in changed(clip, camera_dropout_probability=1.0).frames] == [1, 1]


def test_the_ego_status_is_withheld_as_on_the_road(dataset: ClipDataset) -> None:
    clip = dataset[2]
    for frame in clip.frames:
        frame.can_bus[7:16] = np.arange(1, 10)
    out = changed(clip, ego_status_dropout_probability=1.0)
    for old, new in zip(clip.frames, out.frames, strict=True):
        assert old.ego_status.any() and not new.ego_status.any()
        assert not new.can_bus[7:16].any() and old.can_bus[7:16].any()
        assert (new.can_bus[[0, 1, 2, 16, 17]] == old.can_bus[[0, 1, 2, 16, 17]]).all()


def test_everything_follows_the_draws_seed(dataset: ClipDataset) -> None:
    everything = AugmentationSettings(0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    other = ClipDataset(dataset.store, dataset.indices, CONFIG, DATA, everything)
    for seed in range(8):
        one, two = other[ClipDraw(2, seed)], other[ClipDraw(2, seed)]
        for a, b in zip(one.frames, two.frames, strict=True):
            assert a.pixels_NHWC is not None and b.pixels_NHWC is not None
            assert (a.pixels_NHWC == b.pixels_NHWC).all() and (a.ego_status == b.ego_status).all()
            assert (a.camera_valid_N == b.camera_valid_N).all() and (a.T_prev_cur == b.T_prev_cur).all()
