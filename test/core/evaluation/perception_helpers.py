"""Truth made by hand, and predictions that are the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aln_p3_core.datasets.map_elements import MapTargets
from aln_p3_core.datasets.targets import Targets
from aln_p3_core.frame import RouteCommand
from aln_p3_core.scene import Agents, MapElements

MODES = 6


def elements(lines: list[tuple[int, float, ArrayLike]]) -> MapElements:
    """Map lines from (class, score, points), all with as many points."""
    points = np.array([np.asarray(p, dtype=np.float32) for _, _, p in lines], dtype=np.float32)
    return MapElements(
        points_model=points if lines else np.zeros((0, 20, 2), dtype=np.float32),
        scores=np.array([score for _, score, _ in lines], dtype=np.float32),
        class_ids=np.array([class_id for class_id, _, _ in lines], dtype=np.int64),
        query_ids=np.arange(len(lines)),
    )


def map_truth(lines: list[tuple[int, ArrayLike]]) -> MapTargets:
    """True lines from (class, points)."""
    points = np.array([np.asarray(p, dtype=np.float64) for _, p in lines])
    return MapTargets(
        points if lines else np.zeros((0, 20, 2)), np.array([class_id for class_id, _ in lines], dtype=np.int64)
    )


def upright(x: float, start: float = 0.0, end: float = 10.0, points: int = 5) -> np.ndarray:
    """[points, 2] a straight line ahead."""
    return np.stack([np.full(points, x), np.linspace(start, end, points)], axis=1)


def objects(rows: list[dict[str, Any]], token: str = "") -> Targets:
    """Targets of one sample from rows of class, center [2], speed [2], known steps and valid."""
    centers = np.array([[*row["center"], 0.0] for row in rows], dtype=np.float64).reshape(-1, 3)
    velocities = np.array([row.get("velocity", (0.0, 0.0)) for row in rows], dtype=np.float64).reshape(-1, 2)
    times = 0.5 * np.arange(1, 7)
    mask = np.array([row.get("known", [True] * 6) for row in rows], dtype=bool).reshape(-1, 6)
    futures = centers[:, None, :2] + velocities[:, None] * times[:, None]
    valid = np.array([row.get("valid", True) for row in rows], dtype=bool)
    count = len(rows)
    return Targets(
        token=token,
        centers_model=centers,
        sizes_lwh=np.tile([4.0, 2.0, 1.5], (count, 1)),
        headings_model=np.full(count, np.pi / 2),
        velocities_model=velocities,
        velocity_valid=np.ones(count, dtype=bool),
        class_ids=np.array([row.get("class", 0) for row in rows], dtype=np.int64),
        num_lidar_points=valid.astype(np.int64),
        num_radar_points=np.zeros(count, dtype=np.int64),
        valid=valid,
        futures_model=np.where(mask[..., None], futures, 0.0),
        future_mask=mask,
        ego_future_model=np.zeros((6, 2)),
        ego_future_mask=np.ones(6, dtype=bool),
        command=RouteCommand(),
        instance_tokens=tuple(map(str, range(count))),
        annotation_tokens=tuple(map(str, range(count))),
    )


def as_agents(targets: Targets, scores: ArrayLike | None = None, *, shift: ArrayLike = (0.0, 0.0)) -> Agents:
    """Every object as a prediction, with its true future in every mode, all of it shifted by metres."""
    count = len(targets)
    move = np.asarray(shift, dtype=np.float64)
    futures = np.repeat(targets.futures_model[:, None] + move, MODES, axis=1)
    return Agents(
        centers_model=(targets.centers_model + np.append(move, 0.0)).astype(np.float32),
        sizes_lwh=targets.sizes_lwh.astype(np.float32),
        headings_model=targets.headings_model.astype(np.float32),
        velocities_model=np.nan_to_num(targets.velocities_model).astype(np.float32),
        scores=np.asarray(np.linspace(0.99, 0.7, count) if scores is None else scores, dtype=np.float32),
        class_ids=targets.class_ids,
        forecasts_model=futures.astype(np.float32),
        forecast_probabilities=np.full((count, MODES), 1 / MODES, dtype=np.float32),
        query_ids=np.arange(count),
    )
