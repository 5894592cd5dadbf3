"""Sets up a recorded log as a stage: its roads, its agents, and the way of its human driver."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from aln_p3_core.errors import DataError
from aln_p3_core.world.city.log_city import log_city
from aln_p3_core.world.city.log_route import log_route
from aln_p3_core.world.city.scenery_plan import make_scenery, without
from aln_p3_core.world.episode import Stage
from aln_p3_core.world.traffic.log import LogTraffic
from aln_p3_core.world.traffic.recorded_log import RecordedLog

#: Scenery keeps so far away from where anybody was recorded, m, and from the human's own path.
_CLEAR_M = 1.5
_CLEAR_EGO_M = 4.0


def open_log_stage(path: Path, mode: str = "replay") -> Stage:
    """A recorded log as a stage.

    Its scenery is made up: the recording holds no buildings. Nothing is built where anybody was recorded.

    Args:
        path: the log's .npz file.
        mode: of `LogTraffic`: "replay", or "react" once the ego departs from the recording.

    Raises:
        DataError: when the file is no recorded log, or its map has no lanes or no drivable area.
        ConfigError: when there is no such mode.
    """
    log = RecordedLog.load(path)
    city = log_city(log)
    traffic = LogTraffic(log, city, mode)
    if city.drivable.is_empty:
        raise DataError(
            f"the map of the log {log.name} has no drivable area: store the outlines of its lanes (polygon)"
        )
    scenery = make_scenery(city, zlib.crc32(log.name.encode()) % 100_000)
    return Stage(
        city=city,
        scenery=without(scenery, _taken(log)),
        traffic=traffic,
        route=log_route(log, city),
        start=log.ego_at(0.0),
        recorded_ego=log.ego_at,
        duration_s=log.duration_s,
    )


def _taken(log: RecordedLog) -> BaseGeometry:
    """Where anybody was at any time."""
    areas = [_swept(log.ego_path, _CLEAR_EGO_M)]
    for row in range(1, len(log.ids)):
        seen = log.valid[row]
        if seen.any():
            reach = 0.5 * float(np.hypot(*log.sizes[row, :2]))
            areas.append(_swept(log.positions[row, seen, :2], reach + _CLEAR_M))
    return shapely.union_all(areas)


def _swept(points: np.ndarray, radius: float) -> BaseGeometry:
    moved = np.ptp(points, axis=0).max() > 0.05
    return (LineString(points[::3]) if moved and len(points) > 3 else Point(points[0])).buffer(radius, quad_segs=3)
