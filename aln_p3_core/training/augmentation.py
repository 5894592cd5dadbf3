"""What is changed in a clip before it is learnt. Everything drawn comes from the clip's own seed.

Colours: each camera has a draw of its own (their exposures differ on a car too), the same in all frames of the clip.
Brightness, contrast, saturation and hue (the ranges of VAD's photometric distortion) are one affine map of the three
colour channels, so a picture is read and written once.
GridMask (arXiv 2001.04086): one grid for all pictures of the clip.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.config import DriverConfig
from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.clip_data import Clip, ClipImages
from aln_p3_core.training.mirror import mirrored
from aln_p3_core.training.settings import AugmentationSettings

_BRIGHTNESS = 32.0
_CONTRAST = (0.5, 1.5)
_SATURATION = (0.5, 1.5)
_HUE_DEGREES = 18.0
# Weights of red, green and blue in what the eye takes for brightness (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114])
# The finest grid has this many periods over the height of a picture, the coarsest one.
_GRID_PERIODS = 16
# Acceleration, rotation rate and velocity in the CAN vector: what the road's is without an ego status.
_CAN_BUS_STATUS = slice(7, 16)


def augmented(clip: Clip, settings: AugmentationSettings, config: DriverConfig, random: np.random.Generator) -> Clip:
    """The clip with the changes that are drawn for it. Clips of features have no pictures to change.

    Raises:
        ConfigError: when a scene shall be mirrored that cannot be (`mirror.mirrored`).
    """
    # All draws are made in any case: what is switched off does not shift the others.
    flip, lost, withheld, photometric, grid = random.random(5) < (
        settings.flip_probability,
        settings.camera_dropout_probability,
        settings.ego_status_dropout_probability,
        settings.photometric_probability,
        settings.grid_mask_probability,
    )
    camera = int(random.integers(len(config.cameras)))
    colours = color_maps(len(config.cameras), config.image.color, random)
    blank = grid_mask((config.image.height, config.image.width), settings.grid_mask_ratio, random)
    if flip:
        clip = mirrored(clip, config)
    fill = np.array([round(value) for value in config.image.mean], dtype=np.uint8)
    frames = clip.frames
    if withheld:
        frames = [_without_status(frame) for frame in frames]
    if photometric:
        frames = [_with_colors(frame, colours) for frame in frames]
    if grid:
        frames = [_with_blanks(frame, blank, fill) for frame in frames]
    if lost:
        frames = [_without_camera(frame, camera, fill) for frame in frames]
    return replace(clip, frames=frames)


def color_maps(cameras: int, order: str, random: np.random.Generator) -> FloatArray:
    """[cameras, 3, 4] affine maps of colours in 0..255, channels in `order` ("rgb" or "bgr")."""
    brightness = random.uniform(-_BRIGHTNESS, _BRIGHTNESS, cameras)
    contrast = random.uniform(*_CONTRAST, cameras)
    saturation = random.uniform(*_SATURATION, cameras)
    hue = np.deg2rad(random.uniform(-_HUE_DEGREES, _HUE_DEGREES, cameras))
    maps = np.zeros((cameras, 3, 4))
    grey = np.tile(_LUMA, (3, 1))
    for camera in range(cameras):
        to_grey = grey + saturation[camera] * (np.eye(3) - grey)
        maps[camera, :, :3] = contrast[camera] * to_grey @ _hue_rotation(hue[camera])
        maps[camera, :, 3] = brightness[camera]
    if order == "bgr":
        maps = maps[:, ::-1]
        maps[..., :3] = maps[..., 2::-1]
    return maps


def grid_mask(size: tuple[int, int], ratio: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """[H, W] True where a picture is blanked: squares whose side is `ratio` of the grid's period."""
    height, width = size
    period = int(random.integers(max(2, height // _GRID_PERIODS), height + 1))
    side = ratio * period
    offset_y, offset_x = random.integers(period, size=2)
    rows = (np.arange(height) + offset_y) % period < side
    columns = (np.arange(width) + offset_x) % period < side
    return rows[:, None] & columns[None]


def _hue_rotation(angle: float) -> FloatArray:
    """Turns colours about the grey axis, red, green, blue (Rodrigues)."""
    cos, sin = np.cos(angle), np.sin(angle)
    third = (1 - cos) / 3
    plus, minus = third + np.sqrt(1 / 3) * sin, third - np.sqrt(1 / 3) * sin
    return np.array([[cos + third, minus, plus], [plus, cos + third, minus], [minus, plus, cos + third]])


def _with_colors(frame: ClipImages, maps: FloatArray) -> ClipImages:
    if frame.pixels_NHWC is None:
        return frame
    pixels = np.empty_like(frame.pixels_NHWC)
    for camera, matrix in enumerate(maps):
        cv2.transform(frame.pixels_NHWC[camera], matrix, dst=pixels[camera])
    return replace(frame, pixels_NHWC=pixels)


def _with_blanks(frame: ClipImages, blank: NDArray[np.bool_], fill: NDArray[np.uint8]) -> ClipImages:
    if frame.pixels_NHWC is None:
        return frame
    kept = np.where(blank, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    filled = np.where(blank[..., None], fill, 0).astype(np.uint8)
    pixels = np.empty_like(frame.pixels_NHWC)
    for source, target in zip(frame.pixels_NHWC, pixels, strict=True):
        cv2.bitwise_and(source, kept, dst=target)
        cv2.bitwise_or(target, filled, dst=target)
    return replace(frame, pixels_NHWC=pixels)


def _without_status(frame: ClipImages) -> ClipImages:
    can_bus = frame.can_bus.copy()
    can_bus[_CAN_BUS_STATUS] = 0.0
    return replace(frame, can_bus=can_bus, ego_status=np.zeros_like(frame.ego_status))


def _without_camera(frame: ClipImages, camera: int, fill: NDArray[np.uint8]) -> ClipImages:
    """As `ImagePreprocessor` prepares a lost camera; the last one that is there stays."""
    valid = frame.camera_valid_N.copy()
    valid[camera] = False
    if not valid.any():
        return frame
    rows, model2img = frame.rows_N.copy(), frame.model2img_N44.copy()
    rows[camera], model2img[camera] = 0, 0.0
    pixels = frame.pixels_NHWC
    if pixels is not None:
        pixels = pixels.copy()
        pixels[camera] = fill
    return replace(frame, pixels_NHWC=pixels, rows_N=rows, model2img_N44=model2img, camera_valid_N=valid)
