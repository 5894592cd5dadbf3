from pathlib import Path

import cv2
import numpy as np
import pytest
from drawing_helpers import calibration

from aln_p3_core.drawing import text
from aln_p3_core.drawing.images import blend_mask, canvas, mix, paint, save_image, view_image
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import CameraView, EncodedImage


def test_save_image_is_read_back_as_rgb(tmp_path: Path) -> None:
    picture = canvas(20, 30, (250, 10, 20))
    path = save_image(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], picture)
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_save_image_names_an_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\.png or \.jpg"):
        save_image(tmp_path / "a.bmp", canvas(2, 2, (0, 0, 0)))


def test_blending_is_exact_at_both_ends() -> None:
    image = canvas(10, 10, (10, 200, 30))
    paint(image, np.array([[0, 255, 128]], np.uint8), 3, 4, (250, 0, 130))
    assert tuple(image[4, 3]) == (10, 200, 30)
    assert tuple(image[4, 4]) == (250, 0, 130)
    np.testing.assert_allclose(image[4, 5], mix((10, 200, 30), (250, 0, 130), 128 / 255), atol=1)


@pytest.mark.parametrize(("x", "y"), [(-3, -3), (8, 8), (-50, 0), (50, 50)])
def test_painting_over_the_edge_is_cut(x: int, y: int) -> None:
    image = canvas(10, 10, (0, 0, 0))
    paint(image, np.full((5, 5), 255, np.uint8), x, y, (9, 9, 9))
    expected = np.zeros((10, 10), bool)
    expected[max(0, y) : max(0, y + 5), max(0, x) : max(0, x + 5)] = True
    np.testing.assert_array_equal(image[..., 0] == 9, expected)


def test_nested_polygons_replace_each_other() -> None:
    image = canvas(40, 40, (0, 0, 0))
    square = np.array([[5, 5], [35, 5], [35, 35], [5, 35.0]])
    blend_mask(image, [(square, 0.5), (square / 2 + 10, 0.1)], (200, 200, 200))
    assert image[8, 8, 0] == 100 or image[8, 8, 0] == 101
    assert image[20, 20, 0] in (20, 21)


@pytest.mark.parametrize("size", [(320, 180), (100, 56), (33, 19), (640, 360)])
def test_view_image_has_the_asked_size(size: tuple[int, int]) -> None:
    gradient = np.tile(np.linspace(0, 255, 320, dtype=np.uint8)[None, :, None], (180, 1, 3))
    jpeg = cv2.imencode(".jpg", gradient, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    view = CameraView(EncodedImage(jpeg), 0, calibration(0), np.eye(4))
    image = view_image(view, *size)
    assert image.shape == (size[1], size[0], 3)
    np.testing.assert_allclose(image[0, :, 0], np.interp(np.arange(size[0]), [0, size[0] - 1], [0, 255]), atol=5)


def test_text_fonts_fill_the_same_line() -> None:
    """The plain font of older installations takes about the place of the good one."""
    plain = text._hershey_mask("front left 0.93", 18)
    assert plain.shape[0] == text.line_height(18)
    assert 0.6 < plain.shape[1] / text.text_width("front left 0.93", 18) < 1.6
    rows = np.flatnonzero(plain.any(axis=1))
    assert rows.max() < text.line_height(18) - 1


def test_wrapped_lines_fit_and_lose_no_word() -> None:
    words = "the car slows down because a pedestrian is about to cross from the right"
    lines = text.wrap_text(words, 16, 200)
    assert " ".join(lines) == words
    assert len(lines) > 1
    assert all(text.text_width(line, 16) <= 200 for line in lines)
    assert text.wrap_text("one\ntwo", 16, 500) == ["one", "two"]


def test_an_outline_keeps_text_readable_on_its_own_colour() -> None:
    image = canvas(60, 200, (236, 240, 245))
    text.draw_text(image, "hello", 10, 10, 24, (236, 240, 245), outline=True)
    assert image.min() < 60
