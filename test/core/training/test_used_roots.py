"""Which scenes of which root a training uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from run_helpers import small_training, write_split_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
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
