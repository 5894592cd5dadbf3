"""From the package's messages back to what the drawing functions take.

The messages speak in base_link at their stamp, the drawing in a model frame. The view does not know which
model frame the driver used, and need not: any one fixed to the vehicle gives the same picture, so it is the
virtual one, with axes along the vehicle's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from aln_p3.msg import (
    MapLine,
    PlannedTrajectory,
    PredictedObject,
    PredictedObjects,
    TrajectoryPoint,
    VectorMap,
)

from aln_p3_core.drawing.content import Content, DrawnBox, DrawnLine, DrawnPlan
from aln_p3_core.geometry import (
    FloatArray,
    heading_of,
    invert_transform,
    rotate_vectors,
    transform_points,
    virtual_T_ego_model,
)
from aln_p3_ros.messages.conversions import command_from_message
from aln_p3_ros.messages.markers import LINE_TYPE_NAMES
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.messages.transforms import transform_from_message


def content_from_messages(
    plan: PlannedTrajectory | None = None,
    objects: PredictedObjects | None = None,
    vector_map: VectorMap | None = None,
    *,
    T_ego_model: FloatArray | None = None,
    min_score: float = 0.0,
) -> Content:
    """Drawable content of messages that share one header.

    Args:
        plan, objects, vector_map: any of them may be missing.
        T_ego_model: 4x4 model frame in base_link; the virtual one when None.
        min_score: objects and lines below it are left out.

    Raises:
        ValueError: for a pose or command that is none.
    """
    T_ego_model = virtual_T_ego_model() if T_ego_model is None else T_ego_model
    T_model_ego = invert_transform(T_ego_model)
    return Content(
        boxes=() if objects is None else boxes_from_messages(objects.objects, T_model_ego, min_score=min_score),
        lines=() if vector_map is None else lines_from_messages(vector_map.lines, T_model_ego, min_score=min_score),
        plan=None if plan is None else _plan(plan, T_ego_model),
    )


def boxes_from_messages(
    objects: Iterable[PredictedObject], T_model_ego: FloatArray, *, min_score: float = 0.0, scored: bool = True
) -> tuple[DrawnBox, ...]:
    """Objects as boxes in the model frame.

    Args:
        objects: in the frame that `T_model_ego` starts from.
        T_model_ego: 4x4, that frame to the model frame.
        min_score: objects below it are left out.
        scored: False for ground truth, whose score says nothing.
    """
    boxes = []
    for item in objects:
        if item.score < min_score:
            continue
        T_model_box = T_model_ego @ transform_from_message(item.pose)
        velocity = rotate_vectors(T_model_ego, [item.velocity.x, item.velocity.y, item.velocity.z])
        paths = [_places(path.points) for path in item.paths if path.points]
        # Paths of different lengths cannot be one array; the shortest says how much of each is drawn.
        steps = min((len(path) for path in paths), default=0)
        forecasts = np.stack([transform_points(T_model_ego, path[:steps])[:, :2] for path in paths]) if paths else None
        boxes.append(
            DrawnBox(
                class_name=item.class_name,
                center_model=T_model_box[:3, 3],
                size_lwh=np.array([item.size.x, item.size.y, item.size.z]),
                heading_model=heading_of(T_model_box),
                velocity_model=velocity[:2],
                score=item.score if scored else None,
                forecasts_model=np.zeros((0, 0, 2)) if forecasts is None else forecasts,
                probabilities=np.array([path.probability for path in item.paths if path.points]),
            )
        )
    return tuple(boxes)


def lines_from_messages(
    lines: Iterable[MapLine], T_model_ego: FloatArray, *, min_score: float = 0.0
) -> tuple[DrawnLine, ...]:
    """Map lines in the model frame."""
    return tuple(
        DrawnLine(
            LINE_TYPE_NAMES.get(line.line_type, "unknown"),
            transform_points(T_model_ego, _places(line.points))[:, :2],
            line.score,
        )
        for line in lines
        if line.score >= min_score and line.points
    )


def _plan(plan: PlannedTrajectory, T_ego_model: FloatArray) -> DrawnPlan | None:
    if not plan.points:
        return None
    return DrawnPlan(
        points_model=_path(plan.points, T_ego_model),
        times_s=np.array([to_ns(point.time_from_start) * 1e-9 for point in plan.points]),
        alternatives_model=tuple(_path(other.points, T_ego_model) for other in plan.alternatives if other.points),
        command=command_from_message(plan.command),
        stopped=plan.degraded == PlannedTrajectory.DEGRADED_STOP,
    )


def _path(points: Sequence[TrajectoryPoint], T_ego_model: FloatArray) -> FloatArray:
    """[T, 2] where the model frame's origin goes when base_link goes through the points."""
    poses = np.stack([transform_from_message(point.pose) for point in points])
    return (invert_transform(T_ego_model) @ poses @ T_ego_model)[:, :2, 3]


def _places(points: Iterable[object]) -> FloatArray:
    """[n, 3] of `geometry_msgs/Point`s."""
    return np.array([[point.x, point.y, point.z] for point in points]).reshape(-1, 3)  # type: ignore[attr-defined]
