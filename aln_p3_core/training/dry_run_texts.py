"""What a dry run tells of the texts: their files, and how many frames have one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.drivelm import load_drivelm
from aln_p3_core.datasets.language_files import LANGUAGE_FOLDER
from aln_p3_core.datasets.nu_x import load_nu_x
from aln_p3_core.datasets.nuscenes_qa import load_questions
from aln_p3_core.datasets.tod3cap import load_tod3cap
from aln_p3_core.errors import DataError
from aln_p3_core.training.dry_run_rows import DryRun
from aln_p3_core.training.settings import TrainingConfig
from aln_p3_core.training.text_files import KINDS, UNPUBLISHED, files_of, text_files
from aln_p3_core.training.text_settings import TextSettings
from aln_p3_core.training.used_roots import UsedRoot


def text_rows(told: DryRun, config: TrainingConfig, used: Sequence[UsedRoot]) -> None:
    """Adds a row for each kind of text that has a file. A kind that is drawn and that the frames of a learnt split lack
    is missing; of the validation split, it is a note."""
    texts = config.texts
    if texts is None:
        return
    wanted = {name: _is_drawn(kind, texts) for name, kind in KINDS.items()}
    if not used:
        _named_alone(told, config, texts, wanted)
    read = lru_cache(maxsize=None)(_tokens_with_text)
    parts = [
        (root, split, scenes, learnt)
        for root in used
        for splits, learnt in ((root.learnt, True), (root.checked, False))
        for split, scenes in splits.items()
    ]
    for name, is_wanted in wanted.items():
        counts: list[str] = []
        paths: dict[Path, None] = {}
        for root, split, scenes, learnt in parts:
            try:
                files = text_files(root.dataset, (split,), texts, None if learnt else split)[name]
            except DataError as error:
                told.missing.append(f"texts.{name}: {error}")
                continue
            tokens = root.tokens(scenes)
            count = _count(root, name, tokens, {token for path in files for token in read(name, path)})
            if files:
                counts.append(f"{split} {count} of {len(tokens)} frames")
                paths |= dict.fromkeys(files)
            if is_wanted and not count:
                lines = told.missing if learnt else told.notes
                lines.append(f"texts.{name}: {_why(root, split, files, len(tokens))}")
        if paths:
            told.add(f"texts.{name}", f"{', '.join(counts)} ({', '.join(map(str, paths))})")


def _is_drawn(kind: str, texts: TextSettings) -> bool:
    return getattr(texts.shares, kind) > 0 or kind in texts.every_frame


def _named_alone(told: DryRun, config: TrainingConfig, texts: TextSettings, wanted: dict[str, bool]) -> None:
    """Without data: the files that the settings name."""
    splits = tuple(dict.fromkeys((*config.data.splits, config.data.validation_split)))
    for name, is_wanted in wanted.items():
        try:
            spared = config.data.only_validated if name == UNPUBLISHED else None
            paths = files_of(getattr(texts, name), splits, spared=spared)
        except DataError as error:
            told.missing.append(f"texts.{name}: {error}")
            continue
        if paths:
            told.add(f"texts.{name}", ", ".join(map(str, paths)))
        elif is_wanted:
            told.missing.append(f"texts.{name}: no file in the roots' folder {LANGUAGE_FOLDER}, and none is named")


def _why(root: UsedRoot, split: str, files: Sequence[Path], frames: int) -> str:
    if not files:
        folder = root.dataset.root / LANGUAGE_FOLDER
        return f"no file for the split {split} in {folder}, and none is named"
    return f"none of the {frames} frames of the split {split} has a text in {', '.join(map(str, files))}"


def _tokens_with_text(name: str, path: Path) -> Collection[str]:
    """Samples of a file that have a text; annotations, of captions."""
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        "nu_x": load_nu_x,
        "tod3cap": load_tod3cap,
        "questions": load_questions,
    }
    if name == "drivelm":
        return {token for token, asked in load_drivelm(path).items() if asked}
    return set(readers[name](path))


def _count(root: UsedRoot, name: str, tokens: Sequence[str], spoken: Collection[str]) -> int:
    if name != "tod3cap":
        return sum(token in spoken for token in tokens)
    sample = root.dataset.nusc.get
    return sum(any(annotation in spoken for annotation in sample("sample", token)["anns"]) for token in tokens)
