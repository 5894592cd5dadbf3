"""Vector map: average precision of lines by their distance (MapTR, section 4.1; VAD, section 4.2) under a protocol.

    result = evaluate_map([p.map_elements for p in predictions], [dataset.map_truth(p.token) for p in predictions])
    result.mean_ap

docs/evaluation.md gives the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.map_lines import (
    BoolArray,
    Elements,
    IntArray,
    MapLines,
    box_corners,
    box_gaps,
    chamfer,
    chamfer_bound,
    cut_at_range,
    gather_lines,
    outline_overlap,
    outlines_touch,
    pairs_of_same_kind,
    resample,
)
from aln_p3_core.evaluation.perception_protocol import MapProtocol, read_map_protocol
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import MAP_CLASSES

# Below this, pairs are no match under any threshold.
_NO_MATCH = -np.inf


@dataclass(frozen=True, eq=False)
class MapResult:
    """Average precisions. C = classes, T = thresholds.

    Attributes:
        protocol: that they were counted under.
        class_names: of the C.
        ap: [C, T] in 0..1; NaN for a class without truth that the protocol leaves out.
        num_truth, num_predictions: [C] lines.
        recalls, precisions: by (class, threshold) index, along falling scores.
    """

    protocol: MapProtocol
    class_names: tuple[str, ...]
    ap: FloatArray
    num_truth: IntArray
    num_predictions: IntArray
    recalls: dict[tuple[int, int], FloatArray]
    precisions: dict[tuple[int, int], FloatArray]

    @property
    def class_ap(self) -> FloatArray:
        """[C] mean over the thresholds."""
        return self.ap.mean(axis=1)

    @property
    def mean_ap(self) -> float:
        """Mean over classes (those that count) and thresholds; NaN where none counts."""
        return float(np.nanmean(self.ap)) if np.isfinite(self.ap).any() else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Numbers by name."""
        per_class = {
            name: {
                "ap": _or_none(self.class_ap[c]),
                "by_threshold": {f"{t:g}": _or_none(v) for t, v in zip(self.protocol.thresholds, row, strict=True)},
                "truth": int(self.num_truth[c]),
                "predictions": int(self.num_predictions[c]),
            }
            for c, (name, row) in enumerate(zip(self.class_names, self.ap, strict=True))
        }
        return {"protocol": self.protocol.name, "map": _or_none(self.mean_ap), "classes": per_class}


@dataclass(frozen=True, eq=False)
class LinePairs:
    """Pairs of predicted and true lines that can be a match. K = pairs.

    Attributes:
        predictions, truth: all lines, as the protocol compares them.
        prediction_ids, truth_ids: [K] indices into them.
        similarities: [K] more is better: minus metres, or the overlap.
    """

    predictions: MapLines
    truth: MapLines
    prediction_ids: IntArray
    truth_ids: IntArray
    similarities: FloatArray


def evaluate_map(
    predictions: Sequence[Elements | None],
    truth: Sequence[Elements | None],
    protocol: MapProtocol | None = None,
    class_names: tuple[str, ...] = MAP_CLASSES,
) -> MapResult:
    """Average precision of map lines.

    Args:
        predictions: of each sample (`MapElements`); None where there is none.
        truth: of the same samples, with all their vertices (`NuScenesDataset.map_truth`): published ones have them.
        protocol: None takes "p3".
        class_names: of the class indices.

    Raises:
        DataError: when there are not as many of both, or the points of predictions shall be taken as they are
            and their number differs.
    """
    protocol = protocol or read_map_protocol("p3")
    pairs = line_pairs(predictions, truth, protocol)
    shape = (len(class_names), len(protocol.thresholds))
    ap = np.zeros(shape)
    recalls, precisions = {}, {}
    num_truth = np.bincount(pairs.truth.class_ids, minlength=shape[0])
    num_predictions = np.bincount(pairs.predictions.class_ids, minlength=shape[0])
    # Best score first; ties stay in the order of samples and of lines.
    order = np.argsort(-pairs.predictions.scores, kind="stable")
    for t in range(shape[1]):
        found = true_positives(pairs, protocol, t, order)
        for c in range(shape[0]):
            own = order[pairs.predictions.class_ids[order] == c]
            hits = np.cumsum(found[own].astype(np.float64))
            recalls[c, t] = hits / max(num_truth[c], np.finfo(np.float32).eps)
            precisions[c, t] = hits / np.arange(1, len(own) + 1)
            ap[c, t] = area_under(recalls[c, t], precisions[c, t])
    if protocol.missing_classes == "left_out":
        ap[num_truth == 0] = np.nan
    return MapResult(protocol, class_names, ap, num_truth, num_predictions, recalls, precisions)


