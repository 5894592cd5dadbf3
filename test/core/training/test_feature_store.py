"""Stored features are what the frozen part of the backbone gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.clips import ClipDataset, collate_clips
from aln_p3_core.training.feature_store import FeatureStore, prefix_hash
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.inputs import driver_inputs, image_prefix
from aln_p3_core.training.settings import AugmentationSettings, DataSettings

CONFIG = small_recipe(backbone__frozen_blocks=5)
DATA = DataSettings(clip_frames=2, clip_spares=0, fresh_start_probability=0.0)


@pytest.fixture
def store(make_root: Callable[..., Path], tmp_path: Path) -> FrameStore:
    root = write_scenes(make_root, 5, samples=2, lost=((1, "CAM_BACK"),))
    return FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False)


def test_features_are_those_of_the_network(store: FrameStore, network: DriverNetwork, tmp_path: Path) -> None:
    features = FeatureStore.build(store, network, tmp_path / "features", progress=False)
    assert network.training, "the network is left as it was"
    pictures = ClipDataset(store, range(len(store)), CONFIG, DATA)
    kept = ClipDataset(store, range(len(store)), CONFIG, DATA, features=features)
    places = (1, 6, 9)
    for ours, theirs in zip(
        collate_clips([kept[i] for i in places]).clip, collate_clips([pictures[i] for i in places]).clip, strict=True
    ):
        assert ours.pixels_BNHWC is None and ours.features is not None and ours.features.dtype == torch.float16
        network.eval()
        with torch.inference_mode():
            stored = image_prefix(ours, driver_inputs(ours, CONFIG, "cpu", None), network)
            computed = image_prefix(theirs, driver_inputs(theirs, CONFIG, "cpu", None), network)
        assert stored.dtype == torch.float32 and stored.shape == computed.shape
        torch.testing.assert_close(stored, computed, rtol=2e-3, atol=2e-3)
        assert computed.abs().max() > 1


def test_what_is_there_is_not_computed_again(store: FrameStore, network: DriverNetwork, tmp_path: Path) -> None:
    def files() -> dict[str, int]:
        return {path.parent.name: path.stat().st_mtime_ns for path in features.location.glob("shard-*/features.npy")}

    features = FeatureStore.build(store, network, tmp_path / "features", progress=False, share=(0, 2))
    first = files()
    assert len(first) == 1 and len(store.shards) == 2
    FeatureStore.build(store, network, tmp_path / "features", progress=False, share=(0, 1))
    both = files()
    assert len(both) == 2 and first.items() <= both.items()

    path = features.location / store.shards[0].name / "features.npy"
    os.truncate(path, path.stat().st_size - 1)
    FeatureStore.build(store, network, tmp_path / "features", progress=False)
    changed = [name for name, time in files().items() if both[name] != time]
    assert changed == [store.shards[0].name]


def test_a_fresh_network_is_left_as_it_was_and_gives_the_same_features(
    store: FrameStore, network: DriverNetwork, tmp_path: Path
) -> None:
    """Batch norms of a network that nobody has called train() or eval() on would note what goes through them."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    features = FeatureStore.build(store, network, tmp_path / "features", progress=False)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert FeatureStore.build(store, network, tmp_path / "features", progress=False).location == features.location


def test_other_frozen_weights_get_other_features(network: DriverNetwork) -> None:
    before = prefix_hash(network)
    with torch.no_grad():
        network.backbone.blocks[5].project.conv.weight.add_(1)  # type: ignore[union-attr, index]
    assert prefix_hash(network) == before, "the part that is trained does not count"
    with torch.no_grad():
        next(network.backbone.parameters()).add_(1)
    assert prefix_hash(network) != before


def test_without_a_frozen_part_there_is_nothing_to_store(store: FrameStore, tmp_path: Path) -> None:
    network = DriverNetwork(small_recipe(backbone__frozen_blocks=0))
    with pytest.raises(ConfigError, match="frozen_blocks"):
        FeatureStore.build(store, network, tmp_path / "features", progress=False)


def test_features_are_not_mirrored(store: FrameStore, network: DriverNetwork, tmp_path: Path) -> None:
    features = FeatureStore.build(store, network, tmp_path / "features", progress=False)
    with pytest.raises(ConfigError, match="flip_probability"):
        ClipDataset(store, [1], CONFIG, DATA, AugmentationSettings(flip_probability=0.5), features)
    everything = AugmentationSettings(1.0, 1.0, camera_dropout_probability=1.0, ego_status_dropout_probability=1.0)
    frame = collate_clips([ClipDataset(store, [1], CONFIG, DATA, everything, features)[0]]).clip[-1]
    assert frame.features is not None and int(frame.camera_valid_BN.sum()) in (4, 5)
    assert not frame.ego_status_B8.any()
