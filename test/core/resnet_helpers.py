"""Files like torchvision's of ResNet-50, of small random networks, and what such a network computes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

#: Settings of a backbone that `write_weights` fits.
WIDTH = 4


def write_weights(path: Path, width: int = WIDTH, counted: bool = True) -> dict[str, Tensor]:
    """Writes random weights under torchvision's names, with a classifier; `counted` as newer files have it."""
    torch.manual_seed(7)
    state: dict[str, Tensor] = {}

    def add(conv: str, norm: str, channels_in: int, channels_out: int, kernel: int) -> None:
        state[f"{conv}.weight"] = torch.randn(channels_out, channels_in, kernel, kernel) / (channels_in * kernel) ** 0.5
        for name in ("weight", "running_var"):
            state[f"{norm}.{name}"] = torch.rand(channels_out) + 0.5
        for name in ("bias", "running_mean"):
            state[f"{norm}.{name}"] = torch.randn(channels_out) / 5
        if counted:
            state[f"{norm}.num_batches_tracked"] = torch.tensor(5)

    add("conv1", "bn1", 3, width, 7)
    channels = width
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        inner = width * 2 ** (stage - 1)
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            add(f"{at}.conv1", f"{at}.bn1", channels, inner, 1)
            add(f"{at}.conv2", f"{at}.bn2", inner, inner, 3)
            add(f"{at}.conv3", f"{at}.bn3", inner, 4 * inner, 1)
            if block == 0:
                add(f"{at}.downsample.0", f"{at}.downsample.1", channels, 4 * inner, 1)
            channels = 4 * inner
    state |= {"fc.weight": torch.zeros(10, channels), "fc.bias": torch.zeros(10)}
    torch.save(state, path)
    return state


def maps_of(state: dict[str, Tensor], images: Tensor) -> list[Tensor]:
    """Maps of the four stages, by torchvision's rules, of pictures in RGB in ImageNet's scale."""

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2)
        mean, var, scale, bias = (state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, scale, bias, eps=1e-5)

    x = F.max_pool2d(F.relu(layer(images, "conv1", "bn1", 2)), 3, 2, 1)
    maps = []
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            at, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            shortcut = layer(x, f"{at}.downsample.0", f"{at}.downsample.1", stride) if block == 0 else x
            x = F.relu(layer(x, f"{at}.conv1", f"{at}.bn1"))
            x = F.relu(layer(x, f"{at}.conv2", f"{at}.bn2", stride))
            x = F.relu(layer(x, f"{at}.conv3", f"{at}.bn3") + shortcut)
        maps.append(x)
    return maps
