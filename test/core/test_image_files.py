"""Headers and ends of compressed images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aln_p3_core.errors import ImageError
from aln_p3_core.frame import EncodedImage
from aln_p3_core.image_files import check_encoded, encoded_size, is_jpeg

PICTURE = np.random.default_rng(0).integers(0, 255, (37, 61, 3), dtype=np.uint8)


def encode(suffix: str, *flags: int) -> bytes:
    return cv2.imencode(suffix, PICTURE, list(flags))[1].tobytes()


@pytest.mark.parametrize(
    "data",
    [
        encode(".jpg"),
        encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encode(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        encode(".png"),
    ],
    ids=["baseline", "progressive", "restart markers", "png"],
)
def test_sizes_of_whole_files(data: bytes) -> None:
    assert encoded_size(data) == (61, 37) == encoded_size(memoryview(data))
    check_encoded(EncodedImage(data), 61, 37)
    with pytest.raises(ImageError, match="61x37 pixels, its calibration speaks of 61x38"):
        check_encoded(EncodedImage(data), 61, 38)
    with pytest.raises(ImageError, match="truncated"):
        check_encoded(EncodedImage(data[:-20]), 61, 37)


def test_the_size_is_found_behind_long_headers_and_fill_bytes() -> None:
    data = encode(".jpg")
    comment = b"\xff\xfe" + (30_002).to_bytes(2, "big") + b"\xff\xd9" * 15_000
    assert encoded_size(data[:2] + comment + b"\xff\xff\xff" + data[2:]) == (61, 37)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x04ab", b"GIF89a..........", b"\x89PNG"]
)
def test_what_has_no_size(data: bytes) -> None:
    assert encoded_size(data) is None


def test_every_cut_of_a_file_is_refused_with_an_image_error() -> None:
    for data in (encode(".jpg"), encode(".png")):
        for end in range(0, len(data) - 8, 97):
            with pytest.raises(ImageError):
                check_encoded(EncodedImage(data[:end], "x"), 61, 37)


def test_formats_are_told_apart() -> None:
    assert is_jpeg(encode(".jpg")) and not is_jpeg(encode(".png")) and not is_jpeg(b"")
