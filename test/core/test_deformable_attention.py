"""Deformable sampling: both forms against each other, hand-made cases, and the released operator."""

from pathlib import Path

import pytest
import torch
from torch import nn

from aln_p3_core.driver.deformable_attention import deformable_sampling, predict_samples, sample_two_maps
from aln_p3_core.driver.portable import portable
from aln_p3_core.runtime.parity import check_parity


def random_case(seed=0, groups=2, heads=3, sizes=((4, 6), (2, 3)), queries=7, points=5, width=4):
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(h * w for h, w in sizes)
    value = torch.randn(groups, tokens, heads, width, generator=generator)
    # Well beyond the map on every side.
    locations = torch.rand(groups, queries, heads, len(sizes), points, 2, generator=generator) * 2 - 0.5
    weights = torch.rand(groups, queries, heads, len(sizes), points, generator=generator)
    return value, list(sizes), locations, weights


def test_released_operator_with_gradients(shared_dir: Path):
    folder = shared_dir / "oracle" / "vad_units"
    results = list(check_parity(folder))
    assert len(results) == 50
    assert [r for r in results if not r.ok] == []


@pytest.mark.parametrize("seed", range(5))
def test_all_forms_agree(seed):
    value, sizes, locations, weights = random_case(seed)
    with torch.no_grad():
        bags = deformable_sampling(value, sizes, locations, weights)
        with portable():
            grid = deformable_sampling(value, sizes, locations, weights)
    learning = deformable_sampling(value.requires_grad_(), sizes, locations, weights)
    torch.testing.assert_close(bags, grid, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(bags, learning.detach(), atol=2e-6, rtol=1e-5)


@torch.no_grad()
def test_pixel_centre_reads_that_pixel_and_outside_reads_nothing():
    value = torch.arange(12.0).view(1, 12, 1, 1)
    sizes = [(3, 4)]
    centre = torch.tensor([[(2 + 0.5) / 4, (1 + 0.5) / 3], [1e6, 0.5], [0.5, -1e6], [5 / 4, 0.5], [-0.5 / 4, 0.5]])
    sampled = deformable_sampling(value, sizes, centre.view(1, 5, 1, 1, 1, 2), torch.ones(1, 5, 1, 1, 1))
    # A pixel at x = -1 and one at x = 4.5 lie a full pixel outside.
    assert sampled.flatten().tolist() == [6.0, 0.0, 0.0, 0.0, 0.0]


@torch.no_grad()
def test_each_group_reads_its_own_map():
    value, sizes, locations, weights = random_case()
    both = deformable_sampling(value, sizes, locations, weights)
    for group in range(2):
        part = slice(group, group + 1)
        alone = deformable_sampling(value[part], sizes, locations[part], weights[part])
        torch.testing.assert_close(both[part], alone)


@pytest.mark.parametrize("grad", [False, True])
def test_two_maps_are_the_sum_of_each(grad):
    value, sizes, locations, weights = random_case(groups=4, sizes=((4, 6),))
    scale = torch.tensor([6.0, 4.0])
    pixels = (locations * scale - 0.5)[:2].expand(-1, -1, -1, 2, -1, -1)
    shares = weights[:2].expand(-1, -1, -1, 2, -1)
    with torch.set_grad_enabled(grad):
        value.requires_grad_(grad)
        summed = sample_two_maps(value, sizes[0], pixels[..., 0], pixels[..., 1], shares)
        first = deformable_sampling(value[:2], sizes, locations[:2], weights[:2])
        second = deformable_sampling(value[2:], sizes, locations[:2], weights[:2])
        same = sample_two_maps(value[:2], sizes[0], pixels[..., 0], pixels[..., 1], shares)
    torch.testing.assert_close(summed, first + second, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(same, 2 * first, atol=2e-6, rtol=1e-5)


def test_predicted_weights_are_a_softmax_per_group_with_and_without_gradients():
    torch.manual_seed(0)
    offsets, weights = nn.Linear(8, 2 * 6 * 2), nn.Linear(8, 2 * 6)
    joined = torch.randn(5, 8) * 20
    x, y, shares = predict_samples([joined], offsets, weights, 2, 3)
    expected = offsets(joined).view(5, 2, 6, 2)
    torch.testing.assert_close(torch.stack([x, y], dim=-1), expected)
    torch.testing.assert_close(shares.unflatten(-1, (2, 3)), weights(joined).view(5, 2, 2, 3).softmax(-1))
    in_parts = predict_samples([joined[:, :4], joined[:, 4:]], offsets, weights, 2, 3)
    torch.testing.assert_close(in_parts, (x, y, shares))
    with torch.no_grad():
        fast = predict_samples([joined], offsets, weights, 2, 3)
    torch.testing.assert_close(fast[2], shares.detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("grad", [False, True])
def test_coordinates_are_exact_with_rounded_values(grad):
    # Values 0 to 7 over and over: exact in bfloat16, and wrong if a coordinate is off by a pixel.
    value = (torch.arange(256) % 8).to(torch.bfloat16).view(1, 256, 1, 1).requires_grad_(grad)
    location = torch.tensor([(201.25 + 0.5) / 256, 0.5]).view(1, 1, 1, 1, 1, 2)
    with torch.set_grad_enabled(grad):
        sampled = deformable_sampling(value, [(1, 256)], location, torch.ones(1, 1, 1, 1, 1))
    assert sampled.dtype == torch.bfloat16
    assert sampled.item() == 1.25
