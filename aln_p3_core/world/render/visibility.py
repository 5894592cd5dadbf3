"""How much of each actor the cameras see, from labels and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, invert_transform
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.assets.library import load_mesh
from aln_p3_core.world.render.images import RenderedView
from aln_p3_core.world.state import WorldState

#: Places on each model's surface that are looked for in the pictures.
_SAMPLES = 96
#: Something hides a place when it is nearer to the camera by more than this, m and share of the depth.
_SLACK_M, _SLACK = 0.08, 0.003
#: What lies lower than this is the ground, which hides nobody (a pixel far away covers metres of it), m.
_GROUND_M = 0.12


@dataclass(frozen=True, eq=False)
class Visibility:
    """What the cameras see of N actors.

    Attributes:
        fractions: [N] share 0..1: of what would be in the pictures if nothing hid it. 0 where no pixel shows it.
        pixels: [N] number of pixels by camera.
    """

    fractions: FloatArray
    pixels: Mapping[str, NDArray[np.int64]]


def actor_visibility(views: Mapping[str, RenderedView], state: WorldState) -> Visibility:
    """Counts the pixels of every actor and estimates the share of it that is hidden.

    The share is that of places spread over the actor's surface before which the depth buffer has nothing: of those
    within any picture, those that at least one camera sees.

    Args:
        views: pictures with depth and labels; their actors are in the rows of `state.actors`.
        state: whose actors are asked for.

    Raises:
        DataError: the views have no depth and labels.
    """
    count = len(state.actors)
    pixels = {}
    for name, view in views.items():
        if view.labels is None or view.depth is None:
            raise DataError(f"the view of {name} has no depth and labels: render it with truth=True")
        pixels[name] = np.bincount(view.labels[view.labels >= 0], minlength=count)[:count]
    fractions = np.zeros(count)
    rows = np.flatnonzero(sum(pixels.values(), np.zeros(count, np.int64)))
    if not len(rows):
        return Visibility(fractions, pixels)
    samples = _samples()[state.actors.models[rows]]
    inside = np.zeros(samples.shape[:2], dtype=bool)
    seen = np.zeros_like(inside)
    for view in views.values():
        _look(view, rows, samples, inside, seen)
    fractions[rows] = seen.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return Visibility(fractions, pixels)


def _look(
    view: RenderedView, rows: NDArray[np.int64], samples: FloatArray, inside: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> None:
    """Marks the places [R, K] of the actors `rows` that one picture covers, and those that it shows."""
    assert view.depth is not None and view.labels is not None
    actors = view.state.actors
    cos, sin = np.cos(actors.headings[rows])[:, None], np.sin(actors.headings[rows])[:, None]
    place = actors.positions[rows]
    world = np.stack(
        [
            place[:, :1] + cos * samples[..., 0] - sin * samples[..., 1],
            place[:, 1:2] + sin * samples[..., 0] + cos * samples[..., 1],
            place[:, 2:] + samples[..., 2],
        ],
        axis=-1,
    )
    T_world_cam = view.T_world_cam
    T_cam_world = invert_transform(T_world_cam)
    points = world @ T_cam_world[:3, :3].T + T_cam_world[:3, 3]
    depth = points[..., 2]
    ahead = depth > 0.1
    k = view.calibration.intrinsic
    safe = np.where(ahead, depth, 1.0)
    u = k[0, 0] * points[..., 0] / safe + k[0, 2]
    v = k[1, 1] * points[..., 1] / safe + k[1, 2]
    height, width = view.labels.shape
    here = ahead & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    actor, sample = np.nonzero(here)
    column, row = u[here].astype(np.int64), v[here].astype(np.int64)
    found = view.depth[row, column].astype(np.float64)
    # Height above the ground of what the pixel shows.
    ray = np.stack([(column + 0.5 - k[0, 2]) / k[0, 0], (row + 0.5 - k[1, 2]) / k[1, 1], np.ones(len(row))], axis=1)
    with np.errstate(invalid="ignore"):
        level = T_world_cam[2, 3] + found * (ray @ T_world_cam[2, :3])
    shown = view.labels[row, column] == rows[actor]
    shown |= found > depth[here] * (1 - _SLACK) - _SLACK_M
    shown |= level < _GROUND_M
    inside[actor, sample] = True
    seen[actor, sample] |= shown


@cache
def _samples() -> FloatArray:
    """[models, K, 3] places spread over each model's surface by area, in the actor's frame."""
    return np.stack([_spread(row) for row in range(len(MODELS))])


def _spread(model: int) -> FloatArray:
    mesh = load_mesh(MODELS[model].name, MODELS[model].size_lwh)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    rng = np.random.default_rng([7, model])
    # Evenly along the faces' areas, then anywhere within the face.
    at = (np.arange(_SAMPLES) + rng.uniform(size=_SAMPLES)) / _SAMPLES * area.sum()
    face = np.minimum(np.searchsorted(np.cumsum(area), at), len(area) - 1)
    a, b = np.sqrt(rng.uniform(size=_SAMPLES)), rng.uniform(size=_SAMPLES)
    weights = np.stack([1 - a, a * (1 - b), a * b], axis=1)
    return np.einsum("kc,kcx->kx", weights, corners[face])
