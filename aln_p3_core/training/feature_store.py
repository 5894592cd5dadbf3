"""The output of the backbone's frozen part for all frames of a frame store: `DriverNetwork.image_prefix`, kept.

Stored as float16, with one shard for each shard of the frame store. The folder is named after the frames' key and the
frozen weights, so other weights get other maps. A build that was broken off goes on with the shards that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.driver.checkpoint import checkpoint_hash
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.training.derived_shards import Verification, is_whole, shard_identity
from aln_p3_core.training.frame_keys import STORE_VERSION, cache_folder, digest
from aln_p3_core.training.frame_shards import (
    ArrayFile,
    ShardFiles,
    disk_errors,
    finish,
    fresh_folder,
    open_array,
    write_index,
)
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.inputs import normalised

_FILE = "features.npy"
# Frames that go through the backbone together: on a CPU, the maps of more than one do not stay in its caches.
_BATCH_CPU, _BATCH_GPU = 1, 16


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """Maps of the frames of a store. Cheap to pickle; every process opens the files for itself.

    Attributes:
        location: folder of the shards.
    """

    location: Path

    @classmethod
    def build(
        cls,
        store: FrameStore,
        network: DriverNetwork,
        location: str | Path | None = None,
        *,
        device: torch.device | str = "cpu",
        share: tuple[int, int] = (0, 1),
        verify: Verification = "quick",
        progress: bool = True,
    ) -> FeatureStore:
        """Computes what is missing or damaged and opens the store.

        Args:
            store: frames, prepared for the network's recipe.
            network: the frozen part of its backbone and its recipe count. Not fused yet; it is left as it is.
            location: folder of stores; `<cache>/features` when None. The store gets a folder of its key in it.
            device: where to compute.
            share: (r, n): this process makes every n-th missing shard, beginning with the r-th; all processes
                together make the whole store.
            verify: "quick" compares sizes and headers, "full" the checksum of every byte.
            progress: show a bar with frames per second.

        Raises:
            ConfigError: when the backbone has no frozen part.
            DataError: when a map holds numbers that float16 cannot, or the disk is full.
        """
        key = digest(f"{STORE_VERSION} {store.key} {prefix_hash(network)}".encode())
        folder = (Path(location) if location else cache_folder() / "features") / key
        folder.mkdir(parents=True, exist_ok=True)
        missing = [shard for shard in store.shards if not is_whole(folder, shard, verify)]
        _array.cache_clear()
        own = missing[share[0] :: share[1]]
        if own:
            _compute(own, folder, deepcopy(network).fuse_for_inference().to(device), torch.device(device), progress)
        return cls(folder)

    def map_of(self, shard: Path, row: int) -> NDArray[np.float16]:
        """Map [N, C, h, w] of one frame (`FrameStore.place` gives its shard and row), without a copy."""
        return _array(self.location / shard.name)[row]


def prefix_hash(network: DriverNetwork) -> str:
    """Hash of the weights that `DriverNetwork.image_prefix` uses.

    Raises:
        ConfigError: when it uses none: nothing is frozen.
    """
    used: list[str] = []
    backbone, was_training = network.backbone, network.backbone.training
    hooks = [
        module.register_forward_hook(lambda *_, name=name: used.append(name))
        for name, module in backbone.named_modules()
        if not any(module.children())
    ]
    backbone.eval()
    try:
        with torch.inference_mode():
            device = next(backbone.parameters()).device
            network.image_prefix(torch.zeros(1, 1, 3, 32, 32, device=device))
    finally:
        backbone.train(was_training)
        for hook in hooks:
            hook.remove()
    frozen = tuple(f"{name}." for name in used)
    state = {name: value for name, value in backbone.state_dict().items() if name.startswith(frozen)}
    if not state:
        raise ConfigError('the backbone has no frozen part: set backbone.frozen_blocks, or data.store="pixels"')
    return checkpoint_hash(state)


@lru_cache(maxsize=128)
def _array(folder: Path) -> NDArray[np.float16]:
    return open_array(folder / _FILE)


def _compute(shards: list[Path], folder: Path, network: DriverNetwork, device: torch.device, progress: bool) -> None:
    from tqdm import tqdm

    frames = sum(len(ShardFiles(shard).frames) for shard in shards)
    with tqdm(total=frames, desc="frozen backbone", unit=" frames", disable=not progress) as bar:
        for shard in shards:
            with fresh_folder(folder / shard.name) as partial, disk_errors(folder):
                file: ArrayFile | None = None
                for maps in _maps(shard, network, device):
                    file = file or ArrayFile(partial / _FILE, maps.dtype, maps.shape[1:])
                    file.append(maps)
                    bar.update(len(maps))
                files = {} if file is None else {_FILE: file.close()}
                write_index(partial, {"frames": shard_identity(shard), "files": files})
                finish(partial, folder / shard.name)


def _maps(shard: Path, network: DriverNetwork, device: torch.device) -> Iterator[NDArray[np.float16]]:
    """Maps [F, N, C, h, w] of a few frames of a shard after the other."""
    source = ShardFiles(shard)
    batch = _BATCH_CPU if device.type == "cpu" else _BATCH_GPU
    for first in range(0, len(source.frames), batch):
        rows = torch.from_numpy(source.frames["rows"][first : first + batch].astype(np.int64)).to(device)
        pixels = torch.from_numpy(np.array(source.pixels[first : first + batch])).to(device)
        with torch.inference_mode():
            prefix = network.image_prefix(normalised(pixels, rows, network.config))
            maps = prefix.to(torch.float16).unflatten(0, (len(pixels), -1)).cpu().numpy()
        if not np.isfinite(maps).all():
            raise DataError(
                f"features of frames in {shard} do not fit into float16; "
                'train from pixels (data.store="pixels") or with other backbone weights'
            )
        yield maps
