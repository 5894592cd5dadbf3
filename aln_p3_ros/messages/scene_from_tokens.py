"""From `SceneTokens`, `PredictedObjects` and `VectorMap` back to a `DrivingScene`: the explainer reads the same on the
road as beside the driver (a test compares both).

What the messages leave out stays out: objects and lines below the driver's thresholds, and the pose in the world.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from aln_p3.msg import MapLine, PredictedObject, PredictedObjects, SceneTokens, VectorMap

from aln_p3_core.geometry import FloatArray, heading_of, invert_transform, rotate_vectors, transform_points
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES, Agents, DrivingScene, FloatTensor, MapElements, Plan
from aln_p3_core.scene import SceneTokens as Tokens
from aln_p3_ros.messages.conversions import command_from_message, float16_array
from aln_p3_ros.messages.markers import LINE_TYPE_NAMES
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.messages.transforms import transform_from_message


def scene_from_messages(
    tokens: SceneTokens, objects: PredictedObjects, vector_map: VectorMap | None = None
) -> DrivingScene:
    """The scene of one plan, as far as it was published.

    Agents keep their query ids and their order (best score first); `tokens.agents` and `tokens.motion` are filled in
    the rows of these ids and zero elsewhere. Numbers of tensors have half precision. Forecasts are in the order of
    their probability. `T_global_ego` is the identity: nobody has told it.

    Args:
        tokens, objects, vector_map: of the same plan.

    Raises:
        ValueError: when the messages belong to different plans, or tensors and poses are none.
    """
    for other in (objects, vector_map):
        if other is not None and other.plan_id != tokens.plan_id:
            raise ValueError(f"tokens of the plan {tokens.plan_id!r} with objects or lines of {other.plan_id!r}")
    T_ego_model = transform_from_message(tokens.model_pose)
    T_model_ego = invert_transform(T_ego_model)
    stamp_ns = to_ns(tokens.header.stamp)
    query_ids = [int(number) for number in tokens.agent_query_ids]
    known = set(query_ids)
    shown = [item for item in objects.objects if item.query_id in known]
    trajectories = float16_array(tokens.plan)
    if trajectories.ndim != 3 or trajectories.shape[0] <= tokens.command.command:
        raise ValueError(f"a plan of shape {trajectories.shape} for the command {tokens.command.command}")
    return DrivingScene(
        agents=_agents(shown, T_model_ego),
        map_elements=_map_elements(vector_map, tokens, T_model_ego),
        plan=Plan(trajectories, command_from_message(tokens.command), to_ns(tokens.plan_time_step) * 1e-9),
        reference_stamp_ns=stamp_ns,
        newest_image_stamp_ns=stamp_ns,
        T_global_ego=np.eye(4),
        T_ego_model=T_ego_model,
        tokens=Tokens(
            bev=float16_array(tokens.bev),
            agents=_scattered(float16_array(tokens.agents), query_ids),
            motion=_scattered(float16_array(tokens.motion), query_ids),
            map=float16_array(tokens.map),
            ego=float16_array(tokens.ego),
        ),
        token=tokens.plan_id,
    )


def _scattered(rows: FloatTensor, query_ids: Sequence[int]) -> FloatTensor:
    """[Q, ...] with the given rows at their query ids, zero elsewhere."""
    if len(rows) != len(query_ids):
        raise ValueError(f"{len(rows)} rows of tokens for {len(query_ids)} objects")
    full = np.zeros((max(query_ids, default=-1) + 1, *rows.shape[1:]), np.float32)
    full[query_ids] = rows
    return full


def _agents(objects: Sequence[PredictedObject], T_model_ego: FloatArray) -> Agents:
    count = len(objects)
    class_names = tuple(dict.fromkeys((*AGENT_CLASSES, *(item.class_name for item in objects))))
    poses = [T_model_ego @ transform_from_message(item.pose) for item in objects]
    velocities = np.array([[item.velocity.x, item.velocity.y, item.velocity.z] for item in objects]).reshape(-1, 3)
    modes = min((len(item.paths) for item in objects), default=0)
    steps = min((len(path.points) for item in objects for path in item.paths), default=0)
    forecasts = np.zeros((count, modes, steps, 2))
    for row, item in enumerate(objects):
        for mode, path in enumerate(item.paths[:modes]):
            points = np.array([[point.x, point.y, point.z] for point in path.points[:steps]]).reshape(-1, 3)
            forecasts[row, mode] = transform_points(T_model_ego, points)[:, :2]
    times = [to_ns(path.time_step) * 1e-9 for item in objects for path in item.paths]
    return Agents(
        centers_model=_float32([pose[:3, 3] for pose in poses], (count, 3)),
        sizes_lwh=_float32([[item.size.x, item.size.y, item.size.z] for item in objects], (count, 3)),
        headings_model=_float32([heading_of(pose) for pose in poses], (count,)),
        velocities_model=_float32(rotate_vectors(T_model_ego, velocities)[:, :2], (count, 2)),
        scores=_float32([item.score for item in objects], (count,)),
        class_ids=np.array([class_names.index(item.class_name) for item in objects], np.int64),
        forecasts_model=forecasts.astype(np.float32),
        forecast_probabilities=_float32(
            [[path.probability for path in item.paths[:modes]] for item in objects], (count, modes)
        ),
        query_ids=np.array([item.query_id for item in objects], np.int64),
        class_names=class_names,
        step_s=times[0] if times else 0.5,
    )


def _map_elements(vector_map: VectorMap | None, tokens: SceneTokens, T_model_ego: FloatArray) -> MapElements:
    # Lines carry no query id of their own; both messages list the same lines in the same order.
    lines: list[MapLine] = [] if vector_map is None else list(vector_map.lines)
    ids = list(tokens.map_query_ids)
    points = min((len(line.points) for line in lines), default=0)
    places = [
        transform_points(T_model_ego, np.array([[p.x, p.y, p.z] for p in line.points[:points]]).reshape(-1, 3))[:, :2]
        for line in lines
    ]
    names = [LINE_TYPE_NAMES.get(line.line_type, MAP_CLASSES[0]) for line in lines]
    return MapElements(
        points_model=_float32(places, (len(lines), points, 2)),
        scores=_float32([line.score for line in lines], (len(lines),)),
        class_ids=np.array([MAP_CLASSES.index(name) for name in names], np.int64),
        query_ids=np.array(ids if len(ids) == len(lines) else range(len(lines)), np.int64),
    )


def _float32(values: object, shape: tuple[int, ...]) -> FloatTensor:
    return np.asarray(values, dtype=np.float32).reshape(shape)