def line_pairs(
    predictions: Sequence[Elements | None],
    truth: Sequence[Elements | None],
    protocol: MapProtocol,
    *,
    all_pairs: bool = False,
) -> LinePairs:
    """Compares lines of the same sample and class; without `all_pairs`, pairs that can match no threshold are left out.

    Raises:
        As `evaluate_map`.
    """
    if len(predictions) != len(truth):
        raise DataError(f"{len(predictions)} samples have predicted map lines, {len(truth)} true ones: give the same")
    lengths = {e.points_model.shape[1] for e in predictions if e is not None and len(e.class_ids)}
    if not protocol.resample_predictions and len(lengths) > 1:
        raise DataError(f"protocol {protocol.name} takes points as they are, but lines have {sorted(lengths)} points")
    ours, theirs = gather_lines(predictions), gather_lines(truth)
    if protocol.range_m is not None:
        ours, theirs = cut_at_range(ours, protocol.range_m), cut_at_range(theirs, protocol.range_m)
    a, b = pairs_of_same_kind(ours, theirs)
    by_distance = protocol.similarity == "chamfer"
    limit = max(protocol.thresholds) if by_distance and not all_pairs else np.inf
    near = box_gaps(box_corners(ours.points_model)[a], box_corners(theirs.points_model)[b]) <= limit
    a, b = a[near], b[near]
    used = [np.unique(ids, return_inverse=True) for ids in (a, b)]
    first, second = ours.points_model[used[0][0]], resample(theirs.points_model[used[1][0]])
    first = resample(first) if protocol.resample_predictions else first
    rows, columns = used[0][1].reshape(-1), used[1][1].reshape(-1)
    if not by_distance:
        assert protocol.outline_m is not None
        at_least = 0.0 if all_pairs else min(protocol.thresholds)
        similar = outline_overlap(first[rows], second[columns], protocol.outline_m, at_least)
        return LinePairs(ours, theirs, a, b, similar)
    near = np.concatenate([chamfer_bound(first[r], second[c]) for r, c in _chunks(rows, columns)]) <= limit
    a, b, rows, columns = a[near], b[near], rows[near], columns[near]
    distances = np.concatenate([chamfer(first[r], second[c]) for r, c in _chunks(rows, columns)])
    near = distances <= limit
    a, b, rows, columns, distances = a[near], b[near], rows[near], columns[near], distances[near]
    similarities = -distances
    if protocol.outline_m is not None:
        similarities[~outlines_touch(first[rows], second[columns], protocol.outline_m)] = _NO_MATCH
    return LinePairs(ours, theirs, a, b, similarities)


def true_positives(pairs: LinePairs, protocol: MapProtocol, threshold_index: int, order: IntArray) -> BoolArray:
    """[N] which predictions find a line, at one of the protocol's thresholds.

    Args:
        pairs: of all samples. protocol: how a line is taken.
        threshold_index: of `protocol.thresholds`.
        order: [N] predictions, best score first.
    """
    limit = protocol.thresholds[threshold_index]
    if protocol.similarity == "chamfer":
        limit = -limit
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    # By prediction, the best score first; then by similarity.
    sorting = np.lexsort((-pairs.similarities, rank[pairs.prediction_ids]))
    prediction_ids, truth_ids = pairs.prediction_ids[sorting], pairs.truth_ids[sorting]
    good = pairs.similarities[sorting] >= limit
    found = np.zeros(len(order), dtype=bool)
    if protocol.taken_truth == "false_positive":
        best = np.ones(len(prediction_ids), dtype=bool)
        best[1:] = prediction_ids[1:] != prediction_ids[:-1]
        prediction_ids, truth_ids = prediction_ids[best & good], truth_ids[best & good]
        found[prediction_ids[np.unique(truth_ids, return_index=True)[1]]] = True
        return found
    taken = np.zeros(len(pairs.truth), dtype=bool)
    for prediction, line in zip(prediction_ids[good].tolist(), truth_ids[good].tolist(), strict=True):
        if not found[prediction] and not taken[line]:
            found[prediction] = taken[line] = True
    return found


def area_under(recalls: FloatArray, precisions: FloatArray) -> float:
    """Area under the curve of the best precision at each recall or beyond (as in PASCAL VOC from 2010 on)."""
    if not len(recalls):
        return 0.0
    envelope = np.maximum.accumulate(precisions[::-1])[::-1]
    return float(np.sum(np.diff(recalls, prepend=0.0) * envelope))


def _chunks(rows: IntArray, columns: IntArray, size: int = 4096) -> list[tuple[IntArray, IntArray]]:
    """Pairs in parts that fit in memory; one empty part at least."""
    return [(rows[k : k + size], columns[k : k + size]) for k in range(0, max(len(rows), 1), size)]


def _or_none(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def score_matrix(pairs: LinePairs, sample: int, class_id: int, missing: float) -> NDArray[np.float64]:
    """[P, G] similarities of a sample's lines of a class; `missing` where there is no pair."""
    ours = np.flatnonzero((pairs.predictions.samples == sample) & (pairs.predictions.class_ids == class_id))
    theirs = np.flatnonzero((pairs.truth.samples == sample) & (pairs.truth.class_ids == class_id))
    table = np.full((len(ours), len(theirs)), missing)
    own = np.isin(pairs.prediction_ids, ours) & np.isfinite(pairs.similarities)
    rows, columns = np.searchsorted(ours, pairs.prediction_ids[own]), np.searchsorted(theirs, pairs.truth_ids[own])
    table[rows, columns] = pairs.similarities[own]
    return table
