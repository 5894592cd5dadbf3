"""Motion with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from perception_helpers import MODES, as_agents, objects

from aln_p3_core.datasets.targets import Targets
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.motion import evaluate_motion
from aln_p3_core.evaluation.perception_protocol import MOTION_PROTOCOLS, read_motion_protocol
from aln_p3_core.scene import AGENT_CLASSES

P3, VIP3D = read_motion_protocol("p3"), read_motion_protocol("vip3d")
PEDESTRIAN = AGENT_CLASSES.index("pedestrian")


@pytest.fixture
def street() -> list[Targets]:
    """Two samples with cars, one with a pedestrian."""
    first = [{"center": (x, 3.0 * x), "velocity": (1.0, 5.0)} for x in (-5, 0, 5)]
    second = [{"center": (1, 10)}, {"class": PEDESTRIAN, "center": (-8, 4), "velocity": (1.2, 0)}]
    return [objects(first), objects(second)]


@pytest.mark.parametrize("title", MOTION_PROTOCOLS)
def test_the_truth_itself_is_perfect(street: list[Targets], title: str) -> None:
    result = evaluate_motion([as_agents(t) for t in street], street, read_motion_protocol(title))
    for name in ("vehicle" if title == "p3" else "car", "pedestrian"):
        group = result.groups[name]
        assert group.min_ade == pytest.approx(0, abs=1e-5) and group.min_fde == pytest.approx(0, abs=1e-5)
        assert (group.miss_rate, group.epa, group.recall) == (0, 1, 1)


def test_an_error_of_the_centre_is_in_the_forecast(street: list[Targets]) -> None:
    result = evaluate_motion([as_agents(t, shift=(0.0, 1.5)) for t in street], street, P3)
    group = result.groups["vehicle"]
    assert group.min_ade == pytest.approx(1.5, abs=1e-5) and group.likely_fde == pytest.approx(1.5, abs=1e-5)


def test_three_metres_aside_nothing_is_found(street: list[Targets]) -> None:
    alone = [objects([{"center": (0, 0)}])]
    group = evaluate_motion([as_agents(alone[0], shift=(3.0, 0.0))], alone, P3).groups["vehicle"]
    assert group.recall == 0 and np.isnan(group.min_ade) and np.isnan(group.miss_rate)
    assert evaluate_motion([None, None], street, P3).groups["vehicle"].epa == 0


def test_the_best_mode_and_the_likeliest(street: list[Targets]) -> None:
    agents = as_agents(street[0])
    forecasts = agents.forecasts_model.copy()
    forecasts[:, 1:] += 4.0  # only the first mode is right
    probabilities = np.full((len(agents), MODES), 0.1, dtype=np.float32)
    probabilities[:, 2] = 0.5
    agents = replace(agents, forecasts_model=forecasts, forecast_probabilities=probabilities)
    group = evaluate_motion([agents], street[:1], P3).groups["vehicle"]
    assert group.min_fde == pytest.approx(0, abs=1e-5) and group.miss_rate == 0
    assert group.likely_fde == pytest.approx(4 * np.sqrt(2), abs=1e-4)
    wrong = replace(agents, forecasts_model=forecasts + 2.0)
    assert evaluate_motion([wrong], street[:1], P3).groups["vehicle"].miss_rate == 1


def test_false_positives_cost_half_a_hit() -> None:
    there = objects([{"center": (0, 0)}, {"center": (0, 10)}])
    seen = as_agents(objects([{"center": (0, 0)}, {"center": (0, 10)}, {"center": (9, 20)}]))
    assert evaluate_motion([seen], [there], VIP3D).groups["car"].epa == pytest.approx((2 - 0.5) / 2)


def test_the_score_of_p3_does_not_hang_on_how_scores_are_scaled() -> None:
    """Two right ones, then one wrong one: the limit lies between, wherever the scores are."""
    there = objects([{"center": (0, 0)}, {"center": (0, 10)}])
    seen = as_agents(objects([{"center": (0, 0)}, {"center": (0, 10)}, {"center": (9, 20)}]))
    for scale in (1.0, 0.1):
        scores = (np.array([0.9, 0.8, 0.5]) * scale).astype(np.float32)
        group = evaluate_motion([replace(seen, scores=scores)], [there], P3).groups["vehicle"]
        assert group.epa == 1 and scores[2] < group.score_above < scores[1]
    assert evaluate_motion([replace(seen, scores=scores)], [there], VIP3D).groups["car"].epa == 0


def test_what_is_seen_beyond_the_range_is_no_mistake_under_p3() -> None:
    there = objects([{"center": (0, 0)}])
    seen = as_agents(objects([{"center": (0, 0)}, {"center": (0, 32)}]), scores=[0.8, 0.9])
    assert evaluate_motion([seen], [there], P3).groups["vehicle"].epa == 1
    assert evaluate_motion([seen], [there], VIP3D).groups["car"].epa == 0.5


def test_futures_with_gaps() -> None:
    """Only the last known step is wrong. The released way looks at the first steps in its place."""
    there = objects([{"center": (0, 0), "velocity": (0, 2), "known": [True, True, False, False, True, False]}])
    agents = as_agents(there)
    forecasts = np.repeat((np.arange(1, 7) * 1.0)[:, None], 2, axis=1) * [0, 1]
    forecasts[4] += [0, 3]
    agents = replace(agents, forecasts_model=np.tile(forecasts, (1, MODES, 1, 1)).astype(np.float32))
    ours = evaluate_motion([agents], [there], P3).groups["vehicle"]
    assert ours.min_ade == pytest.approx(1.0, abs=1e-5) and np.isnan(ours.min_fde) and np.isnan(ours.epa)
    # At the third step the truth holds a zero, and the forecast is 3 m ahead of it.
    released = evaluate_motion([agents], [there], VIP3D).groups["car"]
    assert released.min_ade == pytest.approx(1.0, abs=1e-5)


def test_counts_of_samples_add_up(street: list[Targets]) -> None:
    result = evaluate_motion([as_agents(t, shift=(0.3, 0)) for t in street], street, P3)
    per_sample = [sample["vehicle"].ade_sum for sample in result.samples]
    assert sum(per_sample) == pytest.approx(result.groups["vehicle"].counts.ade_sum)
    assert result.to_json()["groups"]["cyclist"]["min_ade"] is None


def test_what_does_not_belong_together_is_refused(street: list[Targets]) -> None:
    with pytest.raises(DataError, match="1 samples have predictions"):
        evaluate_motion([None], street, P3)
    short = replace(as_agents(street[0]), forecasts_model=np.zeros((3, MODES, 4, 2), dtype=np.float32))
    with pytest.raises(DataError, match="4 steps"):
        evaluate_motion([short], street[:1], P3)
