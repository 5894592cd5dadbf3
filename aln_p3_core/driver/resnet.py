"""ResNet-50, pytorch style: bottlenecks with the stride in the 3x3 (arXiv 1512.03385)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import BackboneConfig, ImageConfig
from aln_p3_core.driver.convolution import Backbone, ConvNorm
from aln_p3_core.driver.resnet_weights import torchvision_state


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, each with its norm; four times as wide at the end."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(channels_in, width, 1, activation=F.relu_)
        self.spatial = ConvNorm(width, width, 3, stride, activation=F.relu_)
        self.expand = ConvNorm(width, 4 * width, 1)
        same = channels_in == 4 * width and stride == 1
        self.shortcut = None if same else ConvNorm(channels_in, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return F.relu_(self.expand(self.spatial(self.reduce(x))).add_(shortcut))


class ResNet50(Backbone):
    """ResNet-50, layers 3-4-6-3. `out_stages` are 1 to 4 (strides 4 to 32).

    The stem, the first stage and all norms are frozen, as VAD trains it.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.out_stages = config.out_stages
        self.stem = ConvNorm(3, config.stem_channels, 7, 2, activation=F.relu_)
        self.stages = nn.ModuleList()
        channels, widths = config.stem_channels, []
        for i, blocks in enumerate((3, 4, 6, 3)):
            width = config.base_channels * 2**i
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(Bottleneck(channels, width, 2 if block == 0 and i > 0 else 1))
                channels = 4 * width
            self.stages.append(stage)
            widths.append(channels)
        self.channels = tuple(widths[stage - 1] for stage in self.out_stages)
        for frozen in (self.stem, self.stages[0]):
            frozen.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def load_pretrained(self, path: Path, image: ImageConfig) -> None:
        self.load_state_dict(torchvision_state(path, image, self.state_dict()))

    def prefix(self, images: Tensor) -> Tensor:
        return self.stages[0](F.max_pool2d(self.stem(images), 3, 2, 1))

    def suffix(self, x: Tensor) -> list[Tensor]:
        maps = [x] if 1 in self.out_stages else []
        for i, stage in enumerate(self.stages[1 : max(self.out_stages)], start=2):
            x = stage(x)
            if i in self.out_stages:
                maps.append(x)
        return maps
