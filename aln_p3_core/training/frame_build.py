"""Making the shards of a frame store: several processes, each writes whole shards."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.child_processes import die_with_parent
from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.targets import Targets
from aln_p3_core.driver.driver import ego_status_vector
from aln_p3_core.errors import AlnP3Error, DataError
from aln_p3_core.preprocess import ImagePreprocessor, can_bus_vector
from aln_p3_core.training.forking import without_opencv_threads
from aln_p3_core.training.frame_keys import digest
from aln_p3_core.training.frame_shards import (
    ArrayFile,
    agent_dtype,
    agent_records,
    disk_errors,
    finish,
    frame_dtype,
    fresh_folder,
    line_dtype,
    line_records,
    write_index,
)
from aln_p3_core.training.frame_targets import target_arrays

#: Scenes of one shard: enough that a large data set does not need too many files.
SCENES_PER_SHARD = 4
# Annotators' level of visibility below which an agent that no point hits is not learnt.
_HIDDEN = "v0-40"


@dataclass(frozen=True, eq=False)
class ShardWork:
    """What every process that writes shards shares.

    Attributes:
        location: folder of the store.
        dataset, config: what to store, and how.
        settings: as written into every index.
        skip_corrupt: leave out samples that cannot be read instead of stopping.
    """

    location: Path
    dataset: NuScenesDataset
    config: DriverConfig
    settings: dict[str, Any]
    skip_corrupt: bool


def build_shards(work: ShardWork, fingerprints: dict[str, str], *, jobs: int, progress: bool) -> None:
    """Writes shards of all scenes of `fingerprints` (scene -> fingerprint).

    Raises:
        DataError: naming the sample and file that cannot be read, or when the disk is full or a process died. What
            was finished by then stays.
    """
    scenes = sorted(fingerprints)
    groups = [scenes[i : i + SCENES_PER_SHARD] for i in range(0, len(scenes), SCENES_PER_SHARD)]
    frames = sum(len(work.dataset.scene_tokens(scene)) for scene in scenes)
    _require_space(work, frames)
    from tqdm import tqdm

    with tqdm(total=frames, desc="storing frames", unit=" key frames", disable=not progress) as bar:
        if jobs <= 1:
            for group in groups:
                bar.update(_write_shard(work, {scene: fingerprints[scene] for scene in group}))
            return
        _run(work, [{scene: fingerprints[scene] for scene in group} for group in groups], jobs, bar)


def _run(work: ShardWork, groups: Sequence[dict[str, str]], jobs: int, bar: Any) -> None:
    global _shared
    # Forked processes share the tables, which are gigabytes for the large data sets.
    _shared = work
    gc.freeze()
    try:
        with without_opencv_threads(), ProcessPoolExecutor(jobs, get_context("fork"), _begin_worker) as pool:
            futures: list[Future[int]] = [pool.submit(_write_shared, group) for group in groups]
            try:
                for future in as_completed(futures):
                    bar.update(future.result())
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise DataError(
            "a process that stored frames died (out of memory, or killed); run again: finished shards are kept"
        ) from error
    finally:
        gc.unfreeze()
        _shared = None


_shared: ShardWork | None = None


def _begin_worker() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    die_with_parent()  # and when it is killed, nobody else would


def _write_shared(group: dict[str, str]) -> int:
    assert _shared is not None
    return _write_shard(_shared, group)


def _write_shard(work: ShardWork, fingerprints: dict[str, str]) -> int:
    """Writes one shard. Returns how many samples were seen."""
    name = "shard-" + digest(*(f"{scene}:{mark}".encode() for scene, mark in fingerprints.items()))
    folder = work.location / name
    with fresh_folder(folder) as partial, disk_errors(work.location):
        return _fill_shard(work, fingerprints, partial, folder)


def _fill_shard(work: ShardWork, fingerprints: dict[str, str], partial: Path, folder: Path) -> int:
    config = work.config
    image = config.image
    shape = (len(config.cameras), image.height, image.width, 3)
    dtypes = {"frames": frame_dtype(config), "agents": agent_dtype(config), "lines": line_dtype(config)}
    pixels_file = ArrayFile(partial / "pixels.npy", np.dtype(np.uint8), shape)
    preprocessor = ImagePreprocessor(image, threads=1)
    pixels = np.empty(shape, np.uint8)
    rows: dict[str, list[NDArray[np.void]]] = {name: [] for name in dtypes}
    counts = {"agents": 0, "lines": 0}
    scenes, skipped, seen = [], [], 0
    for number, (scene, fingerprint) in enumerate(fingerprints.items()):
        tokens = []
        for token in work.dataset.scene_tokens(scene):
            seen += 1
            try:
                record, agents, lines = _records(work, token, preprocessor, pixels, dtypes)
            except AlnP3Error as error:
                if not work.skip_corrupt:
                    raise DataError(f"sample {token} of {scene} cannot be learnt from: {error}") from error
                skipped.append({"token": token, "scene": scene, "reason": str(error)})
                continue
            record["scene"] = number
            for name, found in (("agents", agents), ("lines", lines)):
                record[name] = counts[name], len(found)
                counts[name] += len(found)
                rows[name].append(found)
            rows["frames"].append(record)
            pixels_file.append(pixels[None])
            tokens.append(token)
        scenes.append({"name": scene, "fingerprint": fingerprint, "tokens": tokens})
    files = {"pixels.npy": pixels_file.close()}
    for name, dtype in dtypes.items():
        file = ArrayFile(partial / f"{name}.npy", dtype)
        for records in rows[name]:  # one by one: NumPy would join them with arbitrary bytes between their fields
            file.append(records)
        files[f"{name}.npy"] = file.close()
    write_index(
        partial,
        {
            "settings": work.settings,
            "root": str(work.dataset.root.resolve()),
            "scenes": scenes,
            "skipped": skipped,
            "files": files,
        },
    )
    finish(partial, folder)
    return seen


def _records(
    work: ShardWork,
    token: str,
    preprocessor: ImagePreprocessor,
    pixels: NDArray[np.uint8],
    dtypes: dict[str, np.dtype[np.void]],
) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
    """Records [1] of the frame, [A] of its agents and [G] of its lines; its pictures are written into `pixels`."""
    config, dataset = work.config, work.dataset
    frame = dataset.frame(token)
    prepared = preprocessor.prepare(frame, config.cameras, out=pixels)
    if not prepared.valid_N.any():
        frame.require_cameras(config.cameras)
    targets = dataset.targets(token)
    arrays = target_arrays(targets, config, visible_agents(dataset, targets))
    record = np.zeros(1, dtypes["frames"])
    record["stamp_ns"] = frame.reference_stamp_ns
    record["T_global_model"] = frame.T_global_model
    record["can_bus"], record["ego_status"] = can_bus_vector(frame), ego_status_vector(frame)
    record["model2img"], record["camera_valid"] = prepared.model2img_N44, prepared.valid_N
    record["rows"] = prepared.rows_N
    record["command"] = arrays.command
    record["plan_offsets"], record["plan_mask"] = arrays.plan_offsets, arrays.plan_mask
    return record, agent_records(arrays, dtypes["agents"]), line_records(arrays, dtypes["lines"])


def visible_agents(dataset: NuScenesDataset, targets: Targets) -> NDArray[np.bool_]:
    """[A] agents that the annotation says can be seen by 40 % or more; False where it does not say."""
    levels = {row["token"]: row["level"] for row in dataset.nusc.visibility}
    rows = [dataset.nusc.get("sample_annotation", token) for token in targets.annotation_tokens]
    found = [levels.get(row.get("visibility_token", ""), _HIDDEN) for row in rows]
    return np.array([level != _HIDDEN for level in found], dtype=bool)


def _require_space(work: ShardWork, frames: int) -> None:
    image = work.config.image
    needed = frames * len(work.config.cameras) * image.height * image.width * 3
    free = shutil.disk_usage(work.location).free
    if needed > free:
        raise DataError(
            f"{frames} frames need {needed / 1e9:.1f} GB in {work.location}, {free / 1e9:.1f} GB are free; "
            "free some, or name another folder for the store"
        )
