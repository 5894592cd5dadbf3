"""A blob in the BEV memory lands where the ego motion says."""

import math

import pytest
import torch
from network_helpers import planar_motion, small_config

from aln_p3_core.driver.memory_warp import cell_centers, released_rotation, released_shift, warp_memory
from aln_p3_core.driver.portable import portable

# 0.5 m cells over 30 x 60 m.
CONFIG = small_config(bev__rows=120, bev__columns=60)


def blob_at(x: float, y: float) -> torch.Tensor:
    """[1, R, S, 1] a smooth blob of 1 m at x (right), y (forward)."""
    centers = cell_centers(120, 60, torch.device("cpu")) * torch.tensor(CONFIG.extent) - torch.tensor([15.0, 30.0])
    squared = (centers - torch.tensor([x, y])).square().sum(-1)
    return torch.exp(-squared / 2).view(1, 120, 60, 1)


def place_of(bev_1RS1: torch.Tensor) -> tuple[float, float]:
    """Centre of mass, metres."""
    centers = cell_centers(120, 60, torch.device("cpu")) * torch.tensor(CONFIG.extent) - torch.tensor([15.0, 30.0])
    weights = bev_1RS1.flatten()
    x, y = (centers * weights[:, None]).sum(0) / weights.sum()
    return float(x), float(y)


@pytest.mark.parametrize(
    ("forward", "left_turn", "before", "after"),
    [
        # Driving 5 m ahead brings things 5 m nearer.
        (5.0, 0.0, (3.0, 12.0), (3.0, 7.0)),
        # Turning left by 90 degrees: what was ahead is now on the right.
        (0.0, math.pi / 2, (0.0, 10.0), (10.0, 0.0)),
        # Both: at (4, 12), 2 m on, is 10 m ahead and 4 m right; after the turn 10 m right and 4 m behind.
        (2.0, math.pi / 2, (4.0, 12.0), (10.0, -4.0)),
        (0.0, 0.0, (-6.3, -11.1), (-6.3, -11.1)),
    ],
)
def test_blob_follows_the_motion(forward, left_turn, before, after):
    motion = planar_motion(forward, left_turn)[None]
    warped = warp_memory(CONFIG, blob_at(*before), motion)
    assert place_of(warped) == pytest.approx(after, abs=0.02)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(warp_memory(CONFIG, blob_at(*before), motion), warped)


def test_what_was_outside_is_zero():
    ones = torch.ones(1, 120, 60, 1)
    warped = warp_memory(CONFIG, ones, planar_motion(10.0, 0.0)[None])
    assert torch.equal(warped[0, :100, :, 0], torch.ones(100, 60))
    assert torch.equal(warped[0, 100:, :, 0], torch.zeros(20, 60))


def test_each_sample_has_its_own_motion():
    memory = torch.cat([blob_at(0, 0), blob_at(0, 0)])
    motion = torch.stack([planar_motion(3.0, 0.0), planar_motion(-4.0, 0.0)])
    warped = warp_memory(CONFIG, memory, motion)
    assert place_of(warped[:1]) == pytest.approx((0, -3), abs=0.02)
    assert place_of(warped[1:]) == pytest.approx((0, 4), abs=0.02)


def test_released_rotation_about_the_true_centre_turns_the_blob():
    # can_bus[-1] grows as the car turns left (ego yaw, counter-clockwise), as in our warp.
    grid = torch.zeros(1, 40, 40, 1)
    grid[0, 30, 20] = 1.0
    turned = released_rotation(grid, torch.tensor([90.0]), (20.0, 20.0))
    assert turned.sum() == 1.0
    row, column = divmod(int(turned.flatten().argmax()), 40)
    assert (column - 19.5, row - 19.5) == pytest.approx((10.5, -0.5))
    assert released_rotation(grid, torch.tensor([90.0]), (100.0, 100.0)).sum() == 0.0


def test_released_shift_is_the_way_driven_in_sizes_of_the_range():
    can_bus = torch.zeros(1, 18)
    # 3 m to the east with a heading to the east: straight ahead (y), which is 60 m long.
    can_bus[0, 0], can_bus[0, -2] = 3.0, 0.0
    assert released_shift(CONFIG, can_bus)[0].tolist() == pytest.approx([0.0, 3 / 60])
    can_bus[0, -2] = math.pi / 2
    assert released_shift(CONFIG, can_bus)[0].tolist() == pytest.approx([3 / 30, 0.0], abs=1e-7)


def test_released_shift_is_the_same_in_its_portable_form():
    can_bus = torch.randn(50, 18, generator=torch.Generator().manual_seed(0)) * 5
    can_bus[0] = 0.0
    expected = released_shift(CONFIG, can_bus)
    with portable():
        torch.testing.assert_close(released_shift(CONFIG, can_bus), expected, atol=1e-6, rtol=1e-6)
