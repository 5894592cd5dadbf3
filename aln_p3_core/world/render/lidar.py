"""A LiDAR sweep synthesised from what the cameras see.

32 rings like those of the car's sensor. Each point is the place that a camera's pixel shows, so it lies on the
rendered surface; for every ring and step of azimuth the nearest one is kept. What no camera sees has no points:
nothing lower than the cameras' pictures reach.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import invert_transform, virtual_T_ego_model
from aln_p3_core.world.render.images import RenderedView
from aln_p3_core.world.state import WorldState

RINGS = 32
#: Elevation of the lowest ring, and from one to the next, degrees.
LOWEST_DEG, RING_DEG = -30.67, 4 / 3
#: Steps of azimuth around the car.
AZIMUTHS = 1080
RANGE_M = 80.0
#: A pixel belongs to a ring when it is within this of the ring's elevation, degrees.
_BAND_DEG = 0.16
#: Pictures larger than this many columns are read at every second, third .. pixel.
_COLUMNS = 400
#: Intensities 0..255: of what stands or lies there; actors send back the more, the lighter they are.
_STILL_INTENSITY, _ACTOR_INTENSITY = 18.0, (12.0, 90.0)


def lidar_sweep(views: Mapping[str, RenderedView], state: WorldState) -> NDArray[np.float32]:
    """Points [n, 5] at the instant of `state`: x, y, z (LIDAR_TOP frame: x right, y forward, m), intensity, ring.

    Points of actors that move are shifted from their camera's exposure to the instant of `state`. Ordered by ring
    (the lowest first), then azimuth.

    Args:
        views: pictures with depth and labels; their actors are in the rows of `state.actors`.
        state: the instant of the sweep.

    Raises:
        DataError: the views have no depth and labels.
    """
    T_lidar_world = invert_transform(state.ego.T_world_ego @ virtual_T_ego_model())
    found = [_candidates(name, view, state, T_lidar_world) for name, view in views.items()]
    if not found:
        return np.zeros((0, 5), np.float32)
    points, ring, label = (np.concatenate(part) for part in zip(*found, strict=True))
    distance = np.linalg.norm(points, axis=1)
    azimuth = np.floor((np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) + 0.5) * AZIMUTHS).astype(np.int64)
    cell = ring * AZIMUTHS + azimuth % AZIMUTHS
    order = np.lexsort((distance, cell))
    first = order[np.flatnonzero(np.diff(cell[order], prepend=-1))]
    intensity = np.full(len(points), _STILL_INTENSITY, np.float32)
    is_actor = label >= 0
    brightness = state.actors.colors.mean(axis=1) / 255.0 if len(state.actors) else np.zeros(1)
    low, span = _ACTOR_INTENSITY
    intensity[is_actor] = low + span * brightness[label[is_actor]]
    return np.column_stack([points[first], intensity[first], ring[first]]).astype(np.float32)


def _candidates(
    name: str, view: RenderedView, state: WorldState, T_lidar_world: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    """Points [n, 3] in the LiDAR's frame of those pixels that lie on a ring, with ring and label."""
    if view.depth is None or view.labels is None:
        raise DataError(f"the view of {name} has no depth and labels: render it with truth=True")
    step = max(1, round(view.calibration.width / _COLUMNS))
    start = step // 2
    depth, labels = view.depth[start::step, start::step], view.labels[start::step, start::step]
    k = view.calibration.intrinsic
    T_lidar_cam = (T_lidar_world @ view.T_world_cam).astype(np.float32)
    right = ((np.arange(start, view.calibration.width, step) + 0.5 - k[0, 2]) / k[0, 0]).astype(np.float32)
    down = ((np.arange(start, view.calibration.height, step) + 0.5 - k[1, 2]) / k[1, 1]).astype(np.float32)
    near = np.where(depth < RANGE_M, depth, np.float32(np.nan))
    x, y, z = (near * (row[0] * right + (row[1] * down + row[2])[:, None]) + row[3] for row in T_lidar_cam[:3])
    elevation = np.degrees(np.arctan(z / np.sqrt(x * x + y * y)))
    position = (elevation - np.float32(LOWEST_DEG)) * np.float32(1 / RING_DEG)
    ring = np.rint(position)
    kept = (np.abs(position - ring) < _BAND_DEG / RING_DEG) & (ring >= 0) & (ring < RINGS)
    points = np.stack([x[kept], y[kept], z[kept]], axis=1)
    label = labels[kept]
    if len(state.actors):
        moved = (state.actors.positions - view.state.actors.positions) @ T_lidar_world[:3, :3].T
        is_actor = label >= 0
        points[is_actor] += moved[label[is_actor]].astype(np.float32)
    return points, ring[kept].astype(np.int64), label
