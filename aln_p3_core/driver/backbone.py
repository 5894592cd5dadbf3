"""The image backbone of a recipe."""

from __future__ import annotations

from aln_p3_core.config import BackboneConfig
from aln_p3_core.driver.convolution import Backbone
from aln_p3_core.driver.efficientnet import EfficientNetLite0
from aln_p3_core.driver.resnet import ResNet50


def make_backbone(config: BackboneConfig, load_pretrained: bool = True) -> Backbone:
    """The backbone of a recipe, with its pretrained weights where the recipe asks for them.

    Raises:
        CheckpointError: when the pretrained weights are not installed.
    """
    if config.kind == "resnet50":
        return ResNet50(config).train()
    backbone = EfficientNetLite0(config)
    if config.pretrained and load_pretrained:
        backbone.load_pretrained()
    # A module starts out in training mode without `train` being called, and its norms would collect statistics.
    return backbone.train()
