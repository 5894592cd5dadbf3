"""Files of weights as others release them (.pth)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from aln_p3_core.errors import CheckpointError


def read_released(path: Path) -> dict[str, Tensor]:
    """State dict of a released checkpoint, bare or under the key "state_dict". Runs no code of the file's.

    Raises:
        CheckpointError: when it cannot be read that way, or holds no tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as plain weights: {error}\n"
            "Where it came from, save its state dict alone: "
            "torch.save({'state_dict': torch.load(FILE)['state_dict']}, NEW_FILE)"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        raise CheckpointError(f"{path} holds no state dict of tensors")
    return dict(state)
