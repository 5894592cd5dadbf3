from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from planning_helpers import STRAIGHT, box, made_truth, planar

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.planning_truth import PlanningTruth


def test_boxes_come_back_to_the_present_frame() -> None:
    poses = np.stack([planar(800 + 3 * k, -200 + k, 0.2 * k) for k in range(7)])
    moving, kind = box(4.0, 9.0, 0.3, (2.0, -1.0))
    truth = made_truth(objects=[(moving, kind)], T_global_ego=poses)
    np.testing.assert_allclose(truth.boxes_now[0, :, 0], moving[:, [0, 1, 3, 4, 6]], atol=1e-9)
    assert np.abs(truth.boxes_own[0, 1:, 0, :2] - moving[1:, :2]).max() > 1


def test_a_path_that_ends_stays_where_it_ended() -> None:
    held = made_truth(known=2).held_future_model[0]
    np.testing.assert_array_equal(held[:2], STRAIGHT[:2])
    np.testing.assert_array_equal(held[2:], np.tile(STRAIGHT[1], (4, 1)))
    assert (made_truth(known=0).held_future_model == 0).all()


def test_saved_and_read_it_is_the_same(tmp_path: Path) -> None:
    truth = made_truth(objects=[box(1.0, 9.0)], lines=np.ones((2, 3, 2)))
    path = tmp_path / "folder" / "truth.npz"
    truth.save(path)
    again = PlanningTruth.load(path)
    for field in fields(PlanningTruth):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(truth, field.name))
    assert [p.name for p in path.parent.iterdir()] == ["truth.npz"]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"truth\.npz"):
        PlanningTruth.load(path)


def test_selected_samples() -> None:
    truth = made_truth(objects=[box(1.0, 9.0)])
    assert len(truth.select(np.array([False]))) == 0
    twice = truth.select([0, 0])
    assert twice.tokens == ("token", "token")
    assert twice.boxes_now.shape[0] == 2
