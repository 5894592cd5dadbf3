"""All texts about the frames of a store, by frame: read once, in the published formats."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aln_p3_core.datasets.drivelm import DriveLmQuestion, load_drivelm
from aln_p3_core.datasets.future import STEP_S
from aln_p3_core.datasets.language_files import find_language
from aln_p3_core.datasets.nu_x import Explanation, load_nu_x
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer, load_questions
from aln_p3_core.datasets.tod3cap import ObjectCaption, load_tod3cap
from aln_p3_core.errors import DataError
from aln_p3_core.explainer.prompts import command_answer
from aln_p3_core.training.agent_tokens import agent_annotations
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.text_settings import TextSettings

Entry = TypeVar("Entry")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class TextLibrary:
    """Texts of every frame of a store, by its index.

    Attributes:
        explanations: or None.
        commands: what the recorded plan does, as an answer; "" where its end is not known.
        questions, drivelm: with their answers.
        captions: of each target agent, in the order of `FrameTargets.agent_boxes_A10`, or None; () without captions.
    """

    explanations: list[Explanation | None]
    commands: list[str]
    questions: list[tuple[QuestionAnswer, ...]]
    drivelm: list[tuple[DriveLmQuestion, ...]]
    captions: list[tuple[ObjectCaption | None, ...]]


def load_texts(
    dataset: NuScenesDataset,
    store: FrameStore,
    splits: Sequence[str],
    settings: TextSettings,
    validation: str | None = None,
) -> TextLibrary:
    """Reads the texts of a store's frames.

    Args:
        dataset: whose frames the store holds.
        store: frames.
        splits: whose files are read.
        settings: with files of its own, or none: then those in the root's `language` folder.
        validation: of the splits, the one that nothing is learnt of. DriveLM's answers for it are not published: where
            its file is missing, that is logged.

    Raises:
        DataError: when another file is missing, one is broken, or none has a text for any of the frames.
    """
    found = [find_language(dataset.root, split) for split in splits]
    tokens = store.tokens

    def all_of(
        load: Callable[[Path], dict[str, Entry]],
        named: Sequence[str],
        own: list[Path | None],
        spared: str | None = None,
    ) -> dict[str, Entry]:
        paths, missing = files_of(named, splits, spared)
        for path in missing:
            _LOG.warning("%s is missing: validation does without it", path)
        if not named:
            paths = [path for path in own if path is not None]
        texts: dict[str, Entry] = {}
        for path in dict.fromkeys(paths):
            texts |= load(path)
        return texts

    nu_x = all_of(load_nu_x, settings.nu_x, [files.nu_x for files in found])
    questions = all_of(load_questions, settings.questions, [files.questions for files in found])
    drivelm = all_of(load_drivelm, settings.drivelm, [files.drivelm for files in found], validation)
    captions: list[tuple[ObjectCaption | None, ...]] = [()] * len(tokens)
    if settings.tod3cap or any(files.tod3cap for files in found):
        agents = [agent_annotations(dataset, store, index) for index in range(len(tokens))]
        wanted = {name for of_frame in agents for name in of_frame}
        told = all_of(lambda path: load_tod3cap(path, wanted), settings.tod3cap, [files.tod3cap for files in found])
        captions = [tuple(told.get(name) for name in of_frame) for of_frame in agents]
    library = TextLibrary(
        explanations=[nu_x.get(token) for token in tokens],
        commands=[
            command_answer(offsets.cumsum(axis=0), STEP_S) if mask.all() else ""
            for offsets, mask in zip(store.column("plan_offsets"), store.column("plan_mask"), strict=True)
        ],
        questions=[tuple(questions.get(token, ())) for token in tokens],
        drivelm=[drivelm.get(token, ()) for token in tokens],
        captions=captions,
    )
    if not any((*library.explanations, *library.questions, *library.drivelm, *map(any, captions))):
        raise DataError(
            f"no text for any frame of {dataset.root} (splits {', '.join(splits)}): put the published files into its "
            "folder language, or name them in texts.nu_x, texts.tod3cap, texts.questions and texts.drivelm"
        )
    return library


def files_of(named: Sequence[str], splits: Sequence[str], spared: str | None = None) -> tuple[list[Path], list[Path]]:
    """Files that settings name, {split} filled in: those that are there, and those that only `spared` needs and lacks.

    Raises:
        DataError: naming a file that is missing and belongs to another split.
    """
    paths: dict[Path, None] = {}
    missing: list[Path] = []
    for name in named:
        for split in splits:
            path = Path(name.replace("{split}", split)).expanduser()
            if path.is_file():
                paths[path] = None
            elif split == spared and "{split}" in name:
                missing.append(path)
            else:
                raise DataError(f"{path} is missing: get the published file, or change texts.*")
    return list(paths), missing
