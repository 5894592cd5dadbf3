"""Kept BEV maps: bit for bit those of the encoder, and never those of other weights, pictures or memories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction_helpers import arrays

from aln_p3_core.config import get_recipe, with_overrides
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.checkpoint import load_checkpoint, save_checkpoint
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.kept_maps import KeptMaps
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.evaluation.predictions import DriverPredictor, predict


def kept_files(folder: Path) -> dict[str, list[str]]:
    return {encoder.name: sorted(file.name for file in encoder.iterdir()) for encoder in sorted(folder.iterdir())}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_kept_maps_change_no_number(
    two_scenes: Path, small_checkpoint: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = NuScenesDataset(two_scenes)
    plain = DriverPredictor(small_checkpoint, precision=precision)
    expected = predict(plain, dataset, dataset.scenes, progress=False)
    keeping = DriverPredictor(small_checkpoint, precision=precision, maps=tmp_path / "maps")
    assert keeping.identity() == plain.identity()

    encoded: list[int] = []
    encode = DriverNetwork.encode_bev
    monkeypatch.setattr(DriverNetwork, "encode_bev", lambda *a: encoded.append(1) or encode(*a))
    for _ in range(2):
        again = DriverPredictor(small_checkpoint, precision=precision, maps=tmp_path / "maps")
        found = predict(again, dataset, dataset.scenes, progress=False)
        assert all(np.array_equal(a, b) for a, b in zip(arrays(found), arrays(expected), strict=True))
        assert len(encoded) == len(expected), "each frame is encoded once"
    withheld = keeping.with_settings(ego_status="withheld")
    without = predict(withheld, dataset, dataset.scenes, progress=False)
    assert len(encoded) == len(expected), "nor is it for a driver that is not told its speed"
    bare = predict(plain.with_settings(ego_status="withheld"), dataset, dataset.scenes, progress=False)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(without), arrays(bare), strict=True))


def test_maps_are_of_one_encoder_and_serve_all_decoders(
    two_scenes: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    dataset = NuScenesDataset(two_scenes)
    maps = tmp_path / "maps"
    predict(DriverPredictor(small_checkpoint, maps=maps), dataset, ["scene-0001"], progress=False)
    (encoder,) = before = kept_files(maps)
    for part, encoders in (("planner", 1), ("bev_encoder", 2)):
        config, state, _ = load_checkpoint(small_checkpoint)
        network = DriverNetwork(config, load_pretrained=False)
        network.load_state_dict(state)
        with torch.no_grad():
            for parameter in getattr(network, part).parameters():
                parameter.mul_(1.1)
        other = tmp_path / part / "other.safetensors"
        save_checkpoint(other, network, config)
        changed = DriverPredictor(other, maps=maps)
        found = predict(changed, dataset, ["scene-0001"], progress=False)
        plain = predict(DriverPredictor(other), dataset, ["scene-0001"], progress=False)
        assert all(np.array_equal(a, b) for a, b in zip(arrays(found), arrays(plain), strict=True))
        assert len(kept_files(maps)) == encoders and kept_files(maps)[encoder] == before[encoder]


def test_a_half_written_file_is_made_again(two_scenes: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    first = predict(DriverPredictor(small_checkpoint, maps=tmp_path), dataset, ["scene-0001"], progress=False)
    files = list(tmp_path.rglob("*.safetensors"))
    sizes = {file: file.stat().st_size for file in files}
    for file in files:
        file.write_bytes(file.read_bytes()[:1000])
    again = predict(DriverPredictor(small_checkpoint, maps=tmp_path), dataset, ["scene-0001"], progress=False)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(first), arrays(again), strict=True))
    assert {file: file.stat().st_size for file in tmp_path.rglob("*.safetensors")} == sizes


@pytest.fixture(scope="module")
def network() -> DriverNetwork:
    return DriverNetwork(with_overrides(get_recipe("nano"), {"backbone.pretrained": False}), load_pretrained=False)


def read(changes: Mapping[str, Any]) -> DriverInputs:
    given: dict[str, Any] = {
        "images_BNCHW": torch.zeros(1, 6, 3, 4, 4),
        "model2img_BN44": torch.eye(4).expand(1, 6, 4, 4),
        "camera_valid_BN": torch.ones(1, 6, dtype=torch.bool),
        "prev_bev_BRSD": torch.zeros(1, 2, 2, 4),
        "T_prev_cur_B44": torch.eye(4)[None],
        "can_bus_B18": torch.zeros(1, 18),
        "ego_status_B8": torch.zeros(1, 8),
    }
    return DriverInputs(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"ego_status_B8": torch.ones(1, 8)}, True),
        ({"images_BNCHW": torch.full((1, 6, 3, 4, 4), 1e-6)}, False),
        ({"images_BNCHW": torch.zeros(1, 6, 3, 4, 4, dtype=torch.bfloat16)}, False),
        ({"camera_valid_BN": torch.tensor([[True] * 5 + [False]])}, False),
        ({"model2img_BN44": 2 * torch.eye(4).expand(1, 6, 4, 4)}, False),
        ({"prev_bev_BRSD": torch.ones(1, 2, 2, 4)}, False),
        ({"prev_bev_BRSD": None, "T_prev_cur_B44": None}, False),
        ({"T_prev_cur_B44": 2 * torch.eye(4)[None]}, False),
        ({"can_bus_B18": torch.ones(1, 18)}, False),
    ],
)
def test_a_map_goes_by_everything_that_its_encoder_reads(
    network: DriverNetwork, tmp_path: Path, changes: Mapping[str, Any], same: bool
) -> None:
    kept = KeptMaps(tmp_path, network, {"precision": "fp32"})
    kept.of(read({}), lambda: (torch.full((1, 2, 2, 4), 7.0), None))
    bev, image = kept.of(read(changes), lambda: (torch.zeros(1, 2, 2, 4), torch.ones(1, 3, 4)))
    assert bool((bev == 7.0).all()) == same and (image is None) == same
    assert KeptMaps(tmp_path, network, {"precision": "bf16"}).folder != kept.folder
