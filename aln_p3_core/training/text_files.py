"""Which files the texts of a training are read from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from aln_p3_core.datasets.language_files import find_language
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import ALL_SCENES, splits_of
from aln_p3_core.errors import DataError
from aln_p3_core.training.text_settings import TextSettings

#: Settings that name files, and the kind of text that is in them.
KINDS = {"nu_x": "explanation", "tod3cap": "caption", "questions": "question", "drivelm": "drivelm"}
#: Setting whose file for validation may be missing: DriveLM's answers are not published.
UNPUBLISHED = "drivelm"
_SPLIT = "{split}"
_LOG = logging.getLogger(__name__)


def text_files(
    dataset: NuScenesDataset, splits: Sequence[str], settings: TextSettings, validation: str | None = None
) -> dict[str, list[Path]]:
    """Files by setting (`KINDS`): those that the settings name, else those in the root's folder `language`.

    "all" stands for every split that the root has and a file is for.

    Args:
        dataset: with the root. splits: whose files. settings: with files of its own, or none.
        validation: of the splits, the one that nothing is learnt of: it may lack DriveLM's file.

    Raises:
        DataError: naming a file of the settings that is missing.
    """
    known = tuple(splits_of(dataset))
    own = [
        find_language(dataset.root, part) for split in splits for part in (known if split == ALL_SCENES else [split])
    ]
    found = {}
    for name in KINDS:
        paths = files_of(getattr(settings, name), splits, known, validation if name == UNPUBLISHED else None)
        paths = paths or [path for files in own if (path := getattr(files, name)) is not None]
        found[name] = list(dict.fromkeys(paths))
    return found


def files_of(
    named: Sequence[str], splits: Sequence[str], known: Sequence[str] = (), spared: str | None = None
) -> list[Path]:
    """Files that settings name, {split} filled in.

    Args:
        named: of one setting.
        splits: whose files.
        known: splits that "all" stands for; those without a file are passed over.
        spared: split whose own file may be missing, which is logged.

    Raises:
        DataError: naming a file that is missing.
    """
    paths: list[Path] = []
    for name in named:
        for split in splits:
            every = split == ALL_SCENES and _SPLIT in name
            filled = [Path(name.replace(_SPLIT, part)).expanduser() for part in (known if every else [split])]
            there = [path for path in filled if path.is_file()]
            if not there and split == spared and _SPLIT in name:
                _LOG.warning("%s is missing: validation does without it", filled[0])
                continue
            if not there or (not every and len(there) < len(filled)):
                raise DataError(
                    f"{filled[0] if filled else name} is missing: get the published file, or change texts.*"
                )
            paths += there
    return list(dict.fromkeys(paths))
