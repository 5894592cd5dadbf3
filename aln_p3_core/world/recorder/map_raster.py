"""The semantic prior of a location: a raster of where one may drive or walk, as nuScenes ships one a map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.recorder.map_expansion import canvas_edge

#: The devkit takes this resolution for granted.
PIXELS_PER_M = 10


def map_raster(city: CityMap) -> NDArray[np.uint8]:
    """[height, width] 255 where there is road, crossing or pavement, else 0; north is up, 10 pixels a metre.

    The lower left corner is the world's origin, as `nuscenes.utils.map_mask.MapMask` expects it.
    """
    width, height = (round(edge * PIXELS_PER_M) for edge in canvas_edge(city))
    image = np.zeros((height, width), np.uint8)

    def pixels(points: FloatArray) -> NDArray[np.int32]:
        return np.round(np.asarray(points)[:, :2] * [PIXELS_PER_M, -PIXELS_PER_M] + [0, height]).astype(np.int32)

    for part in getattr(city.drivable, "geoms", [city.drivable]):
        cv2.fillPoly(image, [pixels(np.array(part.exterior.coords))], 255)
        holes = [pixels(np.array(ring.coords)) for ring in part.interiors]
        if holes:
            cv2.fillPoly(image, holes, 0)
    # After the roads' holes, since pavements lie in them.
    for outline in (*city.walkways, *city.crossings):
        cv2.fillPoly(image, [pixels(outline)], 255)
    return image


def encoded_raster(city: CityMap) -> bytes:
    """`map_raster` as a PNG file."""
    mode = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_COMPRESSION, 1]
    return cv2.imencode(".png", map_raster(city), mode)[1].tobytes()
