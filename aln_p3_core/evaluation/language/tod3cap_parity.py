"""Parity of m@kIoU (released form) with TOD3Cap's code: `check_tod3cap(folder)`.

The folder holds nusc/ (a small root), results_nusc.json (nuScenes' detection format, a caption each),
final_caption_bbox_token.json, records.json (each prediction with its IoU and texts) and expected.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aln_p3_core.datasets.language_files import TOD3CAP_FILE
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.tod3cap import load_tod3cap
from aln_p3_core.evaluation.language.tod3cap import best_truth, tod3cap_scores
from aln_p3_core.evaluation.language.tod3cap_released import ReleasedTruth
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json

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
    truth = ReleasedTruth(dataset, tokens, load_tod3cap(folder / TOD3CAP_FILE))
    predictions, true = truth.predicted(stored), truth.boxes
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
