"""Reads released VAD checkpoints (.pth) and stores them as ours."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.checkpoint import save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.vad_checkpoint import from_released
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


def import_vad(path: Path, config: DriverConfig, out: Path) -> str:
    """Converts a released checkpoint of the given recipe and writes it to `out`.

    Returns:
        The new checkpoint's hash.

    Raises:
        CheckpointError: when the file cannot be read or does not fit the recipe, listing what differs.
    """
    network = DriverNetwork(config, load_pretrained=False)
    network.load_state_dict(from_released(read_released(path), network.state_dict()))
    with path.open("rb") as file:
        source_hash = hashlib.file_digest(file, "sha256").hexdigest()
    provenance = f"released VAD checkpoint {path.name}, sha256 {source_hash}"
    return save_checkpoint(out, network, config, {"provenance": provenance})
