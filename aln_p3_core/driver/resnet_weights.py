"""ResNet-50 as torchvision keeps it: where its ImageNet weights lie, and how they become ours.

The weights are those of pictures in RGB with ImageNet's means and deviations. A recipe that scales its pictures
otherwise gets a stem that undoes the difference: convolution is linear, so that both see the same (released VAD starts
from these weights on pictures in BGR without division, and leaves the stem as it is).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from aln_p3_core.config import ImageConfig
from aln_p3_core.driver.fit import require_fit
from aln_p3_core.driver.released_file import read_released
from aln_p3_core.driver.vad_checkpoint import released_name
from aln_p3_core.errors import CheckpointError

#: What torchvision names its first weights of ResNet-50 ("IMAGENET1K_V1"), now and in earlier releases.
TORCHVISION_FILES = ("resnet50-0676ba61.pth", "resnet50-19c8e357.pth")
TORCHVISION_URL = f"https://download.pytorch.org/models/{TORCHVISION_FILES[0]}"
# Of the pictures that they were trained with, 0..255.
_MEAN_RGB, _STD_RGB = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_MEAN_TOLERANCE = 0.01
_CLASSIFIER = "fc."


def torchvision_file() -> Path:
    """The file of weights in the cache of torch's hub, where torchvision puts it. Nothing is fetched.

    Raises:
        CheckpointError: when it is not there, with where it is to be had.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in TORCHVISION_FILES:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(
        f"the pretrained backbone is not there: {folder / TORCHVISION_FILES[0]} is missing (ResNet-50 of torchvision, "
        "98 MB). Where there is a network, this puts it there: "
        f"python -c \"import torch; torch.hub.load_state_dict_from_url('{TORCHVISION_URL}')\". "
        "Else copy the file, and name it with run.backbone_weights in a training"
    )


def torchvision_state(path: Path, image: ImageConfig, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of our ResNet-50 from a state dict of torchvision's, read as plain weights.

    Args:
        path: of the file; its classifier is left out.
        image: how the pictures are scaled that the backbone will see.
        expected: state of our backbone.

    Raises:
        CheckpointError: when the file cannot be read, or holds something else, listing what differs; when the recipe's
            means are not ImageNet's: at a picture's border no stem could make up for that.
    """
    theirs = {released_name(f"backbone.{name}").removeprefix("img_backbone."): name for name in expected}
    given = {name: value for name, value in read_released(path).items() if not name.startswith(_CLASSIFIER)}
    # Files of early releases do not count the batches of their norms.
    counted = {their: expected[our] for their, our in theirs.items() if our.endswith(".num_batches_tracked")}
    given = counted | given
    require_fit(given, {their: expected[our] for their, our in theirs.items()}, f"{path} is no such ResNet-50")
    state = {our: given[their].to(expected[our].dtype) for their, our in theirs.items()}
    state["stem.conv.weight"] = _for_pictures(state["stem.conv.weight"], image, path)
    return state


def _for_pictures(weight_OIHW: Tensor, image: ImageConfig, path: Path) -> Tensor:
    """A first convolution of ImageNet's RGB as one of pictures in the recipe's scale and order."""
    order = [0, 1, 2] if image.color == "rgb" else [2, 1, 0]
    mean, std = (torch.tensor(values)[order] for values in (_MEAN_RGB, _STD_RGB))
    if (mean - torch.tensor(image.mean)).abs().max() > _MEAN_TOLERANCE:
        raise CheckpointError(
            f"{path} is of pictures with the means {tuple(mean.tolist())} subtracted, the recipe subtracts "
            f"{image.mean}: set image.mean to the former, or backbone.pretrained to false"
        )
    return weight_OIHW[:, order] * (torch.tensor(image.std) / std)[None, :, None, None]
