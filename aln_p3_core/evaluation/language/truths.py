"""What would be right to say about key frames, from a root's own texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aln_p3_core.datasets.future import STEP_S
from aln_p3_core.datasets.language_files import find_language
from aln_p3_core.datasets.nu_x import load_nu_x
from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer, load_questions
from aln_p3_core.datasets.targets import ground_truth_command
from aln_p3_core.datasets.tod3cap import load_tod3cap
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.language.tod3cap import IGNORED, CaptionedBoxes
from aln_p3_core.evaluation.language.tod3cap_released import ReleasedTruth
from aln_p3_core.explainer.prompts import command_answer
from aln_p3_core.explainer.tasks import explanation_answer
from aln_p3_core.frame import CommandProvenance, RouteCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """What would be right to say about a frame; None and () where the data set does not tell.

    Attributes:
        explanation, command, questions: texts.
        route: the command that the true path fulfils, where the data set gives none: the driver's plan for it is what
            true texts are about. None where one is given.
    """

    explanation: str | None
    command: str | None
    questions: tuple[QuestionAnswer, ...]
    route: RouteCommand | None = None


def frame_truths(
    dataset: NuScenesDataset, tokens: Sequence[str], split: str, questions: int = 0, texts: Path | None = None
) -> dict[str, FrameTruth]:
    """Texts that the data set has for frames, by token.

    Args:
        dataset: of the frames.
        tokens: of the frames. split: whose files are read.
        questions: at most so many a frame, evenly spread; 0 for all.
        texts: folder with the files; None: those of the data set's root (`find_language`).

    Raises:
        DataError: when there are no texts, or a file is broken.
    """
    files = find_language(texts or dataset.root, split)
    if not files.any:
        names = f"Nu_X_{split}.json, NuScenes_{split}_questions.json and final_caption_bbox_token.json"
        remedy = f"put {names} there" if texts else (
            f"put {names} into its folder language or into another one (--texts), or record a world, which writes them"
        )  # fmt: skip
        raise DataError(f"{texts or dataset.root} has no texts of split {split!r}: {remedy}")
    nu_x = load_nu_x(files.nu_x) if files.nu_x else {}
    asked = load_questions(files.questions) if files.questions else {}
    found = {}
    for token in tokens:
        explanation = nu_x.get(token)
        places, known = dataset.ego_future(token)
        own = asked.get(token, [])
        count = questions if 0 < questions < len(own) else len(own)
        found[token] = FrameTruth(
            explanation_answer(explanation.narration, explanation.reasoning) if explanation else None,
            command_answer(places, STEP_S) if known.all() else None,
            tuple(own[i * len(own) // count] for i in range(count)),
            ground_truth_command(dataset, token)
            if dataset.command_of(token).provenance is CommandProvenance.DEFAULT
            else None,
        )
    return found


@dataclass(frozen=True, eq=False)
class CaptionTruth:
    """True boxes of frames with their captions.

    Attributes:
        boxes: with at least a LiDAR or radar point, in the model frame.
        released: those that the released code keeps of them.
    """

    boxes: CaptionedBoxes
    released: ReleasedTruth


def true_captions(
    dataset: NuScenesDataset,
    targets: Mapping[str, Targets],
    tokens: Sequence[str],
    split: str,
    texts: Path | None = None,
) -> CaptionTruth | None:
    """Annotated boxes of frames, and their captions.

    `texts`: as in `frame_truths`. None where there are no captions. A box without one is `tod3cap.IGNORED`. Raises
    DataError for a broken file, and as `DetectionTruth` does.
    """
    path = find_language(texts or dataset.root, split).tod3cap
    if path is None:
        return None
    rows = [(token, int(row)) for token in tokens for row in np.flatnonzero(targets[token].valid)]
    names = [targets[token].annotation_tokens[row] for token, row in rows]
    captions = load_tod3cap(path, frozenset(name for token in tokens for name in targets[token].annotation_tokens))

    def column(field: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.array([getattr(targets[token], field)[row] for token, row in rows], dtype=np.float64).reshape(shape)

    boxes = CaptionedBoxes(
        samples=[token for token, _ in rows],
        centers=column("centers_model", (-1, 3)),
        sizes_lwh=column("sizes_lwh", (-1, 3)),
        headings=column("headings_model", (-1,)),
        texts=[captions[name].final if name in captions else IGNORED for name in names],
    )
    return CaptionTruth(boxes, ReleasedTruth(dataset, tokens, captions))
