"""What a picture shows, whatever it comes from: a driver's scene, a data set's targets, or messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from aln_p3_core.frame import RouteCommand
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES, Agents, DrivingScene, MapElements

if TYPE_CHECKING:
    from aln_p3_core.datasets.targets import Targets

#: Objects and lines below this score are not drawn.
DEFAULT_MIN_SCORE = 0.3

_NO_PATHS = np.zeros((0, 0, 2))


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBox:
    """One object.

    Attributes:
        class_name: nuScenes detection class.
        center_model: [3] m. size_lwh: [3] m. heading_model: rad. velocity_model: [2] m/s, zeros where unknown.
        score: 0..1, or None for ground truth.
        forecasts_model: [M, T, 2] m, absolute positions; M may be 0. probabilities: [M].
    """

    class_name: str
    center_model: FloatArray
    size_lwh: FloatArray
    heading_model: float
    velocity_model: FloatArray
    score: float | None = None
    forecasts_model: FloatArray = field(default_factory=lambda: _NO_PATHS)
    probabilities: FloatArray = field(default_factory=lambda: np.zeros(0))

    @property
    def best_forecast(self) -> FloatArray | None:
        """[T, 2] most probable future, or None where there is none."""
        return self.forecasts_model[int(self.probabilities.argmax())] if len(self.probabilities) else None


@dataclass(frozen=True, slots=True, eq=False)
class DrawnLine:
    """One map line: points [P, 2] in metres (model frame), score or None for ground truth."""

    class_name: str
    points_model: FloatArray
    score: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPlan:
    """Where the car means to go (or went).

    Attributes:
        points_model: [T, 2] m, without the start. times_s: [T].
        alternatives_model: plans of the other commands, each [T, 2] m.
        command: as asked for, or None for ground truth.
        stopped: a declared stop instead of the network's plan: drawn in red.
    """

    points_model: FloatArray
    times_s: FloatArray
    alternatives_model: tuple[FloatArray, ...] = ()
    command: RouteCommand | None = None
    stopped: bool = False

    @property
    def mean_speed(self) -> float:
        """m/s along the plan."""
        path = np.concatenate([np.zeros((1, 2)), self.points_model])
        return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum() / self.times_s[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """Everything drawn in one style. Positions are in the model frame at the reference stamp."""

    boxes: tuple[DrawnBox, ...] = ()
    lines: tuple[DrawnLine, ...] = ()
    plan: DrawnPlan | None = None

    def __bool__(self) -> bool:
        return bool(self.boxes or self.lines or self.plan is not None)


#: What the drawing functions take.
Drawable: TypeAlias = "DrivingScene | Targets | Content"


def as_content(source: Drawable | None, min_score: float = DEFAULT_MIN_SCORE) -> Content:
    """Content of a scene, of targets, or of nothing; content stays as it is."""
    if source is None:
        return Content()
    if isinstance(source, Content):
        return source
    return content_of_scene(source, min_score) if isinstance(source, DrivingScene) else content_of_targets(source)


def content_of_scene(scene: DrivingScene, min_score: float = DEFAULT_MIN_SCORE) -> Content:
    """What the driver saw, predicted and planned, without what it doubts itself."""
    plan = scene.plan
    chosen = plan.command.command.value
    return Content(
        boxes=boxes_of_agents(scene.agents, min_score),
        lines=lines_of_map(scene.map_elements, min_score),
        plan=DrawnPlan(
            points_model=np.asarray(plan.points_model, dtype=np.float64),
            times_s=plan.times_s,
            alternatives_model=tuple(
                np.asarray(path, dtype=np.float64)
                for index, path in enumerate(plan.trajectories_model)
                if index != chosen and np.isfinite(path).all()
            ),
            command=plan.command,
        ),
    )


def content_of_targets(targets: Targets) -> Content:
    """Ground truth of a data set: boxes with the way they went, map lines, and the way that was driven."""
    boxes = []
    for i, class_id in enumerate(targets.class_ids):
        future = targets.futures_model[i][targets.future_mask[i]]
        boxes.append(
            DrawnBox(
                class_name=AGENT_CLASSES[class_id],
                center_model=targets.centers_model[i],
                size_lwh=targets.sizes_lwh[i],
                heading_model=float(targets.headings_model[i]),
                velocity_model=np.nan_to_num(targets.velocities_model[i]),
                forecasts_model=future[None] if len(future) else _NO_PATHS,
                probabilities=np.ones(1) if len(future) else np.zeros(0),
            )
        )
    elements = targets.map_elements
    lines = (
        ()
        if elements is None
        else tuple(
            DrawnLine(MAP_CLASSES[class_id], points)
            for class_id, points in zip(elements.class_ids, elements.points_model, strict=True)
        )
    )
    recorded = targets.ego_future_mask
    times_s = targets.step_s * np.arange(1, len(recorded) + 1)
    driven = DrawnPlan(targets.ego_future_model[recorded], times_s[recorded]) if recorded.any() else None
    return Content(tuple(boxes), lines, driven)


def boxes_of_agents(agents: Agents, min_score: float = 0.0, *, with_scores: bool = True) -> tuple[DrawnBox, ...]:
    """Agents as boxes; with `with_scores` False as ground truth."""
    return tuple(
        DrawnBox(
            class_name=agents.class_names[int(agents.class_ids[i])],
            center_model=np.asarray(agents.centers_model[i], dtype=np.float64),
            size_lwh=np.asarray(agents.sizes_lwh[i], dtype=np.float64),
            heading_model=float(agents.headings_model[i]),
            velocity_model=np.nan_to_num(np.asarray(agents.velocities_model[i], dtype=np.float64)),
            score=float(agents.scores[i]) if with_scores else None,
            forecasts_model=np.asarray(agents.forecasts_model[i], dtype=np.float64),
            probabilities=np.asarray(agents.forecast_probabilities[i], dtype=np.float64),
        )
        for i in range(len(agents))
        if agents.scores[i] >= min_score
    )


def lines_of_map(elements: MapElements, min_score: float = 0.0, *, with_scores: bool = True) -> tuple[DrawnLine, ...]:
    """Map elements as lines; with `with_scores` False as ground truth."""
    return tuple(
        DrawnLine(
            class_name=elements.class_names[int(elements.class_ids[i])],
            points_model=np.asarray(elements.points_model[i], dtype=np.float64),
            score=float(elements.scores[i]) if with_scores else None,
        )
        for i in range(len(elements))
        if elements.scores[i] >= min_score
    )
