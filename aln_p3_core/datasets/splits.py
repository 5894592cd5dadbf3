"""Which scenes of a root belong to a split."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aln_p3_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

#: Stands for every scene of the root.
ALL_SCENES = "all"
SPLITS_FILE = "splits.json"


def scenes_of_split(dataset: NuScenesDataset, split: str) -> tuple[str, ...]:
    """Names of the scenes of a split that are in the root, in the root's order.

    The root's own `v1.0-*/splits.json` is asked first, then nuScenes' official lists; "all" is every scene.

    Raises:
        ConfigError: for a split that has no scene here, naming those that have.
        DataError: when the file is broken.
    """
    if split == ALL_SCENES:
        return dataset.scenes
    known = splits_of(dataset)
    if split not in known:
        found = ", ".join([*known, ALL_SCENES])
        raise ConfigError(f"{dataset.root} has no scene of split {split!r}; it has {found}")
    return known[split]


def splits_of(dataset: NuScenesDataset) -> dict[str, tuple[str, ...]]:
    """Scenes by split, those splits that have any here. Raises DataError when the root's file is broken."""
    path = dataset.root / dataset.version / SPLITS_FILE
    lists: dict[str, list[str]]
    if path.is_file():
        try:
            lists = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path} is no complete JSON file ({error}); make or copy it again") from error
        if not isinstance(lists, dict):
            raise DataError(f"{path} must hold lists of scene names by split; make or copy it again")
    else:
        from nuscenes.utils.splits import create_splits_scenes

        lists = create_splits_scenes()
    found = {}
    for split, names in lists.items():
        own = set(names)
        scenes = tuple(name for name in dataset.scenes if name in own)
        if scenes:
            found[split] = scenes
    return found
