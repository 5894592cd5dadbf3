"""ImageNet weights of torchvision in a ResNet-50: where they are found, and that both see the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from network_helpers import small_config
from resnet_helpers import WIDTH, maps_of, write_weights

from aln_p3_core.config import BackboneConfig, ImageConfig, get_recipe
from aln_p3_core.driver.backbone import make_backbone, pretrained_file
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.resnet_weights import TORCHVISION_FILES
from aln_p3_core.errors import CheckpointError
from aln_p3_core.training.inputs import normalised

SMALL = BackboneConfig(
    "resnet50", base_channels=WIDTH, stem_channels=WIDTH, out_stages=(1, 2, 3, 4), levels=4, pretrained=True
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's hub: the folder of its files."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@torch.no_grad()
@pytest.mark.parametrize(
    "image",
    [ImageConfig(), get_recipe("base").image, ImageConfig(std=(50.0, 60.0, 70.0))],
    ids=["ImageNet's", "released VAD's", "another scale"],
)
def test_maps_are_those_of_the_network_that_the_weights_are_of(image: ImageConfig, tmp_path: Path) -> None:
    state = write_weights(tmp_path / "resnet.pth")
    backbone = make_backbone(SMALL, image=image, weights=str(tmp_path / "resnet.pth")).eval()
    pixels_rgb = np.random.default_rng(0).integers(0, 256, (1, 2, 64, 96, 3), np.uint8)
    rows = torch.tensor([[64, 40]])  # the second picture is padded below: zero in any scale
    config = small_config(image__height=64, image__width=96)

    def seen(image: ImageConfig) -> torch.Tensor:
        own = pixels_rgb if image.color == "rgb" else pixels_rgb[..., ::-1].copy()
        object.__setattr__(config, "image", image)
        return normalised(torch.from_numpy(own), rows, config).flatten(0, 1)

    for ours, theirs in zip(backbone(seen(image)), maps_of(state, seen(ImageConfig())), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=2e-4)


def test_other_means_are_refused(tmp_path: Path) -> None:
    write_weights(tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"image\.mean"):
        make_backbone(SMALL, image=ImageConfig(mean=(127.0, 127.0, 127.0)), weights=str(tmp_path / "resnet.pth"))
    with pytest.raises(CheckpointError, match=r"image\.mean"):  # ImageNet's, in the other order
        make_backbone(SMALL, image=ImageConfig(color="bgr"), weights=str(tmp_path / "resnet.pth"))


@pytest.mark.parametrize("name", TORCHVISION_FILES)
def test_the_cache_of_torchs_hub_is_looked_into(name: str, hub: Path) -> None:
    state = write_weights(hub / name, counted=False)
    assert pretrained_file(SMALL) == hub / name
    network = make_backbone(SMALL)
    assert torch.equal(network.state_dict()["stages.3.2.expand.norm.running_var"], state["layer4.2.bn3.running_var"])
    assert torch.equal(network.state_dict()["stem.conv.weight"], state["conv1.weight"])


def test_absent_weights_are_told_with_where_to_get_them(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"hub/checkpoints/resnet50-0676ba61\.pth is missing.*pytorch\.org"):
        make_backbone(SMALL)
    with pytest.raises(CheckpointError, match=r"no pretrained backbone at .*mine\.pth"):
        make_backbone(SMALL, weights=str(tmp_path / "mine.pth"))
    make_backbone(SMALL, load_pretrained=False)
    # Without training nobody needs them: a driver of full size is made as before.
    assert not get_recipe("base").backbone.pretrained


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pth"
    write_weights(path, width=8)
    with pytest.raises(CheckpointError, match=r"is no such ResNet-50:\n +wrong shape: bn1\.bias"):
        make_backbone(SMALL, weights=str(path))
    torch.save({"conv1.weight": torch.zeros(1), "model": print}, path)  # more than plain weights
    with pytest.raises(CheckpointError, match="cannot be read as plain weights"):
        make_backbone(SMALL, weights=str(path))


def test_a_network_takes_the_named_file_for_its_own_pictures(tmp_path: Path) -> None:
    state = write_weights(tmp_path / "resnet.pth")
    config = small_config(
        backbone__kind="resnet50", backbone__base_channels=WIDTH, backbone__stem_channels=WIDTH,
        backbone__pretrained=True, backbone__out_stages=[4], backbone__frozen_blocks=0, image__std=[1.0, 1.0, 1.0],
        image__mean=[103.53, 116.28, 123.675], image__color="bgr",
    )  # fmt: skip
    network = DriverNetwork(config, backbone_weights=str(tmp_path / "resnet.pth"))
    stem = network.backbone.state_dict()["stem.conv.weight"]
    torch.testing.assert_close(stem[:, 0], state["conv1.weight"][:, 2] / 57.375)
