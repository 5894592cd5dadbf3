"""Images for drawing: decoding to a small size, blending, saving."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.drawing.palette import Color
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import CameraView, EncodedImage
from aln_p3_core.geometry import FloatArray
from aln_p3_core.image_files import check_encoded

Image = NDArray[np.uint8]

#: Fractional bits of pixel coordinates handed to OpenCV: lines land between pixels.
SHIFT = 4

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def view_image(view: CameraView, width: int, height: int) -> Image:
    """The view's picture, RGB uint8 [height, width, 3], decoded at the smallest size that is still enough.

    Raises:
        ImageError: when the bytes are no whole image of the calibrated size, naming where they came from.
    """
    image = view.image
    if isinstance(image, EncodedImage):
        check_encoded(image, view.calibration.width, view.calibration.height)
        ratio = min(view.calibration.width / width, view.calibration.height / height)
        flag = next((flag for factor, flag in _REDUCED if ratio >= factor), cv2.IMREAD_COLOR)
        decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
        if decoded is None:
            raise ImageError(f"{image.source} cannot be decoded; its file is damaged")
        pixels, color = decoded, "bgr"
    else:
        pixels, color = image, view.color
    pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if color == "bgr" else pixels


def canvas(height: int, width: int, color: Color) -> Image:
    """A picture of one colour, RGB uint8 [height, width, 3]."""
    row = np.tile(np.array(color, dtype=np.uint8), width)
    return np.broadcast_to(row, (height, 3 * width)).copy().reshape(height, width, 3)


def mix(under: Color, over: Color, alpha: float) -> Color:
    """The colour that `over` gives on `under` at an opacity of 0..1."""
    return tuple(round(u + (o - u) * alpha) for u, o in zip(under, over, strict=True))  # type: ignore[return-value]


def fixed_point(pixels: FloatArray) -> NDArray[np.int32]:
    """Pixel coordinates [..., 2] as OpenCV wants them with `SHIFT` fractional bits."""
    return np.round(np.asarray(pixels) * (1 << SHIFT)).astype(np.int32)


def draw_segments(image: Image, segments: FloatArray, color: Color, thickness: int) -> None:
    """Draws separate lines [k, 2, 2] (pixels) in place."""
    if len(segments):
        cv2.polylines(image, list(fixed_point(segments)), False, color, thickness, cv2.LINE_AA, SHIFT)


def line_thickness(image: Image) -> int:
    """Thickness in pixels of a strong line in a picture of this size."""
    return max(1, round(image.shape[1] / 300))


def fill_polygon(image: Image, polygon: FloatArray, color: Color, alpha: float) -> None:
    """Blends a filled polygon [n, 2] (pixels) into an image, in place."""
    blend_mask(image, [(polygon, alpha)], color)


def blend_mask(image: Image, polygons: list[tuple[FloatArray, float]], color: Color) -> None:
    """Blends polygons of one colour, each with its opacity, into an image, in place.

    A later polygon replaces the opacity of an earlier one where they overlap, so that nested polygons
    make a gradient without seams.
    """
    polygons = [(polygon, alpha) for polygon, alpha in polygons if len(polygon) >= 3]
    if not polygons:
        return
    points = np.concatenate([polygon for polygon, _ in polygons])
    height, width = image.shape[:2]
    x0, y0 = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 2, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
    for polygon, alpha in polygons:
        corners = fixed_point(polygon - (x0, y0))
        cv2.fillPoly(mask, [corners], round(255 * alpha), cv2.LINE_AA, SHIFT)
    paint(image, mask, int(x0), int(y0), color)


def paint(image: Image, mask: Image, x: int, y: int, color: Color) -> None:
    """Blends a colour into an image, in place, where `mask` (0..255, its top left at x, y) says so."""
    height, width = image.shape[:2]
    left, top = max(0, -x), max(0, -y)
    mask = mask[top : max(top, height - y), left : max(left, width - x)]
    if mask.size == 0:
        return
    x, y = x + left, y + top
    region = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    weight = cv2.merge([mask, mask, mask])
    over = np.empty_like(weight)
    over[:] = color
    # over * w + under * (1 - w), in 8 bit: OpenCV does it several times faster than numpy in float.
    blended = cv2.add(cv2.multiply(over, weight, scale=1 / 255), cv2.multiply(region, 255 - weight, scale=1 / 255))
    region[:] = blended


def save_image(path: Path | str, rgb: Image) -> Path:
    """Writes an RGB picture as PNG or JPEG (by the name's ending), all of it or nothing.

    Raises:
        ImageError: when the ending is unknown.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ImageError(f"{path} must end in .png or .jpg")
    options = [cv2.IMWRITE_PNG_COMPRESSION, 4] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    _, content = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.tobytes())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
