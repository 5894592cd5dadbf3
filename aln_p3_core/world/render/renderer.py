"""`WorldRenderer`: the six cameras of the world's car, rendered headless with OpenGL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.render.camera import PlacedCamera, metric_depth
from aln_p3_core.world.render.graphics import Graphics, block
from aln_p3_core.world.render.images import RenderedView, Shot
from aln_p3_core.world.render.passes import Passes
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Weather, light_of


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How much is drawn.

    Attributes:
        shadows: shadows of the sun.
        shadow_size: texels along a side of the shadow map (it covers 160 m).
        samples: 0, or 4 samples a pixel against jagged edges.
        noise: grain of the sensor, rain on the lens.
    """

    shadows: bool = True
    shadow_size: int = 2048
    samples: int = 0
    noise: bool = True

    def __post_init__(self) -> None:
        if self.samples not in (0, 4):
            raise ConfigError(f"samples must be 0 or 4, not {self.samples}")


class WorldRenderer:
    """Renders the cameras of one rig in one city. Not thread-safe.

    Pixel coordinates are those of `geometry.project_points`: see `render.camera`.
    """

    def __init__(
        self,
        city: CityMap,
        scenery: Scenery,
        rig: Mapping[str, CameraCalibration],
        weather: Weather,
        *,
        options: RenderOptions | None = None,
    ) -> None:
        """Builds the static world and compiles the shaders.

        Args:
            city, scenery: what is built.
            rig: cameras by channel.
            weather: light and weather of the whole episode.
            options: how much is drawn.

        Raises:
            ConfigError: this machine cannot render; the message says what to install.
        """
        self.rig = dict(rig)
        self.weather = weather
        self.light = light_of(weather)
        self.options = options or RenderOptions()
        self._graphics = Graphics()
        self._closed = False
        self._rows: dict[str, int] = {}
        height = 0
        for name, calibration in self.rig.items():
            self._rows[name] = height
            height += calibration.height
        self._size = (max(c.width for c in self.rig.values()), height)
        with self._graphics as context:
            self._passes = Passes(self._graphics, city, scenery, self.light, weather, self.options)
            self._targets = _Targets(context, self._size, self.options.samples)

    def render(self, shots: list[Shot], *, truth: bool = False) -> dict[str, RenderedView]:
        """Pictures by camera; with depth and labels when `truth`. All share the shadows of the last exposure."""
        if self._closed:
            raise ConfigError("this renderer is closed; make a new one")
        if not shots:
            return {}
        reference = max((shot.state for shot in shots), key=lambda state: state.time_s)
        with self._graphics:
            self._passes.begin(reference)
            target = self._targets.for_drawing(truth)
            target.use()
            target.clear(depth=1.0)
            for shot in shots:
                self._draw(target, shot, reference)
            color = self._targets.read_color(self._passes, [self._placed(s) for s in shots])
            depth = labels = None
            if truth:
                if self.options.samples:
                    self._draw_truth(shots, reference)
                depth, labels = self._targets.read_truth()
        return {s.camera: self._view(s, color, depth, labels) for s in shots}

    def close(self) -> None:
        """Frees the graphics memory. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._graphics.release()

    def __enter__(self) -> WorldRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
