"""What a dry run tells of the data: frames, cameras, files, expansions, and the room that what is prepared takes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.file_check import missing_files
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.training.data_check import check_expansions
from aln_p3_core.training.dry_run_rows import DryRun
from aln_p3_core.training.frame_keys import cache_folder, settings_key, store_settings
from aln_p3_core.training.frame_shards import read_index, shard_folders
from aln_p3_core.training.perceived import perceived_dtype
from aln_p3_core.training.settings import TrainingConfig
from aln_p3_core.training.training_data import perception_reader
from aln_p3_core.training.used_roots import UsedRoot

# Files that a message names.
_NAMED = 3


def data_rows(
    told: DryRun, driver: DriverConfig, config: TrainingConfig, used: Sequence[UsedRoot], cache: Path | None
) -> int:
    """Adds what there is to tell of the data. Returns the number of frames to learn from.

    Raises:
        ConfigError: when there are roots, and no frame to learn from in them.
    """
    if not used:
        told.missing.append("the data: --data ROOT names a nuScenes-schema root, with the tables, pictures and maps")
        return 0
    frames = _frames(told, config, used)
    for root in used:
        if root.scenes:
            _cameras(told, driver, root)
            _files(told, root)
            try:
                told.notes += check_expansions(root.dataset, root.learnt_scenes, root.checked_scenes, config)
            except DataError as error:
                told.missing.append(str(error))
    _room(told, driver, config, used, cache)
    return frames


def _frames(told: DryRun, config: TrainingConfig, used: Sequence[UsedRoot]) -> int:
    counts: dict[str, int] = {}
    for root in used:
        for split, scenes in (*root.learnt.items(), *root.checked.items()):
            counts[split] = counts.get(split, 0) + len(root.tokens(scenes))
    learnt = sum(len(root.tokens(root.learnt_scenes)) for root in used)
    names = ", ".join(str(root.dataset.root) for root in used)
    if not learnt:
        raise ConfigError(f"no frame of the splits {', '.join(config.data.splits)} in {names}")
    told.add("frames", ", ".join(f"{split} {count}" for split, count in counts.items()))
    for split in (*config.data.splits, config.data.validation_split):
        if split not in counts:
            told.notes.append(f"no scene of the split {split} in {names}")
    return learnt


def _cameras(told: DryRun, driver: DriverConfig, root: UsedRoot) -> None:
    """Compares the cameras of a root's first scene with the recipe's."""
    scene = root.scenes[0]
    rig = root.dataset.cameras_of(scene)
    if absent := [name for name in driver.cameras if name not in rig]:
        told.missing.append(
            f"cameras of the recipe: {root.dataset.root} has no {', '.join(absent)} ({scene} has {', '.join(rig)}): "
            "name the root's own, in the order of the recipe's, with --set 'driver.cameras=[\"...\", ...]'"
        )


def _files(told: DryRun, root: UsedRoot) -> None:
    found = missing_files(root.dataset, root.scenes, progress=True)
    if found.pictures:
        some = ", ".join(map(str, found.pictures[:_NAMED])) + (", ..." if len(found.pictures) > _NAMED else "")
        told.missing.append(
            f"{len(found.pictures)} of {found.looked_at} pictures of the key frames are missing or empty: {some}; "
            "extract their archives again"
        )
    if found.others:
        by_folder = ", ".join(f"{folder} {count}" for folder, count in found.others.items())
        told.notes.append(
            f"files of {root.dataset.root} that are missing, which this training does not read: {by_folder}"
        )


def _room(
    told: DryRun, driver: DriverConfig, config: TrainingConfig, used: Sequence[UsedRoot], cache: Path | None
) -> None:
    """Size of what will be prepared, and whether the disk has room for what is not there yet."""
    place = cache or cache_folder()
    frames = sum(len(root.tokens(root.scenes)) for root in used)
    there = sum(_prepared(root, driver, place) for root in used)
    image = driver.image
    each = len(driver.cameras) * image.height * image.width * 3
    told.add("frame store", f"{frames * each / 2**30:.1f} GiB on disk, {there} of {frames} frames are there ({place})")
    needed = (frames - there) * each
    if derived := _derived_bytes(driver, config):
        # Which of these are there only the weights would tell: as many as of the others.
        told.add(f"{config.data.store} store", f"{frames * derived / 2**30:.1f} GiB on disk ({place})")
        needed += (frames - there) * derived
    disk = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(disk).free
    if needed > free:
        told.missing.append(
            f"room for what is prepared: {needed / 2**30:.1f} GiB are to be written to {place}, and "
            f"{free / 2**30:.1f} GiB are free there: name a folder on a larger disk with --cache"
        )


def _prepared(root: UsedRoot, driver: DriverConfig, place: Path) -> int:
    """Frames of a root that have been prepared before, whether or not its data have changed since."""
    folder = place / "frames" / settings_key(store_settings(root.dataset, driver))
    there: dict[str, int] = {}
    for shard in shard_folders(folder):
        try:
            index = read_index(shard)
        except DataError:
            continue
        if index["root"] == str(root.dataset.root.resolve()):
            there |= {scene["name"]: len(scene["tokens"]) for scene in index["scenes"]}
    return sum(there.get(scene, 0) for scene in root.scenes)


def _derived_bytes(driver: DriverConfig, config: TrainingConfig) -> int:
    """Bytes of a frame in the store that is computed from the frame store; 0 where there is none."""
    if reader := perception_reader(config):
        return perceived_dtype(driver, reader).itemsize
    if config.data.store != "features":
        return 0
    image = driver.image
    with torch.device("meta"):
        network = DriverNetwork(driver, load_pretrained=False)
        pictures = torch.empty(1, len(driver.cameras), 3, image.height, image.width)
        return 2 * network.image_prefix(pictures).numel()
