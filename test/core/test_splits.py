"""Scenes by split: the root's own lists first, then nuScenes' official ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import scenes_of_split
from aln_p3_core.errors import ConfigError, DataError

MakeRoot = Callable[..., Path]


def test_official_lists_and_the_roots_own(make_root: MakeRoot) -> None:
    root = make_root()
    dataset = NuScenesDataset(root)
    assert scenes_of_split(dataset, "train") == scenes_of_split(dataset, "all") == ("scene-0001",)
    with pytest.raises(ConfigError, match="no scene of split 'val'; it has train, train_detect, all"):
        scenes_of_split(dataset, "val")
    own = root / "v1.0-mini" / "splits.json"
    own.write_text(json.dumps({"val": ["scene-0001", "scene-9999"], "empty": ["scene-9999"]}))
    assert scenes_of_split(dataset, "val") == ("scene-0001",)
    for split in ("train", "empty"):
        with pytest.raises(ConfigError, match="it has val, all"):
            scenes_of_split(dataset, split)
    own.write_text("{")
    with pytest.raises(DataError, match=r"splits\.json is no complete JSON"):
        scenes_of_split(dataset, "val")
