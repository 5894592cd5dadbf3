"""The one output of the driver: `DrivingScene`.

Positions are metres in the **model frame** (x right, y forward, z up) at the reference stamp; headings
are radians counter-clockwise from the model frame's x axis, so a car that drives straight ahead of us
has heading pi/2. `DrivingScene.T_ego_model` and `T_global_ego` lead out of it (docs/frames.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.frame import RouteCommand
from aln_p3_core.geometry import FloatArray, transform_points, wrap_angle

# Far below that of any car, since a planned path is sampled coarsely.
_MIN_TURNING_RADIUS_M = 1.5

FloatTensor = NDArray[np.float32]
IntTensor = NDArray[np.int64]

#: Object classes in VAD's order.
AGENT_CLASSES = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)

#: Map classes in VAD's order.
MAP_CLASSES = ("divider", "ped_crossing", "boundary")


@dataclass(frozen=True, slots=True, eq=False)
class Agents:
    """Detected agents, best score first. A = number of agents, M = modes, T = future steps.

    Attributes:
        centers_model: [A, 3] centre of gravity of the box, m.
        sizes_lwh: [A, 3] length, width, height, m.
        headings_model: [A] rad.
        velocities_model: [A, 2] m/s.
        scores: [A] in 0..1, class confidence.
        class_ids: [A] index into `class_names`.
        forecasts_model: [A, M, T, 2] absolute future positions, m; step k is (k + 1) * step_s ahead.
        forecast_probabilities: [A, M], sums to one.
        query_ids: [A] index of the decoder query that made the agent (row of `SceneTokens.agents`).
        class_names: names of the classes.
        step_s: seconds between forecast steps.
    """

    centers_model: FloatTensor
    sizes_lwh: FloatTensor
    headings_model: FloatTensor
    velocities_model: FloatTensor
    scores: FloatTensor
    class_ids: IntTensor
    forecasts_model: FloatTensor
    forecast_probabilities: FloatTensor
    query_ids: IntTensor
    class_names: tuple[str, ...] = AGENT_CLASSES
    step_s: float = 0.5

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class MapElements:
    """Detected map lines, best score first. V = lines, P = points a line.

    Attributes:
        points_model: [V, P, 2] m, ordered along the line.
        scores: [V] in 0..1.
        class_ids: [V] index into `class_names`.
        query_ids: [V] index of the map instance query.
        class_names: names of the classes.
    """

    points_model: FloatTensor
    scores: FloatTensor
    class_ids: IntTensor
    query_ids: IntTensor
    class_names: tuple[str, ...] = MAP_CLASSES

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Planned ego trajectories for every command. C = commands (right, left, straight), T = steps.

    Attributes:
        trajectories_model: [C, T, 2] future positions of the **model frame's origin**, m; step k is
            (k + 1) * step_s after the reference stamp.
        command: the command that was asked for, with provenance.
        step_s: seconds between points.
    """

    trajectories_model: FloatTensor
    command: RouteCommand
    step_s: float = 0.5

    @property
    def points_model(self) -> FloatTensor:
        """[T, 2] trajectory of the commanded mode, m."""
        return self.trajectories_model[self.command.command.value]

    @property
    def times_s(self) -> FloatArray:
        """[T] seconds after the reference stamp."""
        return self.step_s * np.arange(1, self.trajectories_model.shape[1] + 1)


@dataclass(frozen=True, slots=True, eq=False)
class SceneTokens:
    """Features that the explainer reads, float16 on the wire. D = embedding width.

    Attributes:
        bev: [rows (y), columns (x), D] BEV map; row 0 is the rearmost.
        agents: [Q, D] last decoder states of all agent queries.
        motion: [Q, M, 2D] motion features of all agent queries, per mode.
        map: [V, D] map tokens (one a line).
        ego: [2D] ego feature of the planner.
    """

    bev: FloatTensor
    agents: FloatTensor
    motion: FloatTensor
    map: FloatTensor
    ego: FloatTensor


@dataclass(frozen=True, slots=True, eq=False)
class DrivingScene:
    """What the driver sees, predicts and plans for one `DrivingFrame`.

    Attributes:
        agents, map_elements, plan: see their classes.
        reference_stamp_ns: the frame's.
        newest_image_stamp_ns: stamp of the newest image used.
        T_global_ego, T_ego_model: the frame's, 4x4.
        tokens: for the explainer, or None when they were not asked for.
        missing_cameras: cameras that were masked in this frame.
        history_age_s: age of the BEV memory used, or None when the driver started afresh.
        memory_reset: why the memory was dropped before this frame, or "" when it was not.
        timings_ms: milliseconds per stage.
        token: the frame's.
        guard: why the plan is slower than the network's own, or "" where it is not (driver/plan_guard.py).
    """

    agents: Agents
    map_elements: MapElements
    plan: Plan
    reference_stamp_ns: int
    newest_image_stamp_ns: int
    T_global_ego: FloatArray
    T_ego_model: FloatArray
    tokens: SceneTokens | None = None
    missing_cameras: tuple[str, ...] = ()
    history_age_s: float | None = None
    memory_reset: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    token: str = ""
    guard: str = ""

    def plan_in_ego(self) -> tuple[FloatArray, FloatArray]:
        """Planned poses of the **ego origin** in the ego frame (x forward, y left).

        The network plans where the model frame's origin goes. Both are fixed to the car, so the ego
        origin follows at a constant offset that turns with the heading.

        Returns:
            Positions [C, T, 2] in metres and headings [C, T] in radians relative to the heading now.
        """
        start_ego = self.T_ego_model[:2, 3]
        models_ego = transform_points(self.T_ego_model, self.plan.trajectories_model)
        paths_ego = np.concatenate([np.broadcast_to(start_ego, (len(models_ego), 1, 2)), models_ego], axis=1)
        headings = path_headings(paths_ego)
        cos, sin = np.cos(headings), np.sin(headings)
        offset_x, offset_y = -start_ego
        x = models_ego[..., 0] + cos * offset_x - sin * offset_y
        y = models_ego[..., 1] + sin * offset_x + cos * offset_y
        return np.stack([x, y], axis=-1), headings


def path_headings(path: FloatArray) -> FloatArray:
    """[..., T] heading at each point but the first of paths [..., T + 1, 2] that start with heading zero (along x).

    Directions come from central differences; below 5 cm they say nothing and the last heading stays. A car
    that backs up keeps its heading, and none turns by more than s / 1.5 m over a length s, so that the
    jitter of a standing car does not spin it.
    """
    last = path.shape[-2] - 1
    steps = np.arange(1, last + 1)
    delta = path[..., np.minimum(steps + 1, last), :] - path[..., steps - 1, :]
    moved = np.hypot(delta[..., 0], delta[..., 1]) >= 0.05
    directions = np.arctan2(delta[..., 1], delta[..., 0])
    limits = np.linalg.norm(np.diff(path, axis=-2), axis=-1) / _MIN_TURNING_RADIUS_M
    headings = np.zeros((*path.shape[:-2], last))
    current = np.zeros(path.shape[:-2])
    for step in range(last):
        backwards = np.cos(directions[..., step] - current) < 0
        turn = wrap_angle(directions[..., step] + np.pi * backwards - current)
        turned = wrap_angle(current + np.clip(turn, -limits[..., step], limits[..., step]))
        current = np.where(moved[..., step], turned, current)
        headings[..., step] = current
    return headings
