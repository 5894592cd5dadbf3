"""`WorldRenderer`: the six cameras of the world's car, rendered headless with OpenGL."""

from __future__ import annotations

from collections.abc import Mapping

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.render.camera import PlacedCamera
from aln_p3_core.world.render.film import Film
from aln_p3_core.world.render.graphics import Graphics
from aln_p3_core.world.render.images import RenderedView, Shot
from aln_p3_core.world.render.options import RenderOptions
from aln_p3_core.world.render.passes import Passes
from aln_p3_core.world.render.targets import Targets
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Weather, light_of


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
        self._areas: dict[str, tuple[int, int, int, int]] = {}
        height = 0
        for name, calibration in self.rig.items():
            self._areas[name] = (0, height, calibration.width, calibration.height)
            height += calibration.height
        size = (max(c.width for c in self.rig.values()), height)
        with self._graphics as context:
            self._passes = Passes(self._graphics, city, scenery, self.light, self.options)
            self._film = Film(self._graphics, self.light, weather.seed, noise=self.options.noise)
            self._targets = Targets(context, size, self.options.samples)

    def render(self, shots: list[Shot], *, truth: bool = False) -> dict[str, RenderedView]:
        """Pictures by camera; with depth and labels when `truth`. All share the shadows of the last exposure."""
        if self._closed:
            raise ConfigError("this renderer is closed; make a new one")
        if not shots:
            return {}
        reference = max((shot.state for shot in shots), key=lambda state: state.time_s)
        depth = labels = None
        with self._graphics:
            self._passes.begin(reference)
            self._draw(self._targets.for_color(truth), shots, reference)
            self._targets.resolve()
            color = self._develop(shots)
            if truth:
                if self.options.samples:
                    self._draw(self._targets.truth, shots, reference)
                depth, labels = self._targets.read_truth()
        return {shot.camera: self._view(shot, color, depth, labels) for shot in shots}

    def close(self) -> None:
        """Frees the graphics memory. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._graphics.release()

    def __enter__(self) -> WorldRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _draw(self, target: moderngl.Framebuffer, shots: list[Shot], reference: WorldState) -> None:
        """Draws all shots, each into its part of the target."""
        target.use()
        target.clear(depth=1.0)
        for shot in shots:
            target.viewport = self._areas[shot.camera]
            calibration = self.rig[shot.camera]
            camera = PlacedCamera(calibration, shot.state.ego.T_world_ego @ calibration.T_ego_cam)
            self._passes.draw(target, camera, shot.state, reference)

    def _develop(self, shots: list[Shot]) -> NDArray[np.uint8]:
        """The tall picture as the sensor gives it."""
        target = self._targets.final
        target.use()
        self._graphics.context.enable_only(moderngl.NOTHING)
        for shot in shots:
            name = f"{shot.camera}@{round(shot.time_s * 1e6)}".encode()
            self._film.develop(self._targets.color, target, self._areas[shot.camera], name)
        return self._targets.read_color()

    def _view(
        self,
        shot: Shot,
        color: NDArray[np.uint8],
        depth: NDArray[np.float32] | None,
        labels: NDArray[np.int32] | None,
    ) -> RenderedView:
        """Cuts one camera's picture out of the tall ones."""
        x, y, width, height = self._areas[shot.camera]
        rows, columns = slice(y, y + height), slice(x, x + width)
        return RenderedView(
            camera=shot.camera,
            time_s=shot.time_s,
            state=shot.state,
            calibration=self.rig[shot.camera],
            color=np.ascontiguousarray(color[rows, columns]),
            depth=None if depth is None else np.ascontiguousarray(depth[rows, columns]),
            labels=None if labels is None else np.ascontiguousarray(labels[rows, columns]),
        )
