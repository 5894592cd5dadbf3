"""Necks: from backbone maps to `levels` maps of the driver's width, fine to coarse."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import DriverConfig


class FeaturePyramid(nn.Module):
    """FPN (arXiv 1612.03144) as VAD has it.

    1x1 laterals, coarser maps added after nearest upsampling to the finer map's exact size, a 3x3 on each;
    levels beyond the backbone's by strided 3x3 convolutions of the last output, with ReLU before every one
    but the first.
    """

    def __init__(self, channels: tuple[int, ...], width: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.outputs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels[:levels])
        for _ in range(levels - len(channels)):
            self.outputs.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
        for module in [*self.laterals, *self.outputs]:
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        merged = merge_top_down([lateral(m) for lateral, m in zip(self.laterals, maps, strict=True)])
        outputs = [convolution(m) for convolution, m in zip(self.outputs, merged, strict=False)]
        for i in range(len(outputs), self.levels):
            last = outputs[-1] if i == len(merged) else F.relu(outputs[-1])
            outputs.append(self.outputs[i](last))
        return outputs


class LightNeck(nn.Module):
    """Laterals and the top-down path of an FPN, then a depthwise 3x3 and a 1x1 on each level kept.

    Only the `levels` finest maps are kept; coarser ones live on in them.
    """

    def __init__(self, channels: tuple[int, ...], width: int, levels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.outputs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width), nn.ReLU(), nn.Conv2d(width, width, 1))
            for _ in range(levels)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        merged = merge_top_down([lateral(m) for lateral, m in zip(self.laterals, maps, strict=True)])
        return [output(m) for output, m in zip(self.outputs, merged, strict=False)]


def merge_top_down(maps: list[Tensor]) -> list[Tensor]:
    """Adds to every map the next coarser one, enlarged by nearest neighbours."""
    merged = list(maps)
    for i in range(len(merged) - 1, 0, -1):
        merged[i - 1] = merged[i - 1] + F.interpolate(merged[i], size=merged[i - 1].shape[-2:], mode="nearest")
    return merged


def make_neck(config: DriverConfig, channels: tuple[int, ...]) -> nn.Module:
    """The neck of a recipe: FPN behind a ResNet, the light one behind an EfficientNet."""
    kind = FeaturePyramid if config.backbone.kind == "resnet50" else LightNeck
    return kind(channels, config.embed_dims, config.backbone.levels)
