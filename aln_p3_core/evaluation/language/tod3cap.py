"""TOD3Cap's m@kIoU: captions of detected objects, scored where the box fits a true one (arXiv 2403.19589).

Two forms, each with a name of its own:

- `released`: what the published code computes. A prediction takes the true box of the sample whose **size** fits best;
  position, heading and class play no part.
- `3d`: the same with the true IoU of the boxes as they stand, turned ones too.

In both, true boxes may be taken several times, predictions with an IoU above k are kept, and the scores of the kept
captions are multiplied by kept / predictions (those in samples without a true box leave the count). Missed objects
cost nothing: read it beside the detection's own figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.language.captions import SCORES, CaptionScores, caption_scores
from aln_p3_core.geometry import FloatArray

Form = Literal["released", "3d"]
#: What a true box without a caption stands for.
IGNORED = "The object is ignored."
#: Published values of k.
THRESHOLDS = (0.25, 0.5)


@dataclass(frozen=True, eq=False)
class CaptionedBoxes:
    """N boxes with a text each, in one frame a sample (global or model, m, rad).

    Attributes:
        samples: [N] token of the sample. texts: [N].
        centers: [N, 3]. sizes_lwh: [N, 3]. headings: [N].
    """

    samples: Sequence[str]
    centers: FloatArray
    sizes_lwh: FloatArray
    headings: FloatArray
    texts: Sequence[str]

    def __post_init__(self) -> None:
        lengths = {len(part) for part in (self.samples, self.centers, self.sizes_lwh, self.headings, self.texts)}
        if len(lengths) != 1:
            raise DataError(f"captioned boxes need as many of everything, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class Tod3capScores:
    """Captions at one k.

    Attributes:
        form, threshold: which IoU, and k.
        kept_rows, counted_rows: rows of the captions that count, and of all in samples with a true box.
        unmultiplied: of the kept captions; None where nothing is kept.
        scores: by key of `captions.SCORES`, times kept / predictions; 0 where nothing is kept (the released code then
            gives no scores at all), None for a METEOR without Java.
    """

    form: Form
    threshold: float
    kept_rows: NDArray[np.int64]
    counted_rows: NDArray[np.int64]
    unmultiplied: CaptionScores | None
    scores: dict[str, float | None]

    @property
    def kept(self) -> int:
        """Captions that count."""
        return len(self.kept_rows)

    @property
    def predictions(self) -> int:
        """Captions in samples with a true box."""
        return len(self.counted_rows)

    @property
    def name(self) -> str:
        """As "m@0.25IoU_released"."""
        return f"m@{self.threshold:g}IoU_{self.form}"


def tod3cap_scores(
    predictions: CaptionedBoxes,
    truth: CaptionedBoxes,
    form: Form,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    meteor: Literal["needed", "optional", "never"] = "needed",
) -> list[Tod3capScores]:
    """Scores at each k, of texts cut as TOD3Cap does (`tod3cap_whitespace`). Raises as `caption_scores`."""
    ious, rows = best_truth(predictions, truth, form)
    counted = np.flatnonzero(rows >= 0)
    found = []
    for threshold in thresholds:
        kept = np.flatnonzero((rows >= 0) & (ious > threshold))
        scores: dict[str, float | None] = dict.fromkeys(SCORES, 0.0)
        unmultiplied = None
        if len(kept):
            references = [truth.texts[rows[row]] for row in kept]
            hypotheses = [predictions.texts[row] for row in kept]
            unmultiplied = caption_scores(references, hypotheses, "tod3cap_whitespace", meteor=meteor)
            share = len(kept) / len(counted)
            scores = {key: None if value is None else value * share for key, value in unmultiplied.corpus.items()}
        found.append(Tod3capScores(form, threshold, kept, counted, unmultiplied, scores))
    return found


def best_truth(predictions: CaptionedBoxes, truth: CaptionedBoxes, form: Form) -> tuple[FloatArray, NDArray[np.int64]]:
    """For each prediction the largest IoU [N] with a true box of its sample, and that box's row [N].

    The first one wins ties; a sample without true boxes gives row -1 and IoU 0.
    """
    ious, rows = np.zeros(len(predictions)), np.full(len(predictions), -1, dtype=np.int64)
    sample_of_truth = np.array(truth.samples, dtype=object)
    sample_of_prediction = np.array(predictions.samples, dtype=object)
    measure = scale_iou if form == "released" else box_iou
    for sample in dict.fromkeys(predictions.samples):
        own = np.flatnonzero(sample_of_prediction == sample)
        true = np.flatnonzero(sample_of_truth == sample)
        if not len(true):
            continue
        table = measure(predictions, own, truth, true)
        ious[own], rows[own] = table.max(axis=1), true[table.argmax(axis=1)]
    return ious, rows


def scale_iou(a: CaptionedBoxes, rows_a: NDArray[np.int64], b: CaptionedBoxes, rows_b: NDArray[np.int64]) -> FloatArray:
    """[A, B] IoU of boxes as if centres and headings were equal."""
    sizes_a, sizes_b = a.sizes_lwh[rows_a][:, None], b.sizes_lwh[rows_b][None]
    common = np.minimum(sizes_a, sizes_b).prod(axis=-1)
    return common / (sizes_a.prod(axis=-1) + sizes_b.prod(axis=-1) - common)


def box_iou(a: CaptionedBoxes, rows_a: NDArray[np.int64], b: CaptionedBoxes, rows_b: NDArray[np.int64]) -> FloatArray:
    """[A, B] IoU of boxes as they stand: common ground area, turned boxes included, times common height."""
    import shapely

    ground_a, ground_b = _footprints(a, rows_a)[:, None], _footprints(b, rows_b)[None]
    area = shapely.area(shapely.intersection(ground_a, ground_b))
    z_a, z_b = a.centers[rows_a, 2][:, None], b.centers[rows_b, 2][None]
    half_a, half_b = a.sizes_lwh[rows_a, 2][:, None] / 2, b.sizes_lwh[rows_b, 2][None] / 2
    height = np.minimum(z_a + half_a, z_b + half_b) - np.maximum(z_a - half_a, z_b - half_b)
    common = area * np.maximum(height, 0.0)
    volumes = a.sizes_lwh[rows_a].prod(axis=-1)[:, None] + b.sizes_lwh[rows_b].prod(axis=-1)[None]
    return common / (volumes - common)


def _footprints(boxes: CaptionedBoxes, rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """[N] polygons of boxes on the ground."""
    import shapely

    cos, sin = np.cos(boxes.headings[rows]), np.sin(boxes.headings[rows])
    along = boxes.sizes_lwh[rows, 0, None] / 2 * np.array([1, -1, -1, 1])
    across = boxes.sizes_lwh[rows, 1, None] / 2 * np.array([1, 1, -1, -1])
    x = boxes.centers[rows, 0, None] + cos[:, None] * along - sin[:, None] * across
    y = boxes.centers[rows, 1, None] + sin[:, None] * along + cos[:, None] * across
    return shapely.polygons(np.stack([x, y], axis=-1))
