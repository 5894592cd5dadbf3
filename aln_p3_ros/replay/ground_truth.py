"""Annotated objects and commands of a key frame as ROS messages, for display and evaluation only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aln_p3_core.geometry import FloatArray, invert_transform, make_transform, rotate_vectors, transform_points
from aln_p3_ros.replay import messages
from aln_p3_ros.topics import BASE_FRAME

#: Annotated futures reach this many key frames ahead (3 s in nuScenes).
FUTURE_STEPS = 6


def truth_objects(nusc: Any, sample_token: str, stamp_ns: int, T_global_ego: FloatArray) -> Any:
    """aln_p3/PredictedObjects of the annotations of one key frame, in base_link at `stamp_ns`.

    Boxes keep their full rotation. Categories outside the ten detection classes are left out. Where an object
    is annotated in the following key frames, its true way is its single predicted path.

    Args:
        nusc: the devkit's tables.
        sample_token: of the key frame.
        stamp_ns: of the message; annotations belong to the LiDAR's stamp.
        T_global_ego: 4x4 ego pose at that stamp.
    """
    from nuscenes.eval.detection.utils import category_to_detection_name

    T_ego_global = invert_transform(T_global_ego)
    objects = []
    for index, token in enumerate(nusc.get("sample", sample_token)["anns"]):
        row = nusc.get("sample_annotation", token)
        name = category_to_detection_name(row["category_name"])
        if name is None:
            continue
        T_ego_box = T_ego_global @ make_transform(row["rotation"], row["translation"])
        width, length, height = row["size"]
        velocity = np.nan_to_num(nusc.box_velocity(token))
        objects.append(
            messages.make(
                "aln_p3/PredictedObject",
                class_name=name,
                score=1.0,
                pose=messages.pose(T_ego_box),
                size=messages.vector((length, width, height)),
                velocity=messages.vector(rotate_vectors(T_ego_global, velocity)),
                query_id=index,
                paths=_true_paths(nusc, row, T_ego_global),
            )
        )
    return messages.make(
        "aln_p3/PredictedObjects",
        header=messages.header(stamp_ns, BASE_FRAME),
        plan_id="",
        objects=objects,
    )


def route_command(stamp_ns: int, command: int, provenance: int) -> Any:
    """aln_p3/RouteCommand from the numbers of that message."""
    return messages.make(
        "aln_p3/RouteCommand", header=messages.header(stamp_ns, BASE_FRAME), command=command, provenance=provenance
    )


def _true_paths(nusc: Any, row: dict[str, Any], T_ego_global: FloatArray) -> list[Any]:
    times = [nusc.get("sample", row["sample_token"])["timestamp"]]
    points = []
    for future in _followers(nusc, row):
        times.append(nusc.get("sample", future["sample_token"])["timestamp"])
        points.append(messages.point(transform_points(T_ego_global, future["translation"])))
    if not points:
        return []
    step = messages.duration_message((times[-1] - times[0]) * 1e-6 / len(points))
    return [messages.make("aln_p3/PredictedPath", probability=1.0, time_step=step, points=points)]


def _followers(nusc: Any, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for _ in range(FUTURE_STEPS):
        if not row["next"]:
            return
        row = nusc.get("sample_annotation", row["next"])
        yield row
