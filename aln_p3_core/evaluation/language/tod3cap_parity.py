"""Parity of m@kIoU (released form) with TOD3Cap's code: `check_tod3cap(folder)`.

The folder holds nusc/ (a small root), results_nusc.json (nuScenes' detection format, a caption each),
final_caption_bbox_token.json, records.json (each prediction with its IoU and texts) and expected.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.tod3cap import load_tod3cap
from aln_p3_core.evaluation.detection import DetectionTruth, devkit_config
from aln_p3_core.evaluation.language.tod3cap import IGNORED, CaptionedBoxes, best_truth, tod3cap_scores
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json
from aln_p3_core.evaluation.perception_protocol import read_detection_protocol

if TYPE_CHECKING:
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

FOLDER = "tod3cap"
_TOLERANCE = 1e-9
_FILE_NAMES = {
    "bleu_1": "bleu1",
    "bleu_2": "bleu2",
    "bleu_3": "bleu3",
    "bleu_4": "bleu4",
    "meteor": "meteor",
    "rouge_l": "rouge",
    "cider": "cider",
}


def check_tod3cap(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line each.

    Raises:
        DataError: naming a file that is missing or broken.
        ConfigError: without Java or pycocoevalcap.
    """
    folder = Path(folder)
    expected = read_json(folder / "expected.json")
    stored = read_json(folder / "results_nusc.json")["results"]
    dataset = NuScenesDataset(folder / "nusc")
    tokens = [t for scene in dataset.scenes for t in dataset.scene_tokens(scene) if t in stored]
    truth = DetectionTruth(dataset, tokens)
    predictions, true = released_boxes(dataset, truth, stored, folder / "final_caption_bbox_token.json")
    yield compare(FOLDER, "predictions", sum(map(len, stored.values())), expected["n_pred_raw"])
    yield compare(FOLDER, "predictions in range", len(predictions), expected["n_pred_after_filter"])
    ious, rows = best_truth(predictions, true, "released")
    counted = np.flatnonzero(rows >= 0).tolist()
    records = read_json(folder / "records.json")
    yield compare(FOLDER, "records", len(counted), expected["n_records"])
    yield compare(FOLDER, "IoU of records", ious[counted], [record["iou"] for record in records], _TOLERANCE)
    ours = [(predictions.samples[row], predictions.texts[row], true.texts[rows[row]]) for row in counted]
    golden = [(record["sample_token"], record["candidate"], record["reference"]) for record in records]
    same = [a == b for a, b in zip(ours, golden, strict=False)]
    yield compare(FOLDER, "texts of records", same, [True] * len(golden))
    lost = expected["sample_without_gt"]
    yield compare(FOLDER, "true boxes where there is none", list(true.samples).count(lost), 0)
    for found in tod3cap_scores(predictions, true, "released"):
        threshold = f"{found.threshold:g}"
        yield compare(FOLDER, f"{found.name} kept", found.kept, expected["kept"][threshold])
        assert found.unmultiplied is not None
        for key, name in _FILE_NAMES.items():
            golden_score = expected["scores"][f"iou_{threshold}"][name]
            yield compare(FOLDER, f"{found.name} {name}", found.scores[key], golden_score, _TOLERANCE)
            plain, golden_plain = found.unmultiplied.corpus[key], expected[f"scores_unmultiplied_{threshold}"][name]
            yield compare(FOLDER, f"{found.name} {name} of kept", plain, golden_plain, _TOLERANCE)
    nothing = tod3cap_scores(predictions, true, "released", [1.0])[0]
    yield compare(FOLDER, "nothing kept above 1", nothing.kept, 0, note="scores 0; the released code gives none")


def released_boxes(
    dataset: NuScenesDataset,
    truth: DetectionTruth,
    stored: Mapping[str, Sequence[Mapping[str, Any]]],
    captions_file: Path,
) -> tuple[CaptionedBoxes, CaptionedBoxes]:
    """Predictions and truth as the released code sees them: both through nuScenes' class ranges and filters.

    Args:
        dataset, truth: of the samples. stored: predicted boxes with a "caption" by sample.
        captions_file: of TOD3Cap.
    """
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox
    from nuscenes.eval.detection.utils import category_to_detection_name

    protocol = read_detection_protocol("nuscenes")
    config = devkit_config(protocol)
    boxes = EvalBoxes()
    texts: dict[int, str] = {}
    for token in truth.tokens:
        own = [DetectionBox.deserialize(row) for row in stored[token]]
        texts |= {id(box): row["caption"] for box, row in zip(own, stored[token], strict=True)}
        boxes.add_boxes(token, own)
    captions = load_tod3cap(captions_file)
    for token in truth.tokens:
        # The devkit's boxes do not say which annotation they are of; they come in the sample's order.
        rows = [dataset.nusc.get("sample_annotation", t) for t in dataset.nusc.get("sample", token)["anns"]]
        named = [row["token"] for row in rows if category_to_detection_name(row["category_name"])]
        for box, annotation in zip(truth.boxes[token], named, strict=True):
            caption = captions.get(annotation)
            texts[id(box)] = IGNORED if caption is None else caption.final
    kept = truth.filtered(truth.with_distances(boxes), config, protocol)
    return _captioned(truth.tokens, kept, texts), _captioned(
        truth.tokens, truth.filtered(truth.boxes, config, protocol), texts
    )


def _captioned(tokens: Sequence[str], boxes: EvalBoxes, texts: Mapping[int, str]) -> CaptionedBoxes:
    rows: list[DetectionBox] = [box for token in tokens for box in boxes[token]]
    w, x, y, z = np.array([box.rotation for box in rows]).reshape(-1, 4).T
    return CaptionedBoxes(
        samples=[box.sample_token for box in rows],
        centers=np.array([box.translation for box in rows]).reshape(-1, 3),
        sizes_lwh=np.array([box.size for box in rows]).reshape(-1, 3)[:, [1, 0, 2]],
        headings=np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
        texts=[texts[id(box)] for box in rows],
    )
