"""Motion: minADE, minFDE, miss rate and EPA (ViP3D, section 4.1) of forecasts of detected agents, under a protocol.

    result = evaluate_motion([p.agents for p in predictions], [targets[p.token] for p in predictions])
    result.groups["vehicle"].min_fde

Forecasts and truth are places in the model frame: an error of the detected centre is in them. docs/evaluation.md
gives the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from aln_p3_core.datasets.targets import Targets
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.motion_matching import (
    BESIDE,
    IntArray,
    Matching,
    MotionTruth,
    SingleArray,
    group_table,
    match,
    motion_truth,
)
from aln_p3_core.evaluation.perception_protocol import MotionProtocol, read_motion_protocol
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import Agents


@dataclass(frozen=True, slots=True)
class MotionCounts:
    """Sums over objects of one group; those of several samples may be added.

    Attributes:
        truth: objects with a whole known future, matched or not. objects: all that count.
        matched: objects that a prediction was matched to.
        ade_count, ade_sum: matched objects with any known step, and their minADE, m.
        fde_count, fde_sum: matched objects with a whole known future, and their minFDE, m.
        likely_ade_sum, likely_fde_sum: the same of the most probable mode.
        hits, misses: of those, by the place at the end.
        false_positives: predictions of the group without an object.
    """

    truth: float = 0.0
    objects: float = 0.0
    matched: float = 0.0
    ade_count: float = 0.0
    ade_sum: float = 0.0
    fde_count: float = 0.0
    fde_sum: float = 0.0
    likely_ade_sum: float = 0.0
    likely_fde_sum: float = 0.0
    hits: float = 0.0
    misses: float = 0.0
    false_positives: float = 0.0


@dataclass(frozen=True, slots=True)
class GroupMotion:
    """Measures of one group; NaN where there is nothing to measure.

    Attributes:
        counts: that they are made of.
        score_above: of the predictions that count.
        min_ade, min_fde: of the best of all modes, mean over objects, m.
        likely_ade, likely_fde: of the most probable mode, m.
        miss_rate: share of the matched whose best mode ends too far away.
        epa: (hits - weight * false positives) / objects with a whole known future.
        recall: share of the objects that are matched.
    """

    counts: MotionCounts
    score_above: float
    min_ade: float
    min_fde: float
    likely_ade: float
    likely_fde: float
    miss_rate: float
    epa: float
    recall: float


@dataclass(frozen=True, eq=False)
class MotionResult:
    """Measures by group.

    Attributes:
        protocol: that they were counted under.
        groups: by name, in the protocol's order.
        samples: counts of every sample, by group.
    """

    protocol: MotionProtocol
    groups: Mapping[str, GroupMotion]
    samples: tuple[Mapping[str, MotionCounts], ...]

    def to_json(self) -> dict[str, Any]:
        """Numbers by name."""
        rows = {}
        for name, group in self.groups.items():
            numbers = {f.name: getattr(group, f.name) for f in fields(group) if f.name != "counts"}
            rows[name] = {key: value if np.isfinite(value) else None for key, value in numbers.items()}
            rows[name] |= {"objects": group.counts.objects, "matched": group.counts.matched}
        return {"protocol": self.protocol.name, "groups": rows}


def evaluate_motion(
    predictions: Sequence[Agents | None], targets: Sequence[Targets], protocol: MotionProtocol | None = None
) -> MotionResult:
    """Measures of the forecasts of detected agents.

    Args:
        predictions: of each sample; None where there is none.
        targets: of the same samples.
        protocol: None takes "p3".

    Raises:
        DataError: when there are not as many of both, or forecasts have another number of steps than futures.
    """
    protocol = protocol or read_motion_protocol("p3")
    return measure_motion(predictions, [motion_truth(t, protocol) for t in targets], protocol)


def measure_motion(
    predictions: Sequence[Agents | None], truth: Sequence[MotionTruth], protocol: MotionProtocol
) -> MotionResult:
    """As `evaluate_motion`, with the objects chosen already."""
    if len(predictions) != len(truth):
        raise DataError(f"{len(predictions)} samples have predictions, {len(truth)} have truth: give the same samples")
    matchings = [
        match(agents, objects, protocol) if agents is not None else None
        for agents, objects in zip(predictions, truth, strict=True)
    ]
    limits = _score_limits(predictions, truth, matchings, protocol)
    samples = tuple(
        _sample_counts(agents, objects, matching, protocol, limits)
        for agents, objects, matching in zip(predictions, truth, matchings, strict=True)
    )
    groups = {}
    for index, name in enumerate(protocol.groups):
        sums = {f.name: sum(getattr(row[name], f.name) for row in samples) for f in fields(MotionCounts)}
        groups[name] = group_measures(MotionCounts(**sums), float(limits[index]), protocol)
    return MotionResult(protocol, groups, samples)


def group_measures(counts: MotionCounts, score_above: float, protocol: MotionProtocol) -> GroupMotion:
    """Measures from counts."""
    return GroupMotion(
        counts,
        score_above,
        _ratio(counts.ade_sum, counts.ade_count),
        _ratio(counts.fde_sum, counts.fde_count),
        _ratio(counts.likely_ade_sum, counts.ade_count),
        _ratio(counts.likely_fde_sum, counts.fde_count),
        _ratio(counts.misses, counts.fde_count),
        _ratio(counts.hits - protocol.false_positive_weight * counts.false_positives, counts.truth),
        _ratio(counts.matched, counts.objects),
    )


def _ratio(value: float, count: float) -> float:
    return value / count if count else float("nan")


def _score_limits(
    predictions: Sequence[Agents | None],
    truth: Sequence[MotionTruth],
    matchings: Sequence[Matching | None],
    protocol: MotionProtocol,
) -> FloatArray:
    """[G] score above which predictions of a group count: fixed, or where the F1 of its detection is best."""
    if not isinstance(protocol.score_above, str):
        return np.full(len(protocol.groups), protocol.score_above)
    table = group_table(protocol)
    limits = np.zeros(len(protocol.groups))
    for group in range(len(limits)):
        objects = sum(int((t.counted & (table[t.class_ids] == group)).sum()) for t in truth)
        scores, hits = [np.zeros(0)], [np.zeros(0, dtype=bool)]
        for agents, matching in zip(predictions, matchings, strict=True):
            if agents is not None and matching is not None:
                own = (matching.groups == group) & ~matching.ignored
                scores.append(np.asarray(agents.scores, dtype=np.float64)[own])
                hits.append(matching.truth_of[own] >= 0)
        all_scores = np.concatenate(scores)
        order = np.argsort(-all_scores, kind="stable")
        found = np.cumsum(np.concatenate(hits)[order])
        f1 = 2 * found / np.maximum(np.arange(1, len(order) + 1) + objects, 1)
        last = np.diff(all_scores[order], append=-np.inf) != 0  # a limit cannot divide equal scores
        if last.any():
            best = int(np.where(last, f1, -1.0).argmax())
            limits[group] = np.nextafter(all_scores[order][best], -np.inf)
    return limits


def _sample_counts(
    agents: Agents | None,
    truth: MotionTruth,
    matching: Matching | None,
    protocol: MotionProtocol,
    limits: FloatArray,
) -> dict[str, MotionCounts]:
    true_groups = group_table(protocol)[truth.class_ids]
    known = truth.future_mask.sum(axis=1)
    whole = known == truth.future_mask.shape[1]
    prediction_of = np.full(len(truth), -1)
    unmatched = np.zeros(0, dtype=np.int64)
    if agents is not None and matching is not None:
        counts = matching.kept
        if isinstance(protocol.score_above, str):
            own_limit = np.append(limits, -np.inf)[np.maximum(matching.groups, BESIDE)]
            counts = np.asarray(agents.scores, dtype=np.float64) > own_limit
        matched = counts & (matching.truth_of >= 0) & ~matching.ignored
        prediction_of[matching.truth_of[matched]] = np.flatnonzero(matched)
        unmatched = matching.groups[counts & (matching.truth_of < 0) & ~matching.ignored]
    errors = _errors(agents, truth, prediction_of, protocol)
    found = {}
    for group, name in enumerate(protocol.groups):
        own = (true_groups == group) & truth.counted
        measured = own & (prediction_of >= 0) & (known > 0)
        ends = measured & whole
        hits = errors.best_fde[ends] <= np.float32(protocol.hit_distance_m)
        found[name] = MotionCounts(
            truth=float((own & whole).sum()),
            objects=float(own.sum()),
            matched=float((own & (prediction_of >= 0)).sum()),
            ade_count=float(measured.sum()),
            ade_sum=float(errors.best_ade[measured].sum()),
            fde_count=float(ends.sum()),
            fde_sum=float(errors.best_fde[ends].sum()),
            likely_ade_sum=float(errors.likely_ade[measured].sum()),
            likely_fde_sum=float(errors.likely_fde[ends].sum()),
            hits=float(hits.sum()),
            misses=float((~hits).sum()),
            false_positives=float((unmatched == group).sum()),
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """[A] errors of the matched prediction; zero without one."""

    best_ade: SingleArray
    best_fde: SingleArray
    likely_ade: SingleArray
    likely_fde: SingleArray


def _errors(agents: Agents | None, truth: MotionTruth, prediction_of: IntArray, protocol: MotionProtocol) -> _Errors:
    errors = _Errors(*(np.zeros(len(truth), dtype=np.float32) for _ in range(4)))
    rows = np.flatnonzero((prediction_of >= 0) & truth.future_mask.any(axis=1))
    if agents is None or not len(rows):
        return errors
    steps = truth.future_mask.shape[1]
    if agents.forecasts_model.shape[2] != steps:
        raise DataError(f"forecasts have {agents.forecasts_model.shape[2]} steps, the truth has {steps}")
    mask = truth.future_mask[rows]
    if protocol.known_steps == "as_many_first":
        mask = np.arange(steps) < mask.sum(axis=1, keepdims=True)
    forecasts = np.asarray(agents.forecasts_model, dtype=np.float32)[prediction_of[rows]]
    distances = np.linalg.norm(forecasts - truth.futures_model[rows, None], axis=-1)
    ade = (distances * mask[:, None]).sum(axis=-1) / mask.sum(axis=1, keepdims=True).astype(np.float32)
    fde = distances[..., -1]
    likely = agents.forecast_probabilities[prediction_of[rows]].argmax(axis=1)[:, None]
    errors.best_ade[rows], errors.best_fde[rows] = ade.min(axis=1), fde.min(axis=1)
    errors.likely_ade[rows] = np.take_along_axis(ade, likely, axis=1)[:, 0]
    errors.likely_fde[rows] = np.take_along_axis(fde, likely, axis=1)[:, 0]
    return errors
