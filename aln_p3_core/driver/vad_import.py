"""Reads released VAD checkpoints (.pth) and stores them as ours."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.checkpoint import expected_state, save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.released_file import read_released
from aln_p3_core.driver.vad_checkpoint import from_released


def import_vad(path: Path, config: DriverConfig, out: Path) -> str:
    """Converts a released checkpoint of the given recipe and writes it to `out`.

    Returns:
        The new checkpoint's hash.

    Raises:
        CheckpointError: when the file cannot be read or does not fit the recipe, listing what differs.
    """
    state = from_released(read_released(path), expected_state(config))
    network = DriverNetwork(config, load_pretrained=False)
    network.load_state_dict(state)
    with path.open("rb") as file:
        source_hash = hashlib.file_digest(file, "sha256").hexdigest()
    provenance = f"released VAD checkpoint {path.name}, sha256 {source_hash}"
    return save_checkpoint(out, network, config, {"provenance": provenance})
