"""Procedural textures, tileable, drawn from a seed: ground materials, façades and clouds."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray

Texture = NDArray[np.uint8]


class Material(IntEnum):
    """Layers of the ground's texture array: RGB colour (sRGB), alpha = cover of paint, or dryness of a road."""

    ASPHALT = 0
    PAVEMENT = 1
    GRASS = 2
    PAINT = 3
    CONCRETE = 4
    VARIATION = 5  # red and green: slow variation of brightness; blue: clouds; alpha: leaves


#: Metres that one tile of each material covers.
TILE_M = {
    Material.ASPHALT: 9.0,
    Material.PAVEMENT: 4.8,
    Material.GRASS: 6.0,
    Material.PAINT: 5.0,
    Material.CONCRETE: 3.0,
    Material.VARIATION: 83.0,
}
GROUND_SIZE = 512
#: Façade tiles show so many windows in a row and floors; one window bay is about 3 m wide, one floor 3.1 m high.
FACADE_BAYS, FACADE_FLOORS = 4, 4
FACADE_SIZE = 256
FACADE_STYLES = 8


def noise(rng: np.random.Generator, size: int, low: float, high: float) -> FloatArray:
    """Tileable noise [size, size] with mean 0 and deviation 1, of `low` to `high` waves a tile."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size) * size, np.fft.rfftfreq(size) * size, indexing="ij"))
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    spectrum *= ((frequency >= low) & (frequency <= high)) / np.maximum(frequency, 1.0)
    field = np.fft.irfft2(spectrum, s=(size, size))
    return field / field.std()


@lru_cache(maxsize=4)
def ground_textures(seed: int) -> Texture:
    """uint8 [layers, GROUND_SIZE, GROUND_SIZE, 4], indexed by `Material`."""
    rng = np.random.default_rng([seed, 1])
    makers = [_asphalt, _pavement, _grass, _paint, _concrete, _variation]
    return _frozen(np.stack([_bytes(make(rng, GROUND_SIZE)) for make in makers]))


@lru_cache(maxsize=4)
def facade_textures(seed: int) -> Texture:
    """uint8 [2 * FACADE_STYLES, FACADE_SIZE, FACADE_SIZE, 4]: upper floors, then street floors, of each style.

    RGB is the wall's shade relative to the building's paint (0.5 leaves it), or the colour of the glass; alpha is 1 on
    glass. Row 0 is the bottom of the tile.
    """
    rng = np.random.default_rng([seed, 2])
    upper = [_upper_floors(rng, style) for style in range(FACADE_STYLES)]
    street = [_street_floor(rng, style) for style in range(FACADE_STYLES)]
    return _frozen(np.stack([_bytes(t) for t in upper + street]))


def _frozen(textures: Texture) -> Texture:
    """Read-only: they are handed out more than once."""
    textures.setflags(write=False)
    return textures


def _bytes(image: FloatArray) -> Texture:
    return (np.clip(image, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)


def _rgba(color: Sequence[float], shade: FloatArray, alpha: FloatArray | float) -> FloatArray:
    """A colour [3] times a shade [S, S], with alpha."""
    image = np.empty((*shade.shape, 4))
    image[..., :3] = np.asarray(color) * shade[..., None]
    image[..., 3] = alpha
    return image


def _asphalt(rng: np.random.Generator, size: int) -> FloatArray:
    shade = 1 + 0.10 * noise(rng, size, 40, 256) + 0.045 * noise(rng, size, 2, 10)
    # Mended patches: rectangles of another age.
    for _ in range(3):
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(size // 12, size // 4, 2)
        rows = np.arange(y, y + h) % size
        columns = np.arange(x, x + w) % size
        shade[np.ix_(rows, columns)] *= rng.uniform(0.82, 1.12)
    cracks = _cracks(rng, size, 5)
    shade *= 1 - 0.45 * cracks
    dry = 0.5 + 0.35 * noise(rng, size, 1, 6) - 0.3 * cracks
    return _rgba((0.385, 0.385, 0.39), shade, dry)


def _cracks(rng: np.random.Generator, size: int, count: int) -> FloatArray:
    """Thin dark walks over the tile, 0..1."""
    cracks = np.zeros((size, size))
    for _ in range(count):
        place, heading = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
        for step in rng.normal(0, 0.35, int(rng.integers(60, 220))):
            heading += step
            place = np.mod(place + 1.3 * np.array([np.cos(heading), np.sin(heading)]), float(size))
            cracks[int(place[1]), int(place[0])] = 1.0
    return np.maximum(cracks, 0.55 * np.roll(cracks, 1, axis=1))


def _pavement(rng: np.random.Generator, size: int) -> FloatArray:
    slabs = 8
    edge = size // slabs
    tone = 1 + 0.06 * rng.normal(size=(slabs, slabs))
    shade = np.kron(tone, np.ones((edge, edge))) * (1 + 0.05 * noise(rng, size, 20, 200))
    grid = np.arange(size) % edge < 3
    shade[grid] *= 0.72
    shade[:, grid] *= 0.72
    return _rgba((0.60, 0.585, 0.56), shade, 0.8)


def _grass(rng: np.random.Generator, size: int) -> FloatArray:
    fine, coarse = noise(rng, size, 50, 256), noise(rng, size, 2, 12)
    image = _rgba((0.40, 0.46, 0.25), 1 + 0.15 * fine + 0.05 * coarse, 0.9)
    image[..., 0] += 0.014 * noise(rng, size, 2, 8)
    return image


def _paint(rng: np.random.Generator, size: int) -> FloatArray:
    wear = 0.93 + 0.12 * noise(rng, size, 30, 256) + 0.10 * noise(rng, size, 3, 12)
    return _rgba((0.95, 0.95, 0.95), 1 + 0.03 * noise(rng, size, 8, 64), wear)


def _concrete(rng: np.random.Generator, size: int) -> FloatArray:
    return _rgba((0.66, 0.65, 0.63), 1 + 0.05 * noise(rng, size, 10, 200), 0.8)


def _variation(rng: np.random.Generator, size: int) -> FloatArray:
    image = np.empty((size, size, 4))
    image[..., 0] = 0.5 + 0.16 * noise(rng, size, 1, 24)
    image[..., 1] = 0.5 + 0.18 * noise(rng, size, 24, 160)
    image[..., 2] = 0.5 + 0.19 * noise(rng, size, 2, 40)
    image[..., 3] = 0.5 + 0.18 * noise(rng, size, 40, 200)
    return image


def _upper_floors(rng: np.random.Generator, style: int) -> FloatArray:
    """A tile of windows. Styles differ in the windows' shape; the last two are glass fronts."""
    size = FACADE_SIZE
    bay, floor = size // FACADE_BAYS, size // FACADE_FLOORS
    glass_front = style >= FACADE_STYLES - 2
    width = 0.90 if glass_front else rng.uniform(0.36, 0.62)
    bottom, top = (0.06, 0.94) if glass_front else (rng.uniform(0.22, 0.32), rng.uniform(0.74, 0.86))
    image = _rgba((0.5, 0.5, 0.5), 1 + 0.035 * noise(rng, size, 24, 128), 0.0)
    if style % 3 == 1 and not glass_front:  # courses of brick
        image[np.arange(size) % 8 < 1, :, :3] *= 0.86
    if style % 3 == 2 and not glass_front:  # a ledge at every floor
        for k in range(FACADE_FLOORS):
            image[k * floor : k * floor + 4, :, :3] *= 1.18
            image[k * floor + 4 : k * floor + 6, :, :3] *= 0.75
    for k in range(FACADE_FLOORS):
        for b in range(FACADE_BAYS):
            y0, y1 = k * floor + int(bottom * floor), k * floor + int(top * floor)
            x0, x1 = b * bay + int((1 - width) / 2 * bay), b * bay + int((1 + width) / 2 * bay)
            _window(image, rng, x0, x1, y0, y1, frame=2 if glass_front else 3)
    return image


