"""All texts about the frames of a store, by frame: read once, in the published formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aln_p3_core.datasets.drivelm import DriveLmQuestion, load_drivelm
from aln_p3_core.datasets.future import STEP_S
from aln_p3_core.datasets.nu_x import Explanation, load_nu_x
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer, load_questions
from aln_p3_core.datasets.tod3cap import ObjectCaption, load_tod3cap
from aln_p3_core.errors import DataError
from aln_p3_core.explainer.prompts import command_answer
from aln_p3_core.training.agent_tokens import agent_annotations
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.text_files import text_files
from aln_p3_core.training.text_settings import TextSettings

Entry = TypeVar("Entry")


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
        splits: whose files are read; "all" reads those of every split that the root has.
        settings: with files of its own, or none: then those in the root's `language` folder.
        validation: of the splits, the one that nothing is learnt of. DriveLM's answers for it are not published: where
            its file is missing, that is logged.

    Raises:
        DataError: when another file is missing, one is broken, or none has a text for any of the frames.
    """
    files = text_files(dataset, splits, settings, validation)
    tokens = store.tokens

    def all_of(load: Callable[[Path], dict[str, Entry]], name: str) -> dict[str, Entry]:
        texts: dict[str, Entry] = {}
        for path in files[name]:
            texts |= load(path)
        return texts

    nu_x, questions, drivelm = (
        all_of(load_nu_x, "nu_x"),
        all_of(load_questions, "questions"),
        all_of(load_drivelm, "drivelm"),
    )
    captions: list[tuple[ObjectCaption | None, ...]] = [()] * len(tokens)
    if files["tod3cap"]:
        agents = [agent_annotations(dataset, store, index) for index in range(len(tokens))]
        wanted = {name for of_frame in agents for name in of_frame}
        told = all_of(lambda path: load_tod3cap(path, wanted), "tod3cap")
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
