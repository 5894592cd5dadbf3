"""`WorldMap`: the devkit's map class for locations that are not among nuScenes' own four."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from nuscenes.map_expansion import map_api
from nuscenes.map_expansion.map_api import NuScenesMap, NuScenesMapExplorer

if TYPE_CHECKING:
    from matplotlib.patches import PathPatch
    from shapely.geometry import Polygon

_PIXELS_PER_M = 10  # the devkit's default for masks


class WorldMap(NuScenesMap):
    """`NuScenesMap` of any location that has a `maps/expansion/<location>.json` under the root.

    The devkit's class refuses every name but those of its four maps; nothing else in it depends on the name.
    All of its queries work as they are. Its pictures of polygons rely on a package that does not understand
    Shapely 2; loading a `WorldMap` repairs that for the whole process.
    """

    def __init__(self, dataroot: str | Path, map_name: str) -> None:
        """Loads the layers. Raises FileNotFoundError where the location has no expansion file."""
        map_api.descartes = SimpleNamespace(PolygonPatch=_polygon_patch)
        with _accepted(map_name):
            super().__init__(dataroot=str(dataroot), map_name=map_name)
        self.explorer = _Explorer(self)


class _Explorer(NuScenesMapExplorer):
    """The devkit's explorer; its masks ask for the size of the map, which it only knows of its own four."""

    def get_map_mask(
        self,
        patch_box: tuple[float, float, float, float] | None,
        patch_angle: float,
        layer_names: list[str] | None = None,
        canvas_size: tuple[int, int] | None = (100, 100),
    ) -> NDArray[np.uint8]:
        """Masks [layers, height, width] of a patch (x, y of the middle, height, width in m); the whole map if None."""
        width, height = self.map_api.canvas_edge
        patch = patch_box or (width / 2, height / 2, height, width)
        size = canvas_size or (round(patch[2] * _PIXELS_PER_M), round(patch[3] * _PIXELS_PER_M))
        geometry = self.get_map_geom(patch, patch_angle, layer_names or self.map_api.non_geometric_layers)
        return self.map_geom_to_mask(geometry, (0.0, 0.0, patch[2], patch[3]), size)


def _polygon_patch(polygon: Polygon, **style: Any) -> PathPatch:
    """A matplotlib patch of a polygon with its holes."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    rings = [Outline(np.asarray(ring.coords)[:, :2], closed=True) for ring in (polygon.exterior, *polygon.interiors)]
    return PathPatch(Outline.make_compound_path(*rings), **style)


@contextmanager
def _accepted(map_name: str) -> Iterator[None]:
    """Lets the devkit's check of the name pass, for the time of one construction."""
    known = map_api.locations
    map_api.locations = [*known, map_name]
    try:
        yield
    finally:
        map_api.locations = known
