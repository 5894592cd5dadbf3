"""Vector map mAP with known answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from perception_helpers import elements, map_truth, upright

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.map import area_under, evaluate_map, line_pairs
from aln_p3_core.evaluation.perception_protocol import MAP_PROTOCOLS, read_map_protocol

P3, VAD = read_map_protocol("p3"), read_map_protocol("vad")


def random_truth(samples: int, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(samples):
        count = int(rng.integers(0, 7))
        paths = rng.uniform([-12, -25], [12, 25], (count, 1, 2)) + np.cumsum(rng.normal(0, 0.8, (count, 8, 2)), axis=1)
        paths = paths.clip([-15, -30], [15, 30])
        found.append(map_truth([(int(c), p) for c, p in zip(rng.integers(0, 3, count), paths, strict=True)]))
    return found


def told(truth: Any, seed: int, noise: float = 0.0) -> Any:
    rng = np.random.default_rng(seed)
    rows = zip(truth.class_ids, truth.points_model, strict=True)
    return elements([(int(c), rng.uniform(), p + rng.normal(0, noise, p.shape)) for c, p in rows])


@pytest.mark.parametrize("title", MAP_PROTOCOLS)
def test_the_truth_itself_scores_one(title: str) -> None:
    truth = random_truth(12, seed=1)
    protocol = replace(read_map_protocol(title), resample_predictions=True)
    result = evaluate_map([told(t, i) for i, t in enumerate(truth)], truth, protocol)
    assert result.mean_ap == pytest.approx(1.0)
    assert result.num_truth.sum() == sum(map(len, truth)) == result.num_predictions.sum()


def test_lines_three_metres_aside_score_nothing() -> None:
    truth = [map_truth([(0, upright(0)), (2, upright(8))])]
    assert evaluate_map([elements([(0, 0.9, upright(3)), (2, 0.8, upright(5))])], truth, P3).mean_ap == 0


@pytest.mark.parametrize(("aside", "expected"), [(0.4, [1, 1, 1]), (0.7, [0, 1, 1]), (1.2, [0, 0, 1])])
def test_each_threshold_takes_lines_that_are_near_enough(aside: float, expected: list[int]) -> None:
    result = evaluate_map([elements([(0, 0.9, upright(aside))])], [map_truth([(0, upright(0))])], P3)
    assert result.ap[0].tolist() == expected


def test_a_better_scored_mistake_costs_half() -> None:
    lines = elements([(0, 0.5, upright(0)), (0, 0.9, upright(10))])
    result = evaluate_map([lines], [map_truth([(0, upright(0))])], P3)
    assert result.class_ap[0] == pytest.approx(0.5)
    assert result.precisions[0, 0].tolist() == [0.0, 0.5] and result.recalls[0, 0].tolist() == [0.0, 1.0]


def test_class_and_sample_must_be_the_same() -> None:
    truth = [map_truth([(0, upright(0))]), map_truth([])]
    assert evaluate_map([elements([(1, 0.9, upright(0))]), None], truth, P3).mean_ap == 0
    assert evaluate_map([None, elements([(0, 0.9, upright(0))])], truth, P3).mean_ap == 0


def test_a_second_line_beside_takes_its_next_best_only_under_p3() -> None:
    """Both predictions lie nearest to the first line; the second line is within reach too."""
    truth = [map_truth([(0, upright(0)), (0, upright(1.0))])]
    lines = [elements([(0, 0.9, upright(0.1)), (0, 0.8, upright(0.3))])]
    assert evaluate_map(lines, truth, replace(VAD, thresholds=(1.5,))).ap[0, 0] == pytest.approx(0.5)
    assert evaluate_map(lines, truth, replace(P3, thresholds=(1.5,))).ap[0, 0] == pytest.approx(1.0)


def test_classes_without_truth_count_as_zero_or_not_at_all() -> None:
    truth = [map_truth([(0, upright(0))])]
    lines = [elements([(0, 0.9, upright(0)), (1, 0.9, upright(0))])]
    assert evaluate_map(lines, truth, VAD).mean_ap == pytest.approx(1 / 3)
    ours = evaluate_map(lines, truth, P3)
    assert ours.mean_ap == pytest.approx(1.0) and np.isnan(ours.class_ap[1:]).all()
    assert ours.to_json()["classes"]["ped_crossing"]["ap"] is None
    assert np.isnan(evaluate_map([None], [None], P3).mean_ap)


def test_what_lies_beyond_the_range_does_not_count_under_p3() -> None:
    """The line goes on where no truth can be."""
    truth = [map_truth([(0, upright(0, 20, 30))])]
    lines = [elements([(0, 0.9, upright(0, 20, 45))])]
    assert evaluate_map(lines, truth, P3).mean_ap == pytest.approx(1.0)
    assert evaluate_map(lines, truth, replace(P3, range_m=None)).mean_ap == 0


def test_ties_stay_in_the_order_of_samples() -> None:
    truth = [map_truth([(0, upright(0))])] * 2
    good, bad = elements([(0, 0.5, upright(0))]), elements([(0, 0.5, upright(9))])
    assert evaluate_map([good, bad], truth, P3).ap[0, 0] == pytest.approx(0.5)
    assert evaluate_map([bad, good], truth, P3).ap[0, 0] == pytest.approx(0.25)


@pytest.mark.parametrize("title", ["p3", "vad"])
def test_leaving_out_hopeless_pairs_changes_nothing(title: str) -> None:
    truth = random_truth(15, seed=4)
    lines = [told(t, i, noise=0.5) for i, t in enumerate(truth)]
    protocol = read_map_protocol(title)
    few, every = line_pairs(lines, truth, protocol), line_pairs(lines, truth, protocol, all_pairs=True)
    assert len(few.similarities) < len(every.similarities)
    kept = {(a, b): s for a, b, s in zip(few.prediction_ids, few.truth_ids, few.similarities, strict=True)}
    for a, b, s in zip(every.prediction_ids, every.truth_ids, every.similarities, strict=True):
        assert kept.get((a, b), -np.inf) == (s if s >= -1.5 else -np.inf)


def test_the_area_takes_the_best_precision_beyond() -> None:
    assert area_under(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert area_under(np.zeros(0), np.zeros(0)) == 0


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(DataError, match="2 samples have predicted"):
        evaluate_map([None, None], [None], P3)
    lines = [elements([(0, 0.9, upright(0, points=5))]), elements([(0, 0.9, upright(0, points=6))])]
    with pytest.raises(DataError, match=r"\[5, 6\] points"):
        evaluate_map(lines, [None, None], read_map_protocol("vad raw points"))
