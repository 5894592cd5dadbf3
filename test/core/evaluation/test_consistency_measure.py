from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from consistency_helpers import made_agents, made_plan
from perception_helpers import objects

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.language.consistency_measure import (
    ExplainedSample,
    agents_of_targets,
    measure_consistency,
    shuffled_texts,
)

_KEEPS = ("the car keeps its speed", "because a car is driving ahead", made_plan(4.5))
_STOPS = ("the car comes to a stop", "since a bus has stopped ahead", made_plan(6.0, 0.0))
_TURNS = ("the car turns left", "its route turns left here", made_plan(4.5, turned=1.2))
_AGENTS = {
    "keeps": made_agents(("car", 0.0, 20.0, 4.5, 0.0)),
    "stops": made_agents(("bus", 0.0, 12.0, 0.0, 0.0)),
    "turns": made_agents(),
}


def samples() -> list[ExplainedSample]:
    """Four frames each of three scenes; every text fits its own."""
    rows = {"keeps": _KEEPS, "stops": _STOPS, "turns": _TURNS}
    return [
        ExplainedSample(f"{scene}-{k}", scene, narration, reasoning, plan, _AGENTS[scene])
        for scene, (narration, reasoning, plan) in rows.items()
        for k in range(4)
    ]


def test_true_texts_hold_and_shuffled_ones_do_not() -> None:
    true, shuffled = measure_consistency(samples()), measure_consistency(shuffled_texts(samples()))
    assert true.rates["text"].consistent.mean == 1.0
    assert float(shuffled.rates["text"].consistent.mean) == 0.0
    for kind in ("speed", "direction", "cause"):
        assert true.rates[kind].consistent.mean == 1.0 > float(shuffled.rates[kind].consistent.mean), kind


def test_shares_by_kind() -> None:
    report = measure_consistency(samples())
    speed, direction, cause, place = (report.rates[name] for name in ("speed", "direction", "cause", "place"))
    assert speed.stated_samples == 8 and speed.stated.mean == pytest.approx(2 / 3)
    assert direction.stated_samples == 4 and direction.consistent.mean == 1.0
    assert (cause.samples, cause.checked_samples) == (12, 12)
    assert place.stated.mean == 0.0 and np.isnan(place.consistent.mean)
    assert report.causes == {"free_road": (4, 4), "lead_vehicle": (4, 4), "stopped_vehicle": (4, 4)}
    assert len(report.findings) == 12


def test_a_sample_counts_once_and_partly() -> None:
    both = "since a bus has stopped ahead, and to pass a car parked on the right"
    one = ExplainedSample("a", "x", "the car stops", both, made_plan(6.0, 0.0), _AGENTS["stops"])
    other = ExplainedSample("b", "y", "banana", "", made_plan(6.0, 0.0), _AGENTS["stops"])
    report = measure_consistency([one, other])
    assert report.rates["cause"].consistent.mean == 0.5
    assert report.rates["text"].consistent.mean == 0.0 and report.rates["text"].checked.mean == 0.5
    assert report.rates["speed"].omitted.mean == 0.5


def test_bands_come_from_scenes() -> None:
    wrong = [s for s in shuffled_texts(samples()) if s.scene == "turns"]
    band = measure_consistency([*(s for s in samples() if s.scene != "turns"), *wrong]).rates["text"].consistent
    assert band.mean == pytest.approx(2 / 3) and float(band.low) == 0.0 and float(band.high) == 1.0
    alone = measure_consistency([s for s in samples() if s.scene == "keeps"]).rates["text"].consistent
    assert alone.mean == 1.0 and np.isnan(alone.low)


def test_every_text_is_dealt_out_once_and_to_another_scene() -> None:
    true, dealt = samples(), shuffled_texts(samples(), seed=3)
    assert Counter(s.narration for s in dealt) == Counter(s.narration for s in true)
    assert all(a.narration != b.narration and a.token == b.token for a, b in zip(true, dealt, strict=True))
    assert [s.narration for s in dealt] == [s.narration for s in shuffled_texts(samples(), seed=3)]


def test_the_report_is_plain_numbers() -> None:
    written = json.loads(json.dumps(measure_consistency(samples()).as_json(), allow_nan=False))
    assert written["rates"]["speed"]["consistent"]["mean"] == 1.0
    assert written["rates"]["place"]["consistent"] == {"mean": None, "low": None, "high": None}
    assert written["causes"]["lead_vehicle"] == {"consistent": 4, "checked": 4}


def test_ground_truth_as_detections() -> None:
    targets = objects(
        [{"class": 0, "center": (0.0, 15.0)}, {"class": 8, "center": (3.0, 9.0), "velocity": (-1.0, 0.0)}]
    )
    agents = agents_of_targets(targets)
    assert len(agents) == 2 and (agents.scores == 1.0).all()
    reasons = ("since a car has stopped ahead", "because a pedestrian is crossing the road from the right")
    found = [
        measure_consistency([ExplainedSample("t", "s", "", why, made_plan(8.0, 2.0), agents)]).findings[0]
        for why in reasons
    ]
    assert [one.named_rows for one in found] == [(0,), (1,)]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(DataError, match="no explanation"):
        measure_consistency([])