def _window(image: FloatArray, rng: np.random.Generator, x0: int, x1: int, y0: int, y1: int, *, frame: int) -> None:
    """A pane with a frame, a cross bar and sometimes a curtain, in place."""
    image[y0:y1, x0:x1, :3] = rng.uniform(0.55, 0.75)
    image[y0 + frame : y1 - frame, x0 + frame : x1 - frame] = [0.16, 0.20, 0.24, 1.0]
    pane = image[y0 + frame : y1 - frame, x0 + frame : x1 - frame, :3]
    pane *= np.linspace(0.8, 1.25, len(pane))[:, None, None]
    if rng.random() < 0.35:
        pane[int(len(pane) * rng.uniform(0.3, 0.8)) :] = rng.uniform(0.45, 0.65)
    middle = (x0 + x1) // 2
    image[y0:y1, middle - 1 : middle + 1, :3] = 0.5
    image[y0:y1, middle - 1 : middle + 1, 3] = 0.0
    image[y0 - 3 : y0, x0 - 2 : x1 + 2, :3] *= 1.25


def _muted(rng: np.random.Generator) -> FloatArray:
    """A colour [3] of doors and signs: one that is not loud."""
    return rng.uniform(0.24, 0.5) * (1 + rng.uniform(-0.16, 0.16, 3))


def _street_floor(rng: np.random.Generator, style: int) -> FloatArray:
    """The lowest floor: shop windows and doors (even styles), or a plinth with small windows (odd ones)."""
    size = FACADE_SIZE
    bay = size // FACADE_BAYS
    image = _rgba((0.46, 0.46, 0.46), 1 + 0.03 * noise(rng, size, 24, 128), 0.0)
    image[: size // 12, :, :3] *= 0.7
    for b in range(FACADE_BAYS):
        left, right = b * bay + bay // 12, (b + 1) * bay - bay // 12
        if (b + style) % FACADE_BAYS == 2:  # a door
            middle = (left + right) // 2
            door = _muted(rng)
            image[: int(0.66 * size), middle - bay // 6 : middle + bay // 6, :3] = door
            image[int(0.40 * size) : int(0.6 * size), middle - bay // 9 : middle + bay // 9, 3] = 1.0
            continue
        y0, y1 = (size // 10, int(0.70 * size)) if style % 2 == 0 else (int(0.34 * size), int(0.74 * size))
        _window(image, rng, left, right, y0, y1, frame=4)
    if style % 2 == 0:  # awning or shop sign over the windows
        image[int(0.78 * size) : int(0.90 * size), :, :3] = _muted(rng)
    return image
