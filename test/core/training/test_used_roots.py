"""Which scenes of which root a training uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from run_helpers import small_training, write_split_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.training.settings import DataSettings
from aln_p3_core.training.used_roots import UsedRoot, used_roots


def scenes_in_use(dataset: NuScenesDataset, data: DataSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    root = UsedRoot.of(dataset, data)
    return root.learnt_scenes, root.checked_scenes


def test_splits_that_a_root_has_not_are_passed_over_and_all_is_every_scene(make_root: Callable[..., Path]) -> None:
    dataset = NuScenesDataset(write_split_scenes(make_root))
    _, config = small_training(data__splits=["train", "heldout"])
    assert scenes_in_use(dataset, config.data) == (dataset.scenes[:2], dataset.scenes[2:])
    _, config = small_training(data__splits=["all", "val"], data__validation_split="none")
    assert scenes_in_use(dataset, config.data) == (dataset.scenes, ())
    _, config = small_training(data__scenes_limit=1)
    assert scenes_in_use(dataset, config.data) == (dataset.scenes[:1], dataset.scenes[2:])


def test_the_first_root_that_has_the_validation_split_gives_it(make_root: Callable[..., Path]) -> None:
    root = write_split_scenes(make_root)
    _, config = small_training()
    first, second = used_roots([root, root], config.data)
    assert first.learnt_scenes == second.learnt_scenes and first.checked_scenes and not second.checked_scenes
    assert first.scenes == (*first.learnt_scenes, *first.checked_scenes) and second.scenes == second.learnt_scenes


def test_a_test_track_is_told_from_a_data_set(track_root: Path) -> None:
    _, config = small_training()
    with pytest.raises(DataError, match=r"is a test track \(aln-p3 track\).*world record"):
        list(used_roots([track_root], config.data))
    _, config = small_training(data__splits=["all"], data__validation_split="none")
    (used,) = used_roots([track_root], config.data)
    assert len(used.learnt_scenes) == 1, "asked for in so many words"
