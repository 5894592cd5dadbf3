"""Convolution with a foldable batch norm, and the base class of the backbones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.config import ImageConfig


class Backbone(nn.Module):
    """Base of the backbones. `channels`: width of every map that `forward` returns, fine to coarse.

    A backbone is a `prefix`, which is never trained and whose output may be computed once and kept, and a `suffix`.
    Batch norms run on stored statistics, in training too: a batch of a few frames has no statistics of its
    own.
    """

    channels: tuple[int, ...]

    @abstractmethod
    def prefix(self, images: Tensor) -> Tensor:
        """The frozen part: images [K, 3, H, W] to one map [K, C, h, w]; the images themselves where all is trained."""

    @abstractmethod
    def suffix(self, x: Tensor) -> list[Tensor]:
        """The rest: from the prefix's map to the maps of the wanted stages, fine to coarse."""

    @abstractmethod
    def load_pretrained(self, path: Path, image: ImageConfig) -> None:
        """Loads ImageNet weights.

        Args:
            path: of the file that its makers publish.
            image: how the pictures are scaled that it will see.

        Raises:
            CheckpointError: when the file does not hold them, or they do not go with such pictures.
        """

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps [K, C, h, w] of the wanted stages from images [K, 3, H, W]."""
        return self.suffix(self.prefix(images))

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def fuse_batch_norms(self) -> None:
        """Folds every norm into the convolution before it. The state dict changes: for inference only."""
        for module in self.modules():
            if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
                module.fuse()


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, and optionally an activation, computed in place."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        eps: float = 1e-5,
        activation: Callable[[Tensor], Tensor] | None = None,
        pad_same: bool = False,
    ) -> None:
        super().__init__()
        # TensorFlow's "same" padding of an image of even size: more at the far side than at the near one.
        self.pad: tuple[int, int] | None = (
            ((kernel - stride) // 2, (kernel - stride + 1) // 2) if pad_same and stride > 1 else None
        )
        padding = 0 if self.pad else kernel // 2
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels_out, eps=eps)
        self.activation = activation
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        if self.pad:
            x = F.pad(x, self.pad * 2)
        x = self.norm(self.conv(x))
        return x if self.activation is None else self.activation(x)

    @torch.no_grad()
    def fuse(self) -> None:
        """Folds the norm into the convolution, and one-sided padding into its kernel."""
        norm = self.norm
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        self.conv.weight.mul_(scale[:, None, None, None])
        self.conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        self.norm = nn.Identity()
        if self.pad is not None:
            # A kernel with one more row and column of zeros, padded evenly, reads the same pixels of an
            # image of even size: no padded copy of the image is made.
            before, _ = self.pad
            grown = F.pad(self.conv.weight, (1, 0, 1, 0))
            self.conv.weight = nn.Parameter(grown)
            self.conv.kernel_size = (grown.shape[-2], grown.shape[-1])
            self.conv.padding = (before + 1, before + 1)
            self.pad = None
