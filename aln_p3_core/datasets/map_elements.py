"""Vector map elements around the car, from the nuScenes map expansion (the way MapTR and VAD cut them).

Three classes: `divider` (road and lane dividers), `ped_crossing` (outlines of crossings), `boundary`
(outlines of the union of road segments and lanes). Lines are cut at a 30 m x 60 m patch that turns with the
car and resampled to a fixed number of points, or left as they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.expansion_files import map_file
from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, heading_of
from aln_p3_core.scene import MAP_CLASSES

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry
    from shapely.strtree import STRtree

#: Width (x) and length (y) of the patch in metres.
PATCH_SIZE = (30.0, 60.0)
POINTS_PER_LINE = 20

_LINE_LAYERS: dict[str, tuple[str, ...]] = {"divider": ("road_divider", "lane_divider")}
_POLYGON_LAYERS: dict[str, tuple[str, ...]] = {"ped_crossing": ("ped_crossing",), "boundary": ("road_segment", "lane")}
# Outlines are cut a little inside (boundary) or outside (crossings) of the patch, so that the patch's own
# edge, where a polygon was cut, does not become a line of the map.
_OUTLINE_MARGIN = {"ped_crossing": 0.2, "boundary": -0.2}


@dataclass(frozen=True, slots=True, eq=False)
class MapTargets:
    """Map lines of one frame. V = lines, P = points a line.

    Attributes:
        points_model: [V, P, 2] m, ordered along the line: evenly spaced, or the vertices that the line is drawn with
            (those with fewer repeat their last one). Closed outlines that lie wholly inside the patch start and end at
            the same point.
        class_ids: [V] index into `scene.MAP_CLASSES`.
    """

    points_model: FloatArray
    class_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.class_ids)


class MapReader:
    """Reads `root/maps/expansion/<location>.json` through nuscenes-devkit, once per location."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._layers: dict[str, dict[str, tuple[STRtree, NDArray[Any]]] | None] = {}

    def elements(
        self, location: str, T_global_model: FloatArray, points_per_line: int | None = POINTS_PER_LINE
    ) -> MapTargets | None:
        """Map lines in the model frame, or None where the location has no map expansion.

        The map is flat: the model frame's place and heading are used, its roll and pitch are not.

        Args:
            location: of the scene's log.
            T_global_model: 4x4, model frame to global frame.
            points_per_line: points that every line is resampled to; None leaves all vertices as they are.

        Raises:
            DataError: naming the file when it is broken or too old.
        """
        if location not in self._layers:
            self._layers[location] = self._load(location)
        layers = self._layers[location]
        if layers is None:
            return None
        lines: list[FloatArray] = []
        class_ids: list[int] = []
        for class_id, name in enumerate(MAP_CLASSES):
            geometry = _patch_lines(name, layers[name], T_global_model)
            lines += [_points(line, points_per_line) for line in geometry]
            class_ids += [class_id] * len(geometry)
        longest = points_per_line or max(map(len, lines), default=2)
        padded = [np.pad(line, ((0, longest - len(line)), (0, 0)), mode="edge") for line in lines]
        points = np.array(padded, dtype=np.float64).reshape(-1, longest, 2)
        return MapTargets(points, np.array(class_ids, dtype=np.int64))

    def _load(self, location: str) -> dict[str, tuple[STRtree, NDArray[Any]]] | None:
        path = map_file(self._root, location)
        if not path.is_file():
            return None
        from aln_p3_core.datasets.world_map import WorldMap

        try:
            nusc_map = WorldMap(self._root, location)
            layers: dict[str, list[BaseGeometry]] = {}
            for name, sources in _LINE_LAYERS.items():
                tokens = [record["line_token"] for layer in sources for record in getattr(nusc_map, layer)]
                layers[name] = [nusc_map.extract_line(token) for token in tokens]
            for name, sources in _POLYGON_LAYERS.items():
                tokens = [record["polygon_token"] for layer in sources for record in getattr(nusc_map, layer)]
                layers[name] = [nusc_map.extract_polygon(token) for token in tokens]
        except Exception as error:  # the devkit fails with whatever its code stumbles over
            raise DataError(
                f"{path} cannot be read as a nuScenes map (expansion 1.3 or newer): {type(error).__name__}: {error}"
            ) from error
        return {name: _indexed(geometries) for name, geometries in layers.items()}


def _indexed(geometries: Iterable[BaseGeometry]) -> tuple[STRtree, NDArray[Any]]:
    from shapely.strtree import STRtree

    usable = np.array([g for g in geometries if not g.is_empty and g.is_valid], dtype=object)
    return STRtree(usable), usable


def _patch_lines(name: str, layer: tuple[STRtree, NDArray[Any]], T_global_model: FloatArray) -> list[BaseGeometry]:
    """Lines of one class in the model frame, cut at the patch."""
    from shapely import affinity
    from shapely.geometry import box
    from shapely.ops import unary_union

    half_x, half_y = PATCH_SIZE[0] / 2, PATCH_SIZE[1] / 2
    x, y = T_global_model[:2, 3]
    angle = np.degrees(heading_of(T_global_model))
    patch_model = box(-half_x, -half_y, half_x, half_y)
    patch_global = affinity.translate(affinity.rotate(patch_model, angle, origin=(0, 0)), x, y)
    tree, geometries = layer
    near = [geometries[i].intersection(patch_global) for i in sorted(tree.query(patch_global))]
    local = [affinity.rotate(affinity.translate(g, -x, -y), -angle, origin=(0, 0)) for g in near if not g.is_empty]
    if name in _LINE_LAYERS:
        return _lines(local)
    margin = _OUTLINE_MARGIN[name]
    frame = box(-half_x - margin, -half_y - margin, half_x + margin, half_y + margin)
    outlines = []
    for polygon in _parts(unary_union(local), "Polygon"):
        # One turning sense for outer outlines and the other for holes: the road lies on the same side of both.
        for ring, is_hole in [(polygon.exterior, False), *((hole, True) for hole in polygon.interiors)]:
            outline = ring.reverse() if ring.is_ccw != is_hole else ring
            outlines += _merged(outline.intersection(frame))
    return outlines


def _merged(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Joins the pieces of a cut ring where its own start point had split them."""
    from shapely.ops import linemerge

    pieces = _lines([geometry])
    return _lines([linemerge(pieces)]) if len(pieces) > 1 else pieces


def _lines(geometries: Iterable[BaseGeometry]) -> list[BaseGeometry]:
    lines = [part for g in geometries for part in _parts(g, "LineString")]
    return [line for line in lines if line.length > 1e-6]


def _parts(geometry: BaseGeometry, kind: str) -> list[BaseGeometry]:
    """Parts of one kind of a simple or collected geometry; a cut can leave points beside lines."""
    parts = getattr(geometry, "geoms", [geometry])
    return [part for part in parts if part.geom_type == kind]


def _points(line: BaseGeometry, count: int | None) -> FloatArray:
    """[count, 2] evenly spaced points from the line's start to its end; all its vertices for None."""
    from shapely import get_coordinates, line_interpolate_point

    if count is None:
        return get_coordinates(line)
    points = line_interpolate_point(line, np.linspace(0.0, line.length, count))
    return np.array([[p.x, p.y] for p in points])
