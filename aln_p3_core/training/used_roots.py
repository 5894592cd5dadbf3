"""Which scenes of which root a training uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import ALL_SCENES, scenes_of_split, splits_of
from aln_p3_core.errors import DataError
from aln_p3_core.synthetic.root import VERSION as TEST_TRACK
from aln_p3_core.training.settings import DataSettings

_BySplit = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class UsedRoot:
    """What a training uses of a root.

    Attributes:
        dataset: the root.
        learnt, checked: scenes to learn from, and to choose the best checkpoint by, by split.
    """

    dataset: NuScenesDataset
    learnt: _BySplit
    checked: _BySplit

    @staticmethod
    def of(dataset: NuScenesDataset, data: DataSettings, *, validates: bool = True) -> UsedRoot:
        """`validates`: whether the validation split, if it is here, is this root's."""
        checked = (data.validation_split,) if validates else ()
        return UsedRoot(dataset, *(_by_split(dataset, data, splits) for splits in (data.splits, checked)))

    @property
    def learnt_scenes(self) -> tuple[str, ...]:
        """Each once."""
        return _joined(self.learnt.values())

    @property
    def checked_scenes(self) -> tuple[str, ...]:
        """Each once."""
        return _joined(self.checked.values())

    @property
    def scenes(self) -> tuple[str, ...]:
        """All of them, each once."""
        return _joined([*self.learnt.values(), *self.checked.values()])

    def tokens(self, scenes: Sequence[str]) -> list[str]:
        """Samples of some scenes."""
        return [token for scene in scenes for token in self.dataset.scene_tokens(scene)]


def used_roots(roots: Sequence[Path], data: DataSettings) -> Iterator[UsedRoot]:
    """Opens one root after the other, also those without a scene; the first that has the validation split gives it.

    Raises:
        DataError: for broken tables, and for a test track unless all of its scenes are asked for.
    """
    validates = True
    for root in roots:
        used = UsedRoot.of(NuScenesDataset(root), data, validates=validates)
        if used.dataset.version == TEST_TRACK and not used.scenes:
            raise DataError(
                f"{root} is a test track (aln-p3 track), with one scene of no split: nothing can be learnt from it. "
                "Record a world (aln-p3 world record --out ROOT --split train), or name nuScenes"
            )
        validates = validates and not used.checked_scenes
        yield used


def _by_split(dataset: NuScenesDataset, data: DataSettings, splits: Sequence[str]) -> _BySplit:
    """Scenes of those splits that a root has; "all" is every scene."""
    known = {*splits_of(dataset), ALL_SCENES}
    return {split: scenes_of_split(dataset, split)[: data.scenes_limit or None] for split in splits if split in known}


def _joined(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in groups for name in names))
