"""Average precision for choosing checkpoints."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.training.quick_precision import average_precision, chamfer, hits


def test_each_truth_is_hit_once_by_the_surest() -> None:
    distances = torch.tensor([[0.5, 9.0], [0.1, 9.0], [9.0, 1.9], [9.0, 2.1]])
    scores, found = hits(distances, torch.tensor([0.2, 0.9, 0.8, 0.7]), 2.0)
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.2])
    assert found.tolist() == [1, 1, 0, 0]
    assert hits(torch.zeros(3, 0), torch.rand(3), 2.0)[1].tolist() == [0, 0, 0]


def test_known_areas() -> None:
    assert average_precision(np.array([0.9, 0.8]), np.array([1.0, 1.0]), 2) == 1.0
    assert average_precision(np.array([0.9, 0.8]), np.array([0.0, 1.0]), 1) == 0.5
    assert average_precision(np.array([0.9, 0.8]), np.array([1.0, 0.0]), 2) == 0.5
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0), 0))


@given(st.integers(0, 2**31))
def test_bounded_and_never_better_with_a_miss_in_front(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, found = random.random(12), (random.random(12) < 0.5).astype(float)
    area = average_precision(scores, found, 12)
    assert 0 <= area <= 1
    assert average_precision(np.append(scores, 2.0), np.append(found, 0.0), 12) <= area


def test_chamfer_is_the_mean_of_both_ways() -> None:
    line = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    other = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    expected = (1.0 + (1 + 2**0.5 + 1) / 3) / 2
    assert chamfer(line[None], other[None]).item() == pytest.approx(expected)
    assert chamfer(line[None], torch.zeros(0, 3, 2)).shape == (1, 0)
