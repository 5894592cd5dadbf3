"""BEV maps that are kept in files: what runs a frozen encoder over the same pictures again need not compute again.

    driver.kept_maps = KeptMaps(folder, driver.network, settings)

An evaluation drives the same scenes several times (with the ego status and without it, and for the words), and
drivers that differ behind the encoder alone see the same maps. What is kept is bit for bit what the encoder made, and
goes by everything that the encoder reads: weights, recipe, pixels, calibration and memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aln_p3_core.config import to_dict
from aln_p3_core.driver.checkpoint import checkpoint_hash
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.network import ENCODER, DriverNetwork
from aln_p3_core.whole_files import written_whole

_BEV, _IMAGE = "bev", "image"


class KeptMaps:
    """Files of an encoder's maps, one for each frame that it saw. Several processes may share a folder.

    Attributes:
        folder: of this encoder, inside the one that was given.
    """

    def __init__(self, folder: Path, network: DriverNetwork, settings: Mapping[str, Any]) -> None:
        """
        Args:
            folder: of the maps of any encoders.
            network: whose encoder it is, as it runs (fused, in its precision).
            settings: JSON-ready, all else that decides the encoder's numbers.
        """
        state = {name: value for name, value in network.state_dict().items() if name.split(".")[0] in ENCODER}
        encoder = json.dumps([checkpoint_hash(state), to_dict(network.config), settings], sort_keys=True)
        self.folder = folder / hashlib.sha256(encoder.encode()).hexdigest()[:16]

    def of(
        self, inputs: DriverInputs, encode: Callable[[], tuple[Tensor, Tensor | None]]
    ) -> tuple[Tensor, Tensor | None]:
        """BEV map [1, R, S, D], and what the planner reads of a picture [1, K, D] or None.

        Args:
            inputs: of one frame.
            encode: makes both; called where nothing is kept.
        """
        file = self.folder / f"{_digest(inputs)}.safetensors"
        device = inputs.images_BNCHW.device
        try:
            kept = load_file(file, device=str(device))
        except (OSError, SafetensorError):  # not there, or half of it was lost
            bev, image = encode()
            made = {_BEV: bev} | ({} if image is None else {_IMAGE: image})
            with written_whole(file) as temporary:
                save_file({name: value.contiguous().cpu() for name, value in made.items()}, temporary)
            return bev, image
        return kept[_BEV], kept.get(_IMAGE)


def _digest(inputs: DriverInputs) -> str:
    """Of all that the encoder reads; the ego status is read behind it."""
    digest = hashlib.blake2b(digest_size=16)
    for value in (
        inputs.images_BNCHW,
        inputs.model2img_BN44,
        inputs.camera_valid_BN,
        inputs.prev_bev_BRSD,
        inputs.T_prev_cur_B44,
        inputs.history_valid_B,
        inputs.can_bus_B18,
    ):
        if value is None:
            digest.update(b"none")
        else:
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
