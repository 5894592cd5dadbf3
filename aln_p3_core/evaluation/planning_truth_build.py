"""Builds `PlanningTruth` from a data set and keeps it on disk: some 15 ms a sample the first time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.datasets.future import FutureStep, future_steps
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.planning_truth import BoolArray, IntArray, PlanningTruth
from aln_p3_core.evaluation.protocol import AGENT_KINDS
from aln_p3_core.geometry import (
    FloatArray,
    interpolate_transform,
    invert_transform,
    quaternion_to_matrix,
    rotate_vectors,
    transform_points,
    wrap_angle,
)
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets

#: Raised when what is stored changes: older files are built anew.
TRUTH_VERSION = 1
_BOUNDARY = MAP_CLASSES.index("boundary")
_ROAD_USERS = ("human.", "vehicle.", "animal")
_NOT_IN_TRAFFIC = frozenset({"barrier", "traffic_cone"})


def planning_truth(
    dataset: NuScenesDataset,
    tokens: Sequence[str],
    *,
    targets: Mapping[str, Targets] | None = None,
    cache: Path | None = None,
    progress: bool = False,
) -> PlanningTruth:
    """Truth of samples, in their order; at least one.

    Args:
        dataset: in nuScenes schema.
        tokens: of the samples; best whole scenes.
        targets: of the samples by token, where they are built already.
        cache: folder that the result is kept in, under a key of the root's tables, the data set's choices and the
            tokens; None keeps nothing. A damaged file is built anew.
        progress: show a progress bar.

    Raises:
        DataError: naming a missing or broken file of the data set.
    """
    path = cache / f"planning_truth_{truth_key(dataset, tokens)}.npz" if cache is not None else None
    if path is not None and path.is_file():
        try:
            return PlanningTruth.load(path)
        except DataError:
            path.unlink()
    if not tokens:
        raise DataError("no sample to build the truth of; name at least one")
    truth = _build(dataset, tokens, targets or {}, progress)
    if path is not None:
        truth.save(path)
    return truth


def truth_key(dataset: NuScenesDataset, tokens: Sequence[str]) -> str:
    """16 hex digits that change with the tables, the stored plans, the maps, the choices and the tokens."""
    folders = (dataset.root / dataset.version, dataset.root, dataset.root / "maps" / "expansion")
    files = sorted(path for folder in folders if folder.is_dir() for path in folder.glob("*.json"))
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    told = [TRUTH_VERSION, str(dataset.root.resolve()), dataset.version, dataset.choices, stamps, list(tokens)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class _Annotations:
    """Road users of one key frame: instances [A], places and sizes [A, 6], forward vectors [A, 3], kinds, seen [A]."""

    instances: tuple[str, ...]
    boxes_global: FloatArray
    forward_global: FloatArray
    kinds: IntArray
    seen: BoolArray


def _build(
    dataset: NuScenesDataset, tokens: Sequence[str], targets: Mapping[str, Targets], progress: bool
) -> PlanningTruth:
    from tqdm import tqdm

    from aln_p3_core.datasets.targets import ego_future_model

    rows: list[dict[str, Any]] = []
    scene = ""
    frames: tuple[str, ...] = ()
    annotations: dict[int, _Annotations] = {}
    for token in tqdm(tokens, desc="truth for planning", unit="frame", disable=not progress):
        name = dataset.scene_of(token)
        if name != scene:
            scene, frames, annotations = name, dataset.scene_tokens(name), {}
            stamps = [dataset.nusc.get("sample", t)["timestamp"] * 1000 for t in frames]
        index = frames.index(token)
        steps = [FutureStep(index, index, 0.0), *future_steps(stamps, index)]
        for i in {i for step in steps if step is not None for i in (step.before, step.after)} - set(annotations):
            annotations[i] = _annotations(dataset, frames[i])
        target = targets.get(token) or dataset.targets(token)
        recorded, recorded_mask = ego_future_model(dataset, token)
        lines = target.map_elements
        poses = _poses(dataset, frames, steps)
        rows.append(
            {
                "tokens": token,
                "scenes": scene,
                "ego_future_model": target.ego_future_model,
                "ego_future_mask": target.ego_future_mask,
                "recorded_future_model": recorded,
                "recorded_mask": recorded_mask,
                "plan_stored": dataset.stored_plan(token) is not None and dataset.choices["ego_future"] == "auto",
                "frame_known": np.array([step is not None for step in steps[1:]]),
                "commands": target.command.command.value,
                "T_ego_model": dataset.T_ego_model(token),
                "T_global_ego": poses,
                "boundaries_model": _NO_LINES if lines is None else lines.points_model[lines.class_ids == _BOUNDARY],
                "map_known": lines is not None,
                **_boxes(steps, annotations, poses @ dataset.T_ego_model(token)),
            }
        )
    return _stacked(rows)


_NO_LINES = np.zeros((0, 20, 2))


def _annotations(dataset: NuScenesDataset, token: str) -> _Annotations:
    from nuscenes.eval.detection.utils import category_to_detection_name

    found = []
    for annotation in dataset.nusc.get("sample", token)["anns"]:
        row = dataset.nusc.get("sample_annotation", annotation)
        kind = _kind(row["category_name"], category_to_detection_name(row["category_name"]))
        if kind >= 0:
            found.append((row, kind))
    boxes = [[*row["translation"], row["size"][1], row["size"][0], row["size"][2]] for row, _ in found]
    return _Annotations(
        instances=tuple(row["instance_token"] for row, _ in found),
        boxes_global=np.array(boxes, dtype=np.float64).reshape(-1, 6),
        forward_global=np.array([quaternion_to_matrix(row["rotation"])[:, 0] for row, _ in found]).reshape(-1, 3),
        kinds=np.array([kind for _, kind in found], dtype=np.int64),
        seen=np.array([row["num_lidar_pts"] + row["num_radar_pts"] > 0 for row, _ in found], dtype=bool),
    )


def _kind(category: str, detection_class: str | None) -> int:
    """Index into AGENT_KINDS; -1 for what takes no part in traffic, such as cones and barriers."""
    if detection_class in _NOT_IN_TRAFFIC:
        return -1
    if detection_class in AGENT_CLASSES:
        return AGENT_KINDS.index("pedestrian" if detection_class == "pedestrian" else "vehicle")
    return AGENT_KINDS.index("other") if category.startswith(_ROAD_USERS) else -1


def _poses(dataset: NuScenesDataset, frames: Sequence[str], steps: Sequence[FutureStep | None]) -> FloatArray:
    """[1 + T, 4, 4] ego poses at the steps; where there is none, the pose now."""
    poses: list[FloatArray] = []
    for step in steps:
        if step is None:
            poses.append(poses[0])
            continue
        before, after = (dataset.reference_of(frames[i])[1] for i in (step.before, step.after))
        poses.append(before if step.before == step.after else interpolate_transform(before, after, step.fraction))
    return np.stack(poses)


def _boxes(
    steps: Sequence[FutureStep | None], annotations: Mapping[int, _Annotations], T_global_model: FloatArray
) -> dict[str, Any]:
    """The fields on objects of one sample, an index for each instance that is there at any step."""
    present = [i for step in steps if step is not None for i in (step.before, step.after)]
    order: dict[str, int] = {}
    for i in present:
        for instance in annotations[i].instances:
            order.setdefault(instance, len(order))
    boxes, mask = np.zeros((len(steps), len(order), 7)), np.zeros((len(steps), len(order)), dtype=bool)
    kinds, seen = np.full(len(order), -1), np.zeros(len(order), dtype=bool)
    for k, step in enumerate(steps):
        if step is None:
            continue
        first, second, rows, others = _matched(annotations[step.before], annotations[step.after])
        place = [order[first.instances[r]] for r in rows]
        mixed = (1 - step.fraction) * first.boxes_global[rows] + step.fraction * second.boxes_global[others]
        forward = _mixed_forward(first.forward_global[rows], second.forward_global[others], step.fraction)
        T_model_global = invert_transform(T_global_model[k])
        own_forward = rotate_vectors(T_model_global, forward)
        boxes[k, place, :3] = transform_points(T_model_global, mixed[:, :3])
        boxes[k, place, 3:6] = mixed[:, 3:]
        boxes[k, place, 6] = np.arctan2(own_forward[:, 1], own_forward[:, 0])
        mask[k, place] = True
        kinds[place] = first.kinds[rows]
        if k == 0:
            seen[place] = first.seen[rows]
    return {"boxes_own": boxes, "box_mask": mask, "kinds": kinds, "seen": seen}


def _matched(first: _Annotations, second: _Annotations) -> tuple[_Annotations, _Annotations, list[int], list[int]]:
    """Rows of both frames that are the same object."""
    if first is second:
        rows = list(range(len(first.instances)))
        return first, second, rows, rows
    places = {instance: i for i, instance in enumerate(second.instances)}
    rows = [i for i, instance in enumerate(first.instances) if instance in places]
    return first, second, rows, [places[first.instances[i]] for i in rows]


def _mixed_forward(first: FloatArray, second: FloatArray, fraction: float) -> FloatArray:
    if fraction == 0.0:
        return first
    start = np.arctan2(first[:, 1], first[:, 0])
    angle = start + fraction * wrap_angle(np.arctan2(second[:, 1], second[:, 0]) - start)
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(len(angle))], axis=-1)


def _stacked(rows: Sequence[Mapping[str, Any]]) -> PlanningTruth:
    objects = max(len(row["kinds"]) for row in rows)
    lines = max(len(row["boundaries_model"]) for row in rows)
    padded: dict[str, tuple[int, int, Any]] = {  # field: axis, length, filling
        "boxes_own": (1, objects, 0.0),
        "box_mask": (1, objects, False),
        "kinds": (0, objects, -1),
        "seen": (0, objects, False),
        "boundaries_model": (0, lines, np.nan),
    }
    values: dict[str, Any] = {name: tuple(row[name] for row in rows) for name in ("tokens", "scenes")}
    for name in rows[0]:
        if name in values:
            continue
        arrays = [np.asarray(row[name]) for row in rows]
        if name in padded:
            axis, length, filling = padded[name]
            arrays = [_padded(array, axis, length, filling) for array in arrays]
        values[name] = np.stack(arrays)
    return PlanningTruth(**values)


def _padded(array: Any, axis: int, length: int, filling: Any) -> Any:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return np.pad(array, widths, constant_values=filling)
