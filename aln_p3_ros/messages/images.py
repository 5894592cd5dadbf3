"""Image messages to arrays and back.

The usual 8-bit encodings are views on the message's own memory; nothing is copied before the image is scaled
down. Other encodings (Bayer, YUV) go through `cv_bridge` where it is installed.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from aln_p3_core.errors import ImageError
from aln_p3_core.frame import EncodedImage

ByteImage = NDArray[np.uint8]

# Encoding -> (channels, bytes a channel, colour order of what is handed on).
_LAYOUTS: dict[str, tuple[int, int, str]] = {
    "rgb8": (3, 1, "rgb"),
    "bgr8": (3, 1, "bgr"),
    "8UC3": (3, 1, "bgr"),
    "rgba8": (4, 1, "rgb"),
    "bgra8": (4, 1, "bgr"),
    "8UC4": (4, 1, "bgr"),
    "mono8": (1, 1, "bgr"),
    "8UC1": (1, 1, "bgr"),
    "rgb16": (3, 2, "rgb"),
    "bgr16": (3, 2, "bgr"),
    "mono16": (1, 2, "bgr"),
}

_COLORS = ("rgb", "bgr")
_FINGERPRINT_SAMPLES = 4096


def image_array(message: Image, source: str = "image") -> tuple[ByteImage, str]:
    """Pixels of an image message.

    Args:
        message: any `sensor_msgs/Image`; `step` and `is_bigendian` are honoured.
        source: the camera or topic, for error messages.

    Returns:
        uint8 [height, width, 3] and its channel order "rgb" or "bgr". For rgb8 and bgr8 the array is a read-only
        view on the message's memory; other encodings are converted.

    Raises:
        ImageError: for a message whose size, step and data contradict each other, or an encoding that nobody
            here can convert.
    """
    layout = check_raw_image(message, source)
    if layout is None:
        return _through_cv_bridge(message, source), "bgr"
    channels, depth, color = layout
    height, width = message.height, message.width
    row_bytes = width * channels * depth
    data = np.frombuffer(message.data, dtype=np.uint8)
    rows = np.lib.stride_tricks.as_strided(data, (height, row_bytes), (message.step, 1), writeable=False)
    if depth == 2:
        values = np.ascontiguousarray(rows).view(">u2" if message.is_bigendian else "<u2")
        pixels = (values >> 8).astype(np.uint8).reshape(height, width, channels)
    else:
        pixels = rows.reshape(height, width, channels)
    return _three_channels(pixels), color


def check_raw_image(message: Image, source: str = "image") -> tuple[int, int, str] | None:
    """Checks that size, step and data of an image message fit together.

    Returns:
        Channels, bytes a channel and channel order of the encoding, or None for one that only `cv_bridge` knows.

    Raises:
        ImageError: naming what contradicts what.
    """
    height, width = message.height, message.width
    if height == 0 or width == 0:
        raise ImageError(f"{source} sent an empty image ({width}x{height})")
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        return None
    row_bytes = width * layout[0] * layout[1]
    if message.step < row_bytes:
        raise ImageError(
            f"{source} sent an image with step {message.step}, but a row of {width} {message.encoding} pixels has "
            f"{row_bytes} bytes"
        )
    # The last row may lack its padding.
    if len(message.data) < message.step * (height - 1) + row_bytes:
        raise ImageError(
            f"{source} sent {len(message.data)} bytes for {width}x{height} {message.encoding} with step "
            f"{message.step}: {message.step * height} are needed"
        )
    return layout


def encoded_image(message: CompressedImage, source: str = "image") -> EncodedImage:
    """The bytes of a compressed image message, not copied, for the preprocessing to decode.

    Raises:
        ImageError: for an empty message, for depth images, which are no pictures, and for raw Bayer pixels, which
            would be taken for a grey picture.
    """
    if not message.data:
        raise ImageError(f"{source} sent an empty compressed image")
    if "compressedDepth" in message.format:
        raise ImageError(f"{source} sends depth images ({message.format}); subscribe to its colour topic")
    # "bayer_rggb8; jpeg compressed " holds the sensor's mosaic, "bayer_rggb8; jpeg compressed bgr8" a colour picture.
    if message.format.startswith("bayer_"):
        target = message.format.partition("compressed")[2].strip()
        if not target.startswith(_COLORS):
            raise ImageError(
                f"{source} sends raw Bayer pixels as a compressed image ({message.format.strip()!r}): debayer them "
                "before they are compressed (image_proc), or set image_transport to raw, which takes cv_bridge"
            )
    return EncodedImage(memoryview(message.data), source)


def image_message(pixels: ByteImage, stamp: Time, frame_id: str, encoding: str = "rgb8") -> Image:
    """A `sensor_msgs/Image` of uint8 pixels [height, width, 3], or [height, width] for mono8."""
    if pixels.dtype != np.uint8 or encoding not in ("rgb8", "bgr8", "mono8"):
        raise ImageError(f"only uint8 rgb8, bgr8 and mono8 images can be sent, got {pixels.dtype} as {encoding}")
    pixels = np.ascontiguousarray(pixels)
    # array.array with frombytes is the one assignment that rclpy takes without looking at every byte.
    data = array("B")
    data.frombytes(pixels.data.cast("B"))
    message = Image(header=Header(stamp=stamp, frame_id=frame_id), encoding=encoding)
    message.height, message.width = pixels.shape[:2]
    message.step = pixels.strides[0]
    message.data = data
    return message


def compressed_message(data: bytes | memoryview, stamp: Time, frame_id: str, image_format: str) -> CompressedImage:
    """A `sensor_msgs/CompressedImage` of the bytes of a JPEG or PNG file ("jpeg" or "png")."""
    content = array("B")
    content.frombytes(data)
    message = CompressedImage(header=Header(stamp=stamp, frame_id=frame_id), format=image_format)
    message.data = content
    return message


def content_fingerprint(data: bytes | memoryview | array[int]) -> int:
    """A number that is equal for equal images and, with camera noise, for no others.

    A few thousand bytes spread over the image are looked at: the whole of six raw images would cost more
    than the neural network's input.
    """
    content = np.frombuffer(data, dtype=np.uint8)
    # An odd stride walks through all columns and channels.
    stride = max(1, len(content) // _FINGERPRINT_SAMPLES) | 1
    return zlib.crc32(content[::stride].tobytes(), len(content) & 0xFFFFFFFF)


def _three_channels(pixels: ByteImage) -> ByteImage:
    if pixels.shape[2] == 3:
        return pixels
    import cv2

    # Dropping a channel by slicing would leave a view that every later step copies, slowly.
    code = cv2.COLOR_BGRA2BGR if pixels.shape[2] == 4 else cv2.COLOR_GRAY2BGR
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), dtype=np.uint8)


def _through_cv_bridge(message: Image, source: str) -> ByteImage:
    convert = _cv_bridge_converter()
    if convert is None:
        raise ImageError(
            f"{source} sends encoding {message.encoding!r}; without cv_bridge these can be read: "
            f"{', '.join(_LAYOUTS)}. Install cv_bridge or convert at the camera"
        )
    try:
        return np.asarray(convert(message, "bgr8"), dtype=np.uint8)
    except Exception as error:  # cv_bridge wraps OpenCV's errors in its own, which exists only with it
        raise ImageError(f"{source}: cv_bridge cannot convert {message.encoding!r}: {error}") from error


def _cv_bridge_converter() -> Callable[[Image, str], object] | None:
    try:
        from cv_bridge import CvBridge
    except ImportError:
        return None
    return CvBridge().imgmsg_to_cv2
