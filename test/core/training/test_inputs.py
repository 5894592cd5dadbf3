"""A stored frame gives the network exactly what the driver gives it on the road."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from aln_p3_core.config import get_recipe, with_overrides
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.driver import Driver
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.training.clips import ClipDataset, collate_clips
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.inputs import driver_inputs
from aln_p3_core.training.settings import DataSettings

SETTINGS = {"image.height": 96, "image.width": 160, "bev.rows": 8, "bev.columns": 8}


@pytest.mark.parametrize("ego_status", ["none", "bev", "planner"])
def test_stored_frames_give_the_inputs_of_the_road_bit_for_bit(
    track_root: Path, tmp_path: Path, ego_status: str
) -> None:
    dataset = NuScenesDataset(track_root)
    driver = Driver.from_recipe(
        "nano", overrides={**SETTINGS, "ego_status": ego_status}, device="cpu", precision="fp32"
    )
    store = FrameStore.build(dataset, driver.config, tmp_path, progress=False)
    data = DataSettings(clip_frames=3, clip_spares=0, fresh_start_probability=0.0)
    batch = collate_clips([ClipDataset(store, [2], driver.config, data)[0]])

    previous_bev = None
    for frame, clip_frame in zip(list(dataset)[:3], batch.clip, strict=True):
        road = _inputs_of(driver, frame)
        stored = driver_inputs(clip_frame, driver.config, "cpu", previous_bev)
        previous_bev = torch.zeros(1, 8, 8, 128) if road.prev_bev_BRSD is None else road.prev_bev_BRSD
        for field in dataclasses.fields(DriverInputs):
            if field.name in ("prev_bev_BRSD", "history_valid_B"):
                continue
            ours, theirs = getattr(stored, field.name), getattr(road, field.name)
            assert (ours is None) == (theirs is None), field.name
            if ours is not None:
                assert ours.dtype == theirs.dtype, field.name
                assert torch.equal(ours, theirs), field.name
    assert [bool(frame.history_valid_B) for frame in batch.clip] == [False, True, True]


def _inputs_of(driver: Driver, frame: object) -> DriverInputs:
    """The inputs that the driver computes for its next frame."""
    caught: list[DriverInputs] = []
    own = driver.inputs

    def catching(*arguments: object) -> DriverInputs:
        caught.append(own(*arguments))  # type: ignore[arg-type]
        return caught[-1]

    driver.inputs = catching  # type: ignore[method-assign, assignment]
    try:
        driver.infer(frame)  # type: ignore[arg-type]
    finally:
        driver.inputs = own  # type: ignore[method-assign]
    return caught[0]


def test_where_features_are_given_pictures_are_only_a_size(track_root: Path, tmp_path: Path) -> None:
    config = with_overrides(get_recipe("nano"), SETTINGS)
    store = FrameStore.build(NuScenesDataset(track_root), config, tmp_path, progress=False)
    frame = collate_clips([ClipDataset(store, [0], config, DataSettings(clip_frames=1))[0]]).clip[0]
    inputs = driver_inputs(
        dataclasses.replace(frame, pixels_BNHWC=None, features=torch.zeros(6, 1, 2, 2)), config, "cpu", None
    )
    assert inputs.images_BNCHW.shape == (1, 6, 3, 96, 160)
    assert inputs.images_BNCHW.untyped_storage().nbytes() == 4
