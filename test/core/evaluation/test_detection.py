"""Detection on the test track with known answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from perception_helpers import as_agents

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.targets import Targets
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.detection import ERRORS, DetectionTruth, evaluate_detection
from aln_p3_core.evaluation.perception_protocol import DETECTION_PROTOCOLS, read_detection_protocol
from aln_p3_core.scene import AGENT_CLASSES, Agents

RANGE = read_detection_protocol("range")


class Track:
    """The track's truth, for the devkit and as targets."""

    def __init__(self, root: Path) -> None:
        self.dataset = NuScenesDataset(root)
        self.tokens = self.dataset.tokens
        self.targets: dict[str, Targets] = {}
        for token in self.tokens:
            targets = self.dataset.targets(token)
            self.targets[token] = targets.select(targets.valid)
        self.truth = DetectionTruth(self.dataset, self.tokens)

    def agents(self, shift: tuple[float, float] = (0.0, 0.0)) -> dict[str, Agents | None]:
        return {token: as_agents(targets, shift=shift) for token, targets in self.targets.items()}


def first_of(targets: Targets) -> Targets:
    return targets.select(np.arange(len(targets)) == 0)


@pytest.fixture(scope="module")
def track(track_root: Path) -> Track:
    return Track(track_root)


@pytest.mark.parametrize("title", DETECTION_PROTOCOLS)
def test_the_truth_itself_scores_one(track: Track, title: str) -> None:
    protocol = read_detection_protocol(title)
    if protocol.range_m is not None:  # a parked car stands on the very edge
        protocol = replace(protocol, range_m=(protocol.range_m[0] - 0.5, protocol.range_m[1] - 0.5))
    result = evaluate_detection(track.agents(), track.truth, protocol)
    present = [name for name, count in result.num_truth.items() if count]
    assert "car" in present and "pedestrian" in present
    assert all(result.class_ap[name] == pytest.approx(1.0) for name in present)
    # The track has no attributes: that error is not known.
    wrong = {key: max(np.nan_to_num(result.class_errors[n][key]) for n in present) for key in ERRORS}
    assert all(value < 1e-5 for key, value in wrong.items() if key != "attr_err"), wrong
    if protocol.missing_classes == "left_out":
        assert result.mean_ap == pytest.approx(1.0)
    else:
        assert result.mean_ap == pytest.approx(len(present) / len(AGENT_CLASSES))
        assert result.mean_ap == result.devkit["mean_ap"] and result.nd_score == result.devkit["nd_score"]


def test_far_from_the_truth_nothing_is_found(track: Track) -> None:
    result = evaluate_detection(track.agents(shift=(2.9, 0.0)), track.truth, RANGE)
    by_distance = result.devkit["label_aps"]["bus"]
    assert [by_distance[d] for d in (0.5, 1.0, 2.0)] == [0, 0, 0] and by_distance[4.0] > 0.9
    assert evaluate_detection({}, track.truth, RANGE).mean_ap == 0


def test_the_range_turns_with_the_car(track: Track) -> None:
    """Boxes 20 m to the side and 20 m ahead of the car: only the latter are in range, wherever the car heads."""
    token = track.tokens[0]
    aside, ahead = (as_agents(first_of(track.targets[token])) for _ in range(2))
    aside.centers_model[0, :2], ahead.centers_model[0, :2] = (20.0, 0.0), (0.0, 20.0)
    for agents, expected in ((aside, 0), (ahead, 1)):
        result = evaluate_detection({token: agents}, track.truth, RANGE)
        assert sum(result.num_predictions.values()) == expected
    # The track runs along the global x axis: the map's rectangle of 30 m x 15 m is the same one here, and turned for
    # a car that drives along y.
    turned = replace(RANGE, range_axes="global", range_m=(15.0, 30.0))
    assert sum(evaluate_detection({token: ahead}, track.truth, turned).num_predictions.values()) == 0


def test_distance_limits_predictions_and_truth(track: Track) -> None:
    near = evaluate_detection(track.agents(), track.truth, read_detection_protocol("within 30 m"))
    whole = evaluate_detection(track.agents(), track.truth)
    assert 0 < sum(near.num_truth.values()) < sum(whole.num_truth.values())
    expected = 0
    for token in track.tokens:
        T_global_ego = track.dataset.reference_of(token)[1]
        boxes = [b for b in track.truth.boxes[token] if b.detection_name == "car" and b.num_pts]
        away = [np.hypot(*(np.array(b.translation[:2]) - T_global_ego[:2, 3])) for b in boxes]
        expected += int((np.array(away) < 30).sum())
    assert near.num_truth["car"] == expected


def test_only_the_best_boxes_count_where_there_are_too_many(track: Track) -> None:
    token = track.tokens[0]
    one = as_agents(first_of(track.targets[token]))
    many = replace(
        one,
        **{
            name: np.repeat(getattr(one, name), 600, axis=0)
            for name in ("centers_model", "sizes_lwh", "headings_model", "velocities_model", "class_ids",
                         "forecasts_model", "forecast_probabilities", "query_ids")
        },
        scores=np.linspace(0.0, 1.0, 600, dtype=np.float32),
    )  # fmt: skip
    result = evaluate_detection({token: many}, track.truth, RANGE)
    assert sum(result.num_predictions.values()) == 500
    assert result.to_json()["classes"]["trailer"]["ap"] is None


def test_a_sample_without_lidar_is_named(track_root: Path) -> None:
    dataset = NuScenesDataset(track_root, reference="newest_image")
    token = dataset.tokens[0]
    del dataset.nusc.get("sample", token)["data"]["LIDAR_TOP"]
    with pytest.raises(DataError, match="LIDAR_TOP"):
        DetectionTruth(dataset, [token])
