"""Distances and crossings of planned paths and lines."""

from __future__ import annotations

import numpy as np
import shapely
import torch

from aln_p3_core.training.losses.plan_geometry import (
    crossings,
    lines_in_metres,
    path_starts,
    segment_distances,
    vertex_distances,
)

POINTS = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(1)) * 5
LINES = torch.randn(3, 7, 5, 2, generator=torch.Generator().manual_seed(2)) * 5


def test_distances_are_those_of_an_independent_library() -> None:
    points = shapely.points(POINTS.numpy())[:, :, None]
    lines = shapely.linestrings(LINES.numpy())[:, None]
    ours = segment_distances(POINTS, LINES)
    assert ours.shape == (3, 6, 7, 4)
    np.testing.assert_allclose(ours.amin(-1), shapely.distance(points, lines), atol=1e-4)
    vertices = shapely.points(LINES.numpy())[:, None]
    np.testing.assert_allclose(
        vertex_distances(POINTS, LINES), shapely.distance(points[..., None], vertices), atol=1e-4
    )


def test_crossings_are_those_of_an_independent_library() -> None:
    steps = shapely.linestrings(torch.stack([path_starts(POINTS), POINTS], dim=2).numpy())[:, :, None]
    expected = shapely.intersects(steps, shapely.linestrings(LINES.numpy())[:, None])
    assert 10 < expected.sum() < expected.size - 10
    np.testing.assert_array_equal(crossings(POINTS, LINES), expected)


def test_a_segment_without_length_is_a_point() -> None:
    point = torch.full((1, 1, 2, 2), 2.0)
    path = torch.zeros(1, 1, 2, requires_grad=True)
    distance = segment_distances(path, point)
    distance.sum().backward()
    torch.testing.assert_close(distance, torch.full((1, 1, 1, 1), 8**0.5))
    torch.testing.assert_close(path.grad, torch.full((1, 1, 2), -(0.5**0.5)))
    assert not crossings(path, point).any()


def test_normalised_points_become_metres() -> None:
    corners = torch.tensor([[[[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]]])
    metres = lines_in_metres(corners, (-15.0, -30.0, -2.0, 15.0, 30.0, 2.0))
    assert metres.flatten().tolist() == [-15, -30, 15, 30, 0, 0]
