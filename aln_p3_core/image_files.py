"""What can be known about a compressed image without decoding it: format, size, and whether its end is there.

Decoders fill the missing part of a truncated JPEG with grey and say nothing, and an image of a wrong size
would only be noticed after the work of decoding it.
"""

from __future__ import annotations

from aln_p3_core.errors import ImageError
from aln_p3_core.frame import EncodedImage

_JPEG_START = b"\xff\xd8\xff"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND"
#: Some cameras pad the file behind the end marker; entropy-coded data never holds the marker itself.
_END_SEARCH_BYTES = 4096
# Markers that start a frame header (which holds the size): C0..CF without the three that are tables.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def is_jpeg(data: bytes | memoryview) -> bool:
    """Whether the bytes start as a JPEG file does."""
    return bytes(data[:3]) == _JPEG_START


def encoded_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """Width and height in pixels that a JPEG or PNG header declares; None where there is no such header."""
    if bytes(data[:8]) == _PNG_START and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not is_jpeg(data):
        return None
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte before the marker
            position += 1
            continue
        if marker in _FRAME_MARKERS:
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            return int.from_bytes(data[position + 7 : position + 9], "big"), height
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def check_encoded(image: EncodedImage, width: int, height: int) -> None:
    """Checks the header and the end of a compressed image against the size that its calibration speaks of.

    Raises:
        ImageError: naming the source, for an empty, unknown, truncated or wrongly sized image.
    """
    if len(image.data) == 0:
        raise ImageError(f"{image.source} is empty (0 bytes)")
    size = encoded_size(image.data)
    if size is None:
        raise ImageError(f"{image.source} is neither a JPEG nor a PNG file, or its header is damaged")
    end_marker = _JPEG_END if is_jpeg(image.data) else _PNG_END
    if bytes(image.data[-_END_SEARCH_BYTES:]).rfind(end_marker) < 0:
        raise ImageError(
            f"{image.source} is truncated: its {len(image.data)} bytes hold no end-of-image marker; "
            "copy or extract the file again, or check the camera's link"
        )
    if size != (width, height):
        raise ImageError(
            f"{image.source} has {size[0]}x{size[1]} pixels, its calibration speaks of {width}x{height}; "
            "use the calibration that belongs to this image size"
        )
