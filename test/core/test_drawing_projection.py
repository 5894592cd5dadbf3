"""Clipping: what lies behind the camera or outside the picture is not drawn, whatever the numbers."""

import numpy as np
import pytest
from drawing_helpers import calibration
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.drawing.projection import PictureCamera
from aln_p3_core.geometry import invert_transform, virtual_T_ego_model

NUDGE = np.array([0, 1e-3, 0])


def picture_camera(width: int = 320, height: int = 180) -> PictureCamera:
    front = calibration(0.0)
    return PictureCamera.of(front, invert_transform(front.T_ego_cam) @ virtual_T_ego_model(), width, height)


def test_a_point_straight_ahead_lands_in_the_middle_at_any_size() -> None:
    for width, height in ((320, 180), (640, 360), (160, 90)):
        camera = picture_camera(width, height)
        # On the optical axis: 1.5 m over the ground, that is 0.34 m below the model frame's origin.
        pixels = camera.segments(np.array([[0, 10, -0.34]]), np.array([[0, 20, -0.34]]))
        np.testing.assert_allclose(pixels[0], [[(width - 1) / 2, (height - 1) / 2]] * 2, atol=1e-6)


def test_lines_behind_the_camera_vanish() -> None:
    camera = picture_camera()
    assert camera.segments(np.array([[0, -5, 0.0]]), np.array([[1, -9, 0.0]])).shape == (0, 2, 2)
    assert len(camera.polygon(np.array([[0, -5, 0.0], [1, -5, 0], [1, -9, 0]]))) == 0


def test_a_line_through_the_camera_plane_is_cut_not_mirrored() -> None:
    camera = picture_camera()
    # From behind the car to far ahead, on the ground and to the left: all visible parts are low and left.
    pixels = camera.segments(np.array([[-1.0, -20, -1.84]]), np.array([[-1.0, 40, -1.84]]))
    assert len(pixels) == 1
    assert (pixels[0, :, 1] > 90).all()
    assert (pixels[0, :, 0] < 160).all()


def test_a_polygon_around_the_camera_keeps_its_visible_part() -> None:
    ground = np.array([[-50, -50, -1.84], [50, -50, -1.84], [50, 50, -1.84], [-50, 50, -1.84]], float)
    polygon = picture_camera().polygon(ground)
    assert len(polygon) >= 3
    assert polygon[:, 1].min() > 85  # nothing of the ground is above the horizon
    assert polygon[:, 0].min() < 0 < 319 < polygon[:, 0].max()


def test_clipped_lines_know_whose_they_are() -> None:
    starts = np.array([[0, -5, 0.0], [0, 10, 0.0], [0, -8, 0.0], [1, 10, 0.0]])
    _, owners = picture_camera().clip_segments(starts, starts + np.array([0, 1, 0]))
    np.testing.assert_array_equal(owners, [1, 3])


coordinates = st.floats(-1e4, 1e4)


@given(st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=3, max_size=6))
def test_pixels_stay_near_the_picture(points: list[tuple[float, float, float]]) -> None:
    camera = picture_camera()
    corners = np.array(points)
    drawn = np.concatenate([camera.polygon(corners), camera.polyline(corners).reshape(-1, 2)])
    assert np.isfinite(drawn).all()
    assert (drawn >= np.array([-33, -19])).all()
    assert (drawn <= np.array([353, 199])).all()


@pytest.mark.parametrize("width", [400, 800])
def test_resizing_keeps_the_edges(width: int) -> None:
    """The centre of the top left pixel of the full image is half a big pixel inside the small one."""
    camera = picture_camera(width, width * 180 // 320)
    scale = width / 320
    full = picture_camera()
    point = np.array([[-2.0, 9.0, 0.4]])
    expected = (full.segments(point, point + NUDGE)[0, 0] + 0.5) * scale - 0.5
    np.testing.assert_allclose(camera.segments(point, point + NUDGE)[0, 0], expected, atol=1e-9)
