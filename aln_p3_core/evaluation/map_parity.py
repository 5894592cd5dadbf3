"""Parity of the map protocols with the released evaluation: `check_map(folder)`.

The folder holds inputs.json (true and predicted lines of samples) and expected.json (by way of comparison: average
precisions, curves, score matrices and which predictions found a line), as the released code gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.map import LinePairs, MapResult, evaluate_map, line_pairs, score_matrix, true_positives
from aln_p3_core.evaluation.map_lines import IntArray
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json
from aln_p3_core.evaluation.perception_protocol import MapProtocol, read_map_protocol
from aln_p3_core.geometry import FloatArray

FOLDER = "map"
# Curves and areas are stored in single precision; scores are metres.
_RATE_TOLERANCE, _SCORE_TOLERANCE = 1e-6, 1e-9
# Stored as the score of a pair that is none.
_NO_PAIR = -100.0
# Stored name: title of our protocol, and whether the crossings of the truth are taken away.
_WAYS = {
    "chamfer_resampled": ("vad", False),
    "chamfer_raw20": ("vad raw points", False),
    "iou_resampled": ("vad iou", False),
    "chamfer_no_ped_gt": ("vad", True),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines of one sample as they are stored, those that are short repeat their last point."""

    points_model: FloatArray
    class_ids: IntArray
    scores: FloatArray


def check_map(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line each.

    Raises:
        DataError: naming a file that is missing or broken.
    """
    folder = Path(folder)
    inputs, expected = read_json(folder / "inputs.json"), read_json(folder / "expected.json")
    try:
        classes = tuple(inputs["class_names"])
        predictions, truth = ([_lines(row["vectors"]) for row in inputs[key]] for key in ("preds", "gts"))
        for way, golden in expected.items():
            if way not in _WAYS:
                yield MetricLine(FOLDER, way, float("inf"), 0.0, False, "no protocol of ours counts this way")
                continue
            title, without_crossings = _WAYS[way]
            kept = [_without(lines, classes.index("ped_crossing")) for lines in truth] if without_crossings else truth
            protocol = read_map_protocol(title)
            yield from _averages(way, evaluate_map(predictions, kept, protocol, classes), golden)
            if golden.get("score_matrices") is not None:
                pairs = line_pairs(predictions, kept, protocol, all_pairs=True)
                yield from _scores(way, pairs, classes, golden["score_matrices"])
                yield from _found(way, pairs, protocol, classes, golden["tp_fp_per_sample"])
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"{folder}: inputs.json or expected.json is not as expected: {error!r}") from error


def _lines(vectors: Sequence[Mapping[str, Any]]) -> _Lines:
    longest = max((len(vector["pts"]) for vector in vectors), default=2)
    points = [
        np.pad(np.asarray(v["pts"], dtype=np.float64), ((0, longest - len(v["pts"])), (0, 0)), mode="edge")
        for v in vectors
    ]
    return _Lines(
        np.array(points).reshape(-1, longest, 2),
        np.array([vector["type"] for vector in vectors], dtype=np.int64),
        np.array([vector.get("confidence_level", 0.0) for vector in vectors], dtype=np.float64),
    )


def _without(lines: _Lines, class_id: int) -> _Lines:
    keep = lines.class_ids != class_id
    return _Lines(lines.points_model[keep], lines.class_ids[keep], lines.scores[keep])


def _averages(way: str, result: MapResult, golden: Mapping[str, Any]) -> Iterator[MetricLine]:
    class_ap = [golden["class_ap"][name] for name in result.class_names]
    yield compare(FOLDER, f"{way} AP by class", result.class_ap, class_ap, _RATE_TOLERANCE)
    yield compare(FOLDER, f"{way} mAP", result.mean_ap, golden["mAP"], _RATE_TOLERANCE)
    for t, threshold in enumerate(result.protocol.thresholds):
        stored = golden["per_threshold"][f"{threshold:.2f}"]
        # This mean, unlike the one above, leaves out classes without truth.
        mean = result.ap[result.num_truth > 0, t].mean()
        yield compare(FOLDER, f"{way} {threshold:.2f} mAP", mean, stored["mAP"], _RATE_TOLERANCE)
        for c, name in enumerate(result.class_names):
            row, title = stored["classes"][name], f"{way} {threshold:.2f} {name}"
            numbers = (result.ap[c, t], result.num_predictions[c], result.num_truth[c])
            yield compare(FOLDER, title, numbers, [row["ap"], row["num_dets"], row["num_gts"]], _RATE_TOLERANCE)
            for curve, ours in (("recall", result.recalls), ("precision", result.precisions)):
                if curve in row:  # not stored at every threshold
                    yield compare(FOLDER, f"{title} {curve}", ours[c, t], row[curve], _RATE_TOLERANCE)


def _scores(
    way: str, pairs: LinePairs, classes: Sequence[str], golden: Mapping[str, Sequence[Any]]
) -> Iterator[MetricLine]:
    missing = _NO_PAIR if way.startswith("chamfer") else 0.0
    for c, name in enumerate(classes):
        tables = [score_matrix(pairs, sample, c, missing) for sample in range(len(golden[name]))]
        # Samples without predictions or without truth have none.
        stored = [np.asarray([] if matrix is None else matrix, dtype=np.float64) for matrix in golden[name]]
        shapes = [table.size == matrix.size for table, matrix in zip(tables, stored, strict=True)]
        ours, theirs = (np.concatenate([m.ravel() for m in matrices]) for matrices in (tables, stored))
        note = "" if all(shapes) else f"samples {[i for i, same in enumerate(shapes) if not same]} differ in size"
        yield compare(FOLDER, f"{way} scores of {name}", ours, theirs, _SCORE_TOLERANCE, note)


def _found(
    way: str, pairs: LinePairs, protocol: MapProtocol, classes: Sequence[str], golden: Mapping[str, Any]
) -> Iterator[MetricLine]:
    order = np.argsort(-pairs.predictions.scores, kind="stable")
    for t, threshold in enumerate(protocol.thresholds):
        found = true_positives(pairs, protocol, t, order)
        for c, name in enumerate(classes):
            # Lines of a class, sample by sample; stored as true positives, then false ones.
            ours = found[pairs.predictions.class_ids == c].astype(np.float64)
            stored = golden[name][f"{threshold:.1f}"]
            theirs = [np.concatenate([np.ravel(sample[k]) for sample in stored]) for k in (0, 1)]
            yield compare(FOLDER, f"{way} {threshold:.2f} {name} true and false", [ours, 1 - ours], theirs)
