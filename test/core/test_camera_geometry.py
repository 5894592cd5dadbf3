"""Which cells a camera sees."""

import pytest
import torch
from network_helpers import ring_of_cameras, small_config

from aln_p3_core.driver.camera_geometry import GeometryCache, camera_geometry, project_pillars, static_geometry
from aln_p3_core.driver.tap import recording

CONFIG = small_config(bev__rows=12, bev__columns=6)
SIZE = (CONFIG.image.height, CONFIG.image.width)
CELLS = 72


def rig():
    return ring_of_cameras(CONFIG)[None], torch.ones(1, 6, dtype=torch.bool)


def test_a_point_straight_ahead_is_in_the_middle_of_the_front_image():
    model2img, _ = rig()
    points, visible = project_pillars(CONFIG, model2img, SIZE)
    row, column = 11, 3
    # Cell centre at x = 2.5, y = 27.5; the camera stands at y = 0.5 with a focal length of 0.55 widths.
    u, _ = points[0, 0, row * 6 + column, 0].tolist()
    assert abs(u - (0.5 + 0.55 * 2.5 / 27.0)) < 1e-5
    assert visible[0, 0, row * 6 + column].all()
    assert not visible[0, 3, row * 6 + column].any()


def test_pairs_are_exactly_the_visible_ones():
    model2img, valid = rig()
    geometry = camera_geometry(CONFIG, model2img, valid, SIZE)
    _, inside = project_pillars(CONFIG, model2img, SIZE)
    visible = inside[0].any(-1)
    assert set(zip(geometry.group_K.tolist(), geometry.cell_K.tolist(), strict=True)) == set(
        map(tuple, visible.nonzero().tolist())
    )
    assert geometry.group_K.diff().min() >= 0
    seen = visible.any(0)
    torch.testing.assert_close(geometry.share_CM.sum(1), seen.float())
    for cell in range(CELLS):
        pairs = geometry.pairs_of_cell_CM[cell][geometry.share_CM[cell] > 0]
        assert geometry.cell_K[pairs].tolist() == [cell] * int(visible[:, cell].sum())
    assert torch.equal(geometry.padded_GL.flatten()[geometry.slot_K], torch.arange(len(geometry.cell_K)))


def test_a_lost_camera_sees_nothing_even_with_a_wild_calibration():
    model2img, valid = rig()
    model2img[0, 2] = float("nan")
    valid[0, 2] = False
    assert 2 not in camera_geometry(CONFIG, model2img, valid, SIZE).group_K


def test_cache_keeps_a_calibration_and_notices_any_change():
    model2img, valid = rig()
    cache = GeometryCache(CONFIG)
    first = cache.get(model2img, valid, SIZE)
    assert cache.get(model2img.clone(), valid.clone(), SIZE) is first
    assert cache.get(model2img + 1e-4, valid, SIZE) is not first
    assert cache.get(model2img, ~valid, SIZE) is not first
    assert cache.get(model2img, valid, (32, 96)) is not first
    with recording() as taps:
        cache.get(model2img, valid, SIZE)
    assert "bev_encoder.camera_mask" in taps


def pairs_of(geometry):
    """(camera, cell) -> share and pillar points of every pair that counts."""
    pairs = {}
    for cell in range(len(geometry.share_CM)):
        for pair, share in zip(geometry.pairs_of_cell_CM[cell], geometry.share_CM[cell].tolist(), strict=True):
            if share:
                assert geometry.cell_K[pair] == cell
                pairs[int(geometry.group_K[pair]), cell] = (share, geometry.points_KZ2[pair])
    return pairs


@pytest.mark.parametrize("lost", [None, 0, 3])
def test_static_form_holds_the_same_pairs_in_both_samples(lost):
    model2img, valid = rig()
    if lost is not None:
        model2img[0, lost] = float("nan")
        valid[0, lost] = False
    both, valid_both = torch.cat([model2img, rig()[0] + 1e-3]), torch.cat([valid, rig()[1]])
    expected = pairs_of(camera_geometry(CONFIG, both, valid_both, SIZE))
    geometry, dropped = static_geometry(CONFIG, both, valid_both, SIZE, 2)
    given = pairs_of(geometry)
    assert dropped.tolist() == [0, 0]
    assert given.keys() == expected.keys() and len(given) > CELLS
    for pair, (share, points) in expected.items():
        assert given[pair][0] == pytest.approx(share)
        torch.testing.assert_close(given[pair][1], points)
    assert geometry.points_KZ2.isfinite().all()


def test_static_form_tells_how_many_pairs_did_not_fit():
    model2img, valid = rig()
    seen = project_pillars(CONFIG, model2img, SIZE)[1][0].any(-1).sum(0)
    geometry, dropped = static_geometry(CONFIG, model2img, valid, SIZE, 1)
    assert seen.max() == 2
    assert dropped.tolist() == [int((seen - 1).clamp(min=0).sum())]
    torch.testing.assert_close(geometry.share_CM[:, 0], (seen > 0).float())
