"""The image backbone of a recipe."""

from __future__ import annotations

from pathlib import Path

from aln_p3_core.config import BackboneConfig, ImageConfig
from aln_p3_core.driver.convolution import Backbone
from aln_p3_core.driver.efficientnet import EfficientNetLite0, packaged_weights
from aln_p3_core.driver.resnet import ResNet50
from aln_p3_core.driver.resnet_weights import torchvision_file
from aln_p3_core.errors import CheckpointError


def make_backbone(
    config: BackboneConfig, load_pretrained: bool = True, *, image: ImageConfig | None = None, weights: str = ""
) -> Backbone:
    """The backbone of a recipe, with its pretrained weights where the recipe asks for them.

    Args:
        config: of the recipe.
        load_pretrained: False leaves them out all the same.
        image: how pictures are scaled, which a ResNet's weights are fitted to; RGB in ImageNet's scale when None.
        weights: file of the pretrained weights; "" for the installed ones.

    Raises:
        CheckpointError: when the pretrained weights are not installed, or do not fit.
    """
    backbone: Backbone = ResNet50(config) if config.kind == "resnet50" else EfficientNetLite0(config)
    if config.pretrained and load_pretrained:
        backbone.load_pretrained(pretrained_file(config, weights), image or ImageConfig())
    # A module starts out in training mode without `train` being called, and its norms would collect statistics.
    return backbone.train()


def pretrained_file(config: BackboneConfig, named: str = "") -> Path:
    """The file of a backbone's pretrained weights: the one that is named, or the installed one.

    Raises:
        CheckpointError: when it is not there, with where it is to be had.
    """
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise CheckpointError(f"no pretrained backbone at {path}")
        return path
    if config.kind == "resnet50":
        return torchvision_file()
    return packaged_weights()
