"""The last pass: what lens and sensor make of the light: vignette, grain, rain in the air and on the lens."""

from __future__ import annotations

from zlib import crc32

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.render.graphics import UNITS, Graphics
from aln_p3_core.world.weather import Light

_GRAIN_SIZE = 256
_DROPS_SIZE = 512
#: Deviation of the grain's texture, steps of 255.
_GRAIN_DEVIATION = 32.0


class Film:
    """Turns the drawn picture into the camera's."""

    def __init__(self, graphics: Graphics, light: Light, seed: int, *, noise: bool) -> None:
        context = graphics.context
        self._context = context
        self._seed = seed
        rain = light.rain if noise else 0.0
        self._program = graphics.program(
            "film", "film", [*(["GRAIN"] if noise else []), *(["RAIN"] if rain > 0 else [])], lit=False
        )
        rng = np.random.default_rng([seed, crc32(b"film")])
        if noise:
            grain = np.clip(128 + _GRAIN_DEVIATION * rng.normal(size=(_GRAIN_SIZE, _GRAIN_SIZE, 4)), 0, 255)
            texture = context.texture((_GRAIN_SIZE, _GRAIN_SIZE), 4, grain.round().astype(np.uint8).tobytes())
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
            texture.use(UNITS["grain"])
            self._set("noise", light.noise / _GRAIN_DEVIATION)
        if rain > 0:
            drops = context.texture((_DROPS_SIZE, _DROPS_SIZE), 4, lens_drops(rng, _DROPS_SIZE, rain).tobytes())
            drops.filter = (moderngl.LINEAR, moderngl.LINEAR)
            drops.use(UNITS["drops"])
            self._set("rain", rain)
        square = context.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32).tobytes())
        self._array = context.vertex_array(self._program, [(square, "2f", "in_corner")])

    def develop(
        self, picture: moderngl.Texture, target: moderngl.Framebuffer, viewport: tuple[int, int, int, int], shot: bytes
    ) -> None:
        """Writes one camera's part of a picture.

        Args:
            picture: what was drawn. target: where the result goes.
            viewport: x, y, width, height of the camera's part, pixels.
            shot: names camera and instant: seeds the grain.
        """
        picture.use(UNITS["picture"])
        target.viewport = viewport
        self._set("area", tuple(float(v) for v in viewport))
        lot = np.random.default_rng([self._seed, crc32(shot)])
        self._set("grain_shift", tuple(int(v) for v in lot.integers(0, _GRAIN_SIZE, 2)))
        self._set("lot", float(lot.uniform()))
        self._set("camera_lot", crc32(shot.split(b"@")[0]) % 1000 / 1000.0)
        self._array.render(moderngl.TRIANGLE_STRIP)

    def _set(self, name: str, value: object) -> None:
        if name in self._program:
            self._program[name].value = value  # type: ignore[union-attr]


def lens_drops(rng: np.random.Generator, size: int, rain: float) -> NDArray[np.uint8]:
    """Tileable drops on the lens, uint8 [size, size, 4]: slope x and y (128 is flat), cover, shade."""
    slope = np.zeros((size, size, 2))
    cover = np.zeros((size, size))
    y, x = np.mgrid[0:size, 0:size]
    for _ in range(int(10 + 26 * rain)):
        cx, cy = rng.uniform(0, size, 2)
        radius = size * rng.uniform(0.006, 0.022)
        dx = (x - cx + size / 2) % size - size / 2
        dy = ((y - cy + size / 2) % size - size / 2) / rng.uniform(1.0, 1.5)
        r = np.hypot(dx, dy) / radius
        inside = r < 1
        slope[inside] = np.stack([dx, dy], axis=-1)[inside] / radius
        cover = np.maximum(cover, np.clip((1 - r) * 3.0, 0, 1))
    image = np.empty((size, size, 4))
    image[..., :2] = 0.5 + 0.49 * slope
    image[..., 2] = cover
    image[..., 3] = 1.0
    return (image * 255).round().astype(np.uint8)
