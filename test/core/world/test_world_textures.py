"""Textures repeat without a seam and follow their seed."""

from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.world.render.film import lens_drops
from aln_p3_core.world.render.textures import FACADE_STYLES, Material, facade_textures, ground_textures


@pytest.fixture(scope="module")
def ground() -> np.ndarray:
    return ground_textures(0)


@pytest.mark.parametrize("material", list(Material))
@pytest.mark.parametrize("axis", [0, 1])
def test_ground_tiles_have_no_seam(ground: np.ndarray, material: Material, axis: int) -> None:
    image = ground[material].astype(float)
    steps = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2))
    seam = np.abs(np.take(image, 0, axis=axis) - np.take(image, -1, axis=axis)).mean()
    assert seam <= max(2.0 * np.median(steps), 1.05 * steps.max())


def test_textures_follow_their_seed(ground: np.ndarray) -> None:
    np.testing.assert_array_equal(ground, ground_textures.__wrapped__(0))
    assert (ground != ground_textures(1)).any()
    facades = facade_textures(0)
    np.testing.assert_array_equal(facades, facade_textures.__wrapped__(0))
    assert len(facades) == 2 * FACADE_STYLES


def test_every_storey_has_glass_and_wall() -> None:
    glass = facade_textures(3)[..., 3] > 127
    share = glass.mean(axis=(1, 2))
    assert ((share > 0.04) & (share < 0.9)).all(), share


def test_drops_cover_a_little_of_the_lens_and_repeat() -> None:
    drops = lens_drops(np.random.default_rng(0), 256, 1.0)
    covered = drops[..., 2] > 0
    assert 0.003 < covered.mean() < 0.2
    # What leaves at one side comes in at the other: cover is a smooth ramp at every rim, at the seam too.
    cover = lens_drops(np.random.default_rng(0), 512, 1.0)[..., 2].astype(int)
    assert np.abs(cover - np.roll(cover, 1, axis=1)).max(axis=0)[0] <= np.abs(np.diff(cover, axis=1)).max()
    assert cover[:, 0].any() or cover[0].any(), "no drop lies on the seam: nothing was tested"
