from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.planning_truth_build import planning_truth
from aln_p3_core.evaluation.protocol import AGENT_KINDS

OBJECTS = [
    ("vehicle.car", lambda t: (120 + 4 * t, 53.0, 0.2 * t), range(9)),
    ("human.pedestrian.adult", lambda t: (125.0, 45 + t, 1.5), range(5)),
    ("vehicle.bicycle", lambda t: (140.0, 50.0, 0.0), range(3, 9)),
    ("vehicle.emergency.police", lambda t: (130.0, 60.0, 0.0), range(9)),
    ("movable_object.barrier", lambda t: (112.0, 47.0, 0.0), range(9)),
    ("animal", lambda t: (115.0, 47.0, 0.0), range(9)),
]


@pytest.fixture
def dataset(make_root: Callable[..., Path]) -> NuScenesDataset:
    return NuScenesDataset(make_root(objects=OBJECTS, ego=lambda t: (100 + 10 * t, 50 + t * t, 0.1 * t)))


def test_agents_are_where_the_targets_have_them(dataset: NuScenesDataset) -> None:
    truth = planning_truth(dataset, dataset.tokens[:2])
    targets = dataset.targets(dataset.tokens[0])
    rows = [i for i, c in enumerate(targets.class_ids) if c in (0, 8)]  # the car and the walker
    assert truth.kinds[0, :2].tolist() == [0, 1]
    np.testing.assert_allclose(truth.boxes_now[0, 0, :2, :2], targets.centers_model[rows, :2], atol=1e-9)
    np.testing.assert_allclose(truth.boxes_now[0, 0, :2, 4], targets.headings_model[rows], atol=1e-9)
    np.testing.assert_allclose(truth.boxes_now[0, 0, :2, 2:4], targets.sizes_lwh[rows, :2])
    future, mask = np.swapaxes(truth.boxes_now[0, 1:, :2, :2], 0, 1), truth.box_mask[0, 1:, :2].T
    np.testing.assert_array_equal(mask, targets.future_mask[rows])
    np.testing.assert_allclose(future[mask], targets.futures_model[rows][mask], atol=1e-9)
    # The car turns; its heading is known at every step.
    np.testing.assert_allclose(np.diff(np.unwrap(truth.boxes_now[0, :, 0, 4])), 0.1, atol=1e-9)


def test_kinds_and_who_comes_into_sight(dataset: NuScenesDataset) -> None:
    truth = planning_truth(dataset, dataset.tokens[:1])
    # No barrier; the police car and the animal are none of the ten classes.
    assert sorted(AGENT_KINDS[k] for k in truth.kinds[0]) == ["other", "other", "pedestrian", "vehicle", "vehicle"]
    bicycle = int(np.flatnonzero(~truth.box_mask[0, 0])[0])
    np.testing.assert_array_equal(truth.box_mask[0, :, bicycle], [False] * 3 + [True] * 4)
    assert not truth.seen[0, bicycle]


def test_the_end_of_a_scene(dataset: NuScenesDataset) -> None:
    truth = planning_truth(dataset, dataset.tokens)
    np.testing.assert_array_equal(truth.frame_known.sum(axis=1), [6, 6, 6, 5, 4, 3, 2, 1, 0])
    np.testing.assert_array_equal(truth.recorded_mask, truth.frame_known)
    assert not truth.box_mask[-1, 1:].any()
    assert set(truth.scenes) == {"scene-0001"}


def test_a_stored_plan_is_the_truth_and_the_recording_stays_beside(make_root: Callable[..., Path]) -> None:
    root = make_root(objects=OBJECTS)
    times = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    plan = {
        "source": "expert",
        "times_s": times,
        "points_ego": [[2 * t, 0.0] for t in times],
        "headings_ego": [0.0] * 6,
    }
    (root / "expert_plan.json").write_text(json.dumps({"sample-8": plan}))
    dataset = NuScenesDataset(root)
    truth = planning_truth(dataset, dataset.tokens)
    assert truth.plan_stored.tolist() == [False] * 8 + [True]
    np.testing.assert_allclose(truth.ego_future_model[8, :, 1], 2 * np.array(times), atol=1e-6)
    # The plan goes on; where the others are then, nobody knows.
    assert not truth.step_known[8].any()
    assert not planning_truth(NuScenesDataset(root, ego_future="recorded"), dataset.tokens).plan_stored.any()


def test_other_rates_are_interpolated(make_root: Callable[..., Path]) -> None:
    objects = [("vehicle.car", lambda t: (120 + 4 * t, 53.0, 0.2 * t), range(11))]
    dataset = NuScenesDataset(make_root(samples=11, step_s=0.2, objects=objects))
    truth = planning_truth(dataset, dataset.tokens[:1])
    np.testing.assert_array_equal(truth.frame_known[0], [True] * 4 + [False] * 2)
    times = 0.5 * np.arange(5)
    np.testing.assert_allclose(truth.boxes_now[0, :5, 0, 1] - truth.boxes_now[0, 0, 0, 1], 4 * times, atol=1e-6)
    np.testing.assert_allclose(truth.boxes_now[0, :5, 0, 4], np.pi / 2 + 0.2 * times, atol=1e-6)


def test_kept_on_disk_and_built_anew_when_damaged(dataset: NuScenesDataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = planning_truth(dataset, dataset.tokens, cache=cache)
    (file,) = cache.iterdir()
    stamp = file.stat().st_mtime_ns
    again = planning_truth(dataset, dataset.tokens, cache=cache)
    assert file.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(again.boxes_own, first.boxes_own)
    file.write_bytes(b"broken")
    np.testing.assert_array_equal(planning_truth(dataset, dataset.tokens, cache=cache).boxes_own, first.boxes_own)
    planning_truth(dataset, dataset.tokens[:1], cache=cache)
    assert len(list(cache.iterdir())) == 2


def test_targets_that_are_there_are_used(dataset: NuScenesDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = {token: dataset.targets(token) for token in dataset.tokens}
    monkeypatch.setattr(NuScenesDataset, "targets", None)
    assert len(planning_truth(dataset, dataset.tokens, targets=targets)) == 9


def test_no_sample_is_refused(dataset: NuScenesDataset) -> None:
    with pytest.raises(DataError, match="at least one"):
        planning_truth(dataset, [])
