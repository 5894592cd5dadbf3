"""Areas of a city map: polygons of lanes, the drivable area and its outline."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import Lane

#: Gaps narrower than twice this, m, between lanes and junctions are closed.
_CLOSE_M = 0.5
#: Islands smaller than this, m^2, are road.
_SMALLEST_ISLAND_M2 = 6.0
#: Areas smaller than this, m^2, that touch no road are specks.
_SMALLEST_PART_M2 = 150.0


def lane_polygon(lane: Lane) -> Polygon:
    """The area of a lane: its centreline widened to its width, cut off straight at both ends."""
    area = LineString(lane.centerline).buffer(lane.width / 2, cap_style="flat", join_style="mitre", mitre_limit=2.0)
    if isinstance(area, MultiPolygon):
        return max(area.geoms, key=lambda part: part.area)
    return area


def strip(points: FloatArray, width: float) -> BaseGeometry:
    """The area within half of `width` of a line, cut off straight at both ends."""
    return LineString(points).buffer(width / 2, cap_style="flat", join_style="mitre", mitre_limit=2.0)


def polygon_of(points: FloatArray) -> BaseGeometry:
    """A valid area from an outline that may cross itself."""
    area = Polygon(points)
    return area if area.is_valid else area.buffer(0)


def cleaned_union(areas: Iterable[BaseGeometry], smallest_m2: float = _SMALLEST_PART_M2) -> BaseGeometry:
    """The union of areas without the slits between them and without specks."""
    union = shapely.union_all([area for area in areas if not area.is_empty])
    union = union.buffer(_CLOSE_M, join_style="mitre").buffer(-_CLOSE_M, join_style="mitre").simplify(0.05)
    parts = []
    for part in getattr(union, "geoms", [union]):
        holes = [ring for ring in part.interiors if Polygon(ring).area >= _SMALLEST_ISLAND_M2]
        if part.area >= smallest_m2:
            parts.append(Polygon(part.exterior, holes))
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def outlines(area: BaseGeometry) -> tuple[FloatArray, ...]:
    """Closed lines [P, 2] around an area and around its holes."""
    rings = []
    for part in getattr(area, "geoms", [area]):
        rings += [part.exterior, *part.interiors]
    return tuple(np.asarray(ring.coords, dtype=np.float64)[:, :2] for ring in rings)
