"""Which files of a root are missing: those of the pictures that somebody is about to read, and all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.nuscenes import NuScenesDataset


@dataclass(frozen=True, slots=True)
class MissingFiles:
    """What of a root is not there.

    Attributes:
        pictures: key-frame pictures of the scenes that were asked for, missing or empty.
        looked_at: how many of these there should be.
        others: numbers of missing files by folder ("sweeps/CAM_FRONT"), of all other files that the tables name.
    """

    pictures: tuple[Path, ...]
    looked_at: int
    others: Mapping[str, int]


def missing_files(dataset: NuScenesDataset, scenes: Sequence[str], progress: bool = False) -> MissingFiles:
    """Looks for every picture of the scenes' key frames, and for the names of all other files in their folders.

    Args:
        dataset: a root.
        scenes: names of those whose pictures are wanted.
        progress: show a bar.
    """
    from tqdm import tqdm

    pictures = [row for scene in scenes for row in _pictures(dataset, scene)]
    missing = []
    for row in tqdm(pictures, desc="pictures", disable=not progress):
        path = dataset.root / row["filename"]
        if not path.is_file() or path.stat().st_size == 0:
            missing.append(path)
    own = {row["token"] for row in pictures}
    # Millions of sweeps: folders are listed once, instead of asking for every file.
    names = lru_cache(maxsize=None)(lambda folder: _names(dataset.root / folder))
    others: Counter[str] = Counter()
    for row in dataset.nusc.sample_data:
        folder, _, name = row["filename"].rpartition("/")
        if row["token"] not in own and name not in names(folder):
            others[folder] += 1
    return MissingFiles(tuple(missing), len(pictures), dict(sorted(others.items())))


def _pictures(dataset: NuScenesDataset, scene: str) -> list[Mapping[str, Any]]:
    rows = [
        dataset.nusc.get("sample_data", value)
        for token in dataset.scene_tokens(scene)
        for value in dataset.nusc.get("sample", token)["data"].values()
    ]
    return [row for row in rows if row["sensor_modality"] == "camera"]


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()
