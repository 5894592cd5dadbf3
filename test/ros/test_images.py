"""Image messages to arrays and back."""

from __future__ import annotations

import sys
import types
from array import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from aln_p3_core.errors import ImageError
from aln_p3_ros.messages.images import (
    compressed_message,
    content_fingerprint,
    encoded_image,
    image_array,
    image_message,
)


def make(pixels: np.ndarray, encoding: str, padding: int = 0, bigendian: bool = False) -> Image:
    """A message with `padding` bytes behind each row."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.hstack([rows, np.full((len(rows), padding), 99, np.uint8)])
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1])
    message.is_bigendian = int(bigendian)
    message.data = array("B", rows.tobytes())
    return message


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.sampled_from(["rgb8", "bgr8"]))
def test_usual_encodings_are_views_whatever_the_step(height: int, width: int, padding: int, encoding: str) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    message = make(pixels, encoding, padding)
    result, color = image_array(message)
    np.testing.assert_array_equal(result, pixels)
    assert color == encoding[:3]
    assert np.shares_memory(result, np.frombuffer(message.data, np.uint8)), "nothing is copied"


@pytest.mark.parametrize(("encoding", "color"), [("rgba8", "rgb"), ("bgra8", "bgr")])
def test_alpha_is_dropped(encoding: str, color: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 4), dtype=np.uint8)
    result, found = image_array(make(pixels, encoding, 3))
    np.testing.assert_array_equal(result, pixels[..., :3])
    assert found == color


def test_grey_becomes_three_channels() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    np.testing.assert_array_equal(image_array(make(pixels, "mono8", 1))[0], np.repeat(pixels[..., None], 3, 2))


@pytest.mark.parametrize("bigendian", [False, True])
def test_sixteen_bits_keep_the_upper_eight_in_either_byte_order(bigendian: bool) -> None:
    values = np.array([[[0x1234, 0xFF00, 0x00FF]]], dtype=">u2" if bigendian else "<u2")
    result, color = image_array(make(values, "rgb16", 4, bigendian))
    assert result.tolist() == [[[0x12, 0xFF, 0x00]]] and color == "rgb"


def test_the_last_row_may_lack_its_padding() -> None:
    pixels = np.zeros((3, 2, 3), np.uint8)
    message = make(pixels, "rgb8", 2)
    message.data = message.data[:-2]
    assert image_array(message)[0].shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": 0}, "empty image"),
        ({"step": 5}, "step 5"),
        ({"height": 4}, "bytes for 2x4"),
        ({"encoding": "bayer_rggb8"}, "bayer_rggb8.*cv_bridge"),
    ],
)
def test_contradictions_are_named(change: dict, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    message = make(np.zeros((3, 2, 3), np.uint8), "rgb8")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=words) as raised:
        image_array(message, "CAM_FRONT")
    assert "CAM_FRONT" in str(raised.value)


def test_other_encodings_go_through_cv_bridge_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for a package of the ROS distribution that PyPI does not have.
    class CvBridge:
        def imgmsg_to_cv2(self, message: Image, encoding: str) -> np.ndarray:
            if message.encoding == "bayer_rggb8":
                return np.full((message.height, message.width, 3), 7, np.uint8)
            raise RuntimeError("no such conversion")

    monkeypatch.setitem(sys.modules, "cv_bridge", types.SimpleNamespace(CvBridge=CvBridge))
    result, color = image_array(make(np.zeros((3, 2), np.uint8), "bayer_rggb8"))
    assert (result == 7).all() and color == "bgr"
    with pytest.raises(ImageError, match="no such conversion"):
        image_array(make(np.zeros((3, 2), np.uint8), "yuv999"))


def test_array_to_message_and_back() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    message = image_message(pixels[:, ::-1], Time(sec=3), "cam", "bgr8")
    assert (message.height, message.width, message.step, message.header.stamp.sec) == (6, 7, 21, 3)
    np.testing.assert_array_equal(image_array(message)[0], pixels[:, ::-1])
    with pytest.raises(ImageError, match="float"):
        image_message(pixels.astype(float), Time(), "cam")


def test_compressed_bytes_are_not_copied() -> None:
    message = compressed_message(b"\xff\xd8\xffdata", Time(), "cam", "jpeg")
    image = encoded_image(message, "CAM_BACK")
    assert bytes(image.data) == b"\xff\xd8\xffdata" and image.source == "CAM_BACK"
    assert np.shares_memory(np.frombuffer(image.data, np.uint8), np.frombuffer(message.data, np.uint8))
    with pytest.raises(ImageError, match="empty"):
        encoded_image(CompressedImage(), "CAM_BACK")
    depth = compressed_message(b"123", Time(), "cam", "16UC1; compressedDepth")
    with pytest.raises(ImageError, match="colour topic"):
        encoded_image(depth)


@pytest.mark.parametrize("kind", ["bayer_rggb8; jpeg compressed ", "bayer_grbg8; png compressed mono8", "bayer_rggb8"])
def test_raw_bayer_pixels_are_no_picture(kind: str) -> None:
    with pytest.raises(ImageError, match=r"CAM_BACK sends raw Bayer.*image_transport to raw"):
        encoded_image(compressed_message(b"123", Time(), "cam", kind), "CAM_BACK")


@pytest.mark.parametrize(
    "kind", ["bayer_rggb8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "mono8; jpeg compressed ", "jpeg"]
)
def test_pictures_in_color_or_grey_are_taken(kind: str) -> None:
    assert encoded_image(compressed_message(b"123", Time(), "cam", kind)).source == "image"


def test_fingerprints_tell_images_apart() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, 300_000, dtype=np.uint8)
    noisy = pixels + np.random.default_rng(3).integers(0, 2, len(pixels), dtype=np.uint8)
    assert content_fingerprint(pixels.tobytes()) == content_fingerprint(array("B", pixels.tobytes()))
    assert content_fingerprint(pixels.tobytes()) != content_fingerprint(noisy.tobytes())
    assert content_fingerprint(b"") != content_fingerprint(b"\0")
