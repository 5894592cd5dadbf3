"""Files of weights as others release them (.pth)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from aln_p3_core.errors import CheckpointError

# How files of torch.save begin: an archive, or (before torch 1.6) pickled data.
_STARTS = (b"PK\x03\x04", b"\x80\x02")


def read_released(path: Path) -> dict[str, Tensor]:
    """State dict of a released checkpoint, bare or under the key "state_dict". Runs no code of the file's.

    Raises:
        CheckpointError: when it is no file of torch's, is not whole, holds more than weights, or no tensors.
    """
    _require_torch_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch stumbles over
        # Of torch's advice the first line says what it is; the rest is about files that are trusted.
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{path} cannot be read as plain weights: {told}\n"
            "If it was cut short, download or copy it again. If it holds more than weights, save its state dict alone "
            "where it came from: torch.save({'state_dict': torch.load(FILE)['state_dict']}, NEW_FILE)"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        raise CheckpointError(f"{path} holds no state dict of tensors")
    return dict(state)


def _require_torch_file(path: Path) -> None:
    """Raises CheckpointError when a file does not begin as torch's do: an error page, a pointer to the real file."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not start:
        raise CheckpointError(f"{path} is empty; download or copy it again")
    if not start.startswith(_STARTS):
        raise CheckpointError(
            f"{path} is no checkpoint that torch has written: it begins with {start!r}. A download may have given "
            "a web page in its place; download it again"
        )
