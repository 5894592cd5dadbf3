"""Computes what a driver's perception says about all frames of a frame store, for the training of its planner.

Drives go through the network frame after frame as on the road, each with the memory of all frames before it. There is
one shard for each shard of the frame store. The folder is named after the frames' key and the weights of the parts that
made it, so other weights get other contents; a build that was broken off goes on with the shards that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.driver.checkpoint import checkpoint_hash
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.clip_data import collate_clips
from aln_p3_core.training.clips import ClipDataset
from aln_p3_core.training.derived_shards import is_whole, shard_identity
from aln_p3_core.training.frame_keys import STORE_VERSION, cache_folder, digest
from aln_p3_core.training.frame_shards import ArrayFile, disk_errors, finish, fresh_folder, write_index
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.inputs import driver_inputs, image_prefix
from aln_p3_core.training.perceived import MAKERS, Reader, perceive, perceived_dtype
from aln_p3_core.training.perception_store import PERCEIVED_FILE, PerceptionStore
from aln_p3_core.training.settings import DataSettings


def build_perception(
    store: FrameStore,
    network: DriverNetwork,
    location: str | Path | None = None,
    *,
    device: torch.device | str = "cpu",
    share: tuple[int, int] = (0, 1),
    progress: bool = True,
    reader: Reader = "planner",
) -> PerceptionStore:
    """Computes what is missing or damaged and opens the store.

    Args:
        store: frames, prepared for the network's recipe.
        network: its parts `MAKERS[reader]` count. Not fused yet; it is left as it is.
        location: folder of stores; `<cache>/perception` when None. The store gets a folder of its key in it.
        device: where to compute.
        share: (r, n): this process makes every n-th missing shard, beginning with the r-th; all processes
            together make the whole store.
        progress: show a bar with frames per second.
        reader: who is to learn from it.

    Raises:
        DataError: when the disk is full.
    """
    dtype = perceived_dtype(network.config, reader)
    folder = _folder(store, network, location, dtype, MAKERS[reader])
    own = _missing(store, folder)[share[0] :: share[1]]
    if own:
        frozen = deepcopy(network).fuse_for_inference().to(device)
        _compute(own, folder, frozen, dtype, progress)
    return PerceptionStore(folder)


def _missing(store: FrameStore, folder: Path) -> list[Path]:
    """Shards that nothing is kept of yet; what is damaged is removed."""
    return [shard for shard in store.shards if not is_whole(folder, shard)]


def _folder(
    store: FrameStore,
    network: DriverNetwork,
    location: str | Path | None,
    dtype: np.dtype[np.void],
    makers: tuple[str, ...],
) -> Path:
    key = digest(f"{STORE_VERSION} {store.key} {_hash_of(network, makers)}{dtype!r}".encode())
    folder = (Path(location) if location else cache_folder() / "perception") / key
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hash_of(network: DriverNetwork, parts: tuple[str, ...]) -> str:
    prefixes = tuple(f"{part}." for part in parts)
    # Plus zero: averaging weights that stay as they are turns -0.0 into 0.0, which is another hash.
    weights = {name: value + 0 for name, value in network.state_dict().items() if name.startswith(prefixes)}
    return checkpoint_hash(weights)


def _compute(
    shards: list[Path],
    folder: Path,
    network: DriverNetwork,
    dtype: np.dtype[np.void],
    progress: bool,
) -> None:
    from tqdm import tqdm

    identities = {shard: shard_identity(shard) for shard in shards}
    frames = sum(len(scene["tokens"]) for scenes in identities.values() for scene in scenes)
    with tqdm(total=frames, desc="perception", unit=" frames", disable=not progress) as bar:
        for shard, scenes in identities.items():
            part = FrameStore.of_shard(shard)
            with fresh_folder(folder / shard.name) as partial, disk_errors(folder):
                file = ArrayFile(partial / PERCEIVED_FILE, dtype)
                for scene in part.scenes:
                    for record in _drive(part, scene.indices, network, dtype):
                        file.append(record)
                        bar.update()
                write_index(partial, {"frames": scenes, "files": {PERCEIVED_FILE: file.close()}})
                finish(partial, folder / shard.name)


def _drive(
    store: FrameStore, indices: range, network: DriverNetwork, dtype: np.dtype[np.void]
) -> Iterator[NDArray[np.void]]:
    """Records [1] of the frames of a drive, in order."""
    config = network.config
    device = next(network.parameters()).device
    settings = replace(DataSettings(), clip_frames=2, clip_spares=0, fresh_start_probability=0.0)
    clips = ClipDataset(store, indices, config, settings, None)
    record = np.zeros(1, dtype)
    bev = None
    for place in range(len(clips)):
        frame = collate_clips([clips[place]]).clip[-1].to(device)
        with torch.inference_mode():
            inputs = driver_inputs(frame, config, device, bev)
            maps = network.features_from_prefix(image_prefix(frame, inputs, network))
            bev, record = perceive(network, maps, inputs, record)
        yield record
