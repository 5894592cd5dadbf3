"""`Targets`: what the driver should see, predict and plan for one frame.

Everything is in the frame's **model frame** (x right, y forward, z up) at its reference stamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aln_p3_core.datasets.future import FUTURE_STEPS, STEP_S, FutureStep, future_steps
from aln_p3_core.datasets.map_elements import MapReader, MapTargets
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import (
    FloatArray,
    box_corners,
    interpolate_transform,
    invert_transform,
    quaternion_to_matrix,
    rotate_vectors,
    transform_points,
)
from aln_p3_core.scene import AGENT_CLASSES

#: A recorded path that ends this far to a side, in metres, counts as a turn (VAD).
TURN_THRESHOLD_M = 2.0


class RecordedDrives(Protocol):
    """What targets are built from: `NuScenesDataset` is one."""

    nusc: Any

    def scene_of(self, token: str) -> str: ...

    def location_of(self, scene_name: str) -> str: ...

    def scene_tokens(self, scene_name: str) -> tuple[str, ...]: ...

    def reference_of(self, token: str) -> tuple[int, FloatArray]: ...

    def T_ego_model(self, token: str) -> FloatArray: ...


BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Ground truth of one frame. A = annotated objects of the ten detection classes, T = 6 future steps.

    Boxes are those of the key frame's annotation, at the key frame's own stamp (LIDAR_TOP's); they are not
    moved to another reference stamp.

    Attributes:
        token: of the sample.
        centers_model: [A, 3] centre of gravity, m.
        sizes_lwh: [A, 3] length, width, height, m.
        headings_model: [A] rad, counter-clockwise from the model frame's x axis. The boxes are taken as upright
            in the model frame; the car's own roll and pitch are not in them (docs/frames.md gives the error).
        velocities_model: [A, 2] m/s; NaN where `velocity_valid` is False (an object annotated once).
        velocity_valid: [A].
        class_ids: [A] index into `scene.AGENT_CLASSES`.
        num_lidar_points, num_radar_points: [A] inside the box.
        valid: [A] at least one LiDAR or radar point: the benchmark trains on these only.
        futures_model: [A, T, 2] absolute future centres, m; zero where the mask is False.
        future_mask: [A, T] True up to the first key frame without an annotation of the object.
        ego_future_model: [T, 2] future places of the **model frame's origin**, m; zero where masked. What the ego
            did, or the plan that the data set stores for the frame (datasets/stored_plans.py).
        ego_future_mask: [T].
        command: from the recorded future, with provenance `GROUND_TRUTH` (`DEFAULT` where there is no future); the
            route's, with provenance `GIVEN`, where the data set tells it.
        instance_tokens, annotation_tokens: [A] names in the data set.
        map_elements: vector map around the car, or None without the map expansion.
        step_s: seconds between future steps.
    """

    token: str
    centers_model: FloatArray
    sizes_lwh: FloatArray
    headings_model: FloatArray
    velocities_model: FloatArray
    velocity_valid: BoolArray
    class_ids: IntArray
    num_lidar_points: IntArray
    num_radar_points: IntArray
    valid: BoolArray
    futures_model: FloatArray
    future_mask: BoolArray
    ego_future_model: FloatArray
    ego_future_mask: BoolArray
    command: RouteCommand
    instance_tokens: tuple[str, ...]
    annotation_tokens: tuple[str, ...]
    map_elements: MapTargets | None = None
    step_s: float = STEP_S

    def __len__(self) -> int:
        return len(self.class_ids)

    @property
    def future_offsets(self) -> FloatArray:
        """[A, T, 2] per-step offsets of `futures_model`, m; zero where masked."""
        return _offsets(self.futures_model, self.centers_model[:, None, :2], self.future_mask)

    @property
    def ego_future_offsets(self) -> FloatArray:
        """[T, 2] per-step offsets of `ego_future_model`, m; zero where masked."""
        return _offsets(self.ego_future_model, np.zeros((1, 2)), self.ego_future_mask)

    @property
    def future_valid(self) -> bool:
        """Whether the whole ego future was recorded: planning metrics use such frames only."""
        return bool(self.ego_future_mask.all())

    def in_range(self, point_cloud_range: ArrayLike) -> BoolArray:
        """[A] whose centre lies inside in x and y; the range is x, y, z minimum, then maximum, in metres."""
        limits = np.asarray(point_cloud_range, dtype=np.float64)
        center = self.centers_model[:, :2]
        return np.all((center > limits[:2]) & (center < limits[3:5]), axis=1)

    def select(self, mask: ArrayLike) -> Targets:
        """The same targets with only the objects that `mask` [A] keeps."""
        keep = np.flatnonzero(np.asarray(mask))
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("instance_tokens", "annotation_tokens"):
                changed[field.name] = tuple(value[i] for i in keep)
            elif isinstance(value, np.ndarray) and not field.name.startswith("ego_"):
                changed[field.name] = value[keep]
        return replace(self, **changed)

    def corners_model(self) -> FloatArray:
        """[A, 8, 3] corners of the upright boxes, in nuScenes' corner order."""
        return box_corners(self.centers_model, self.sizes_lwh, self.headings_model)


def build_targets(dataset: RecordedDrives, token: str, maps: MapReader) -> Targets:
    """Targets of a sample of `dataset`."""
    from nuscenes.eval.detection.utils import category_to_detection_name

    nusc = dataset.nusc
    T_model_global = invert_transform(dataset.reference_of(token)[1] @ dataset.T_ego_model(token))
    rows = []
    class_ids = []
    for annotation_token in nusc.get("sample", token)["anns"]:
        row = nusc.get("sample_annotation", annotation_token)
        name = category_to_detection_name(row["category_name"])
        if name is not None:
            rows.append(row)
            class_ids.append(AGENT_CLASSES.index(name))
    boxes = np.array([[*row["translation"], *row["size"]] for row in rows], dtype=np.float64).reshape(-1, 6)
    forward = [rotate_vectors(T_model_global, quaternion_to_matrix(row["rotation"])[:, 0]) for row in rows]
    velocities = np.array([nusc.box_velocity(row["token"]) for row in rows], dtype=np.float64).reshape(-1, 3)
    # As in the benchmark's own preparation: level velocities, since the annotated heights jitter.
    velocities[:, 2] = 0.0
    known = np.isfinite(velocities).all(axis=1)
    lidar = np.array([row["num_lidar_pts"] for row in rows], dtype=np.int64)
    radar = np.array([row["num_radar_pts"] for row in rows], dtype=np.int64)
    futures, future_mask = _agent_futures(dataset, token, rows, T_model_global)
    ego_future, ego_mask = ego_future_model(dataset, token)
    scene_name = dataset.scene_of(token)
    return Targets(
        token=token,
        centers_model=transform_points(T_model_global, boxes[:, :3]),
        sizes_lwh=boxes[:, [4, 3, 5]],
        headings_model=np.array([np.arctan2(axis[1], axis[0]) for axis in forward], dtype=np.float64),
        velocities_model=rotate_vectors(T_model_global, velocities)[:, :2],
        velocity_valid=known,
        class_ids=np.array(class_ids, dtype=np.int64),
        num_lidar_points=lidar,
        num_radar_points=radar,
        valid=lidar + radar > 0,
        futures_model=futures,
        future_mask=future_mask,
        ego_future_model=ego_future,
        ego_future_mask=ego_mask,
        command=_command(ego_future, ego_mask),
        instance_tokens=tuple(row["instance_token"] for row in rows),
        annotation_tokens=tuple(row["token"] for row in rows),
        map_elements=maps.elements(dataset.location_of(scene_name), invert_transform(T_model_global)),
    )


def ego_future_model(dataset: RecordedDrives, token: str) -> tuple[FloatArray, BoolArray]:
    """Recorded future of the model frame's origin, [6, 2] m in the present model frame, and its mask [6]."""
    tokens, steps = _steps(dataset, token)
    T_ego_model = dataset.T_ego_model(token)
    T_model_global = invert_transform(dataset.reference_of(token)[1] @ T_ego_model)
    places = np.zeros((FUTURE_STEPS, 2))
    for k, step in enumerate(steps):
        if step is not None:
            before, after = (dataset.reference_of(tokens[i])[1] for i in (step.before, step.after))
            T_global_ego = interpolate_transform(before, after, step.fraction)
            places[k] = (T_model_global @ T_global_ego @ T_ego_model)[:2, 3]
    return places, np.array([step is not None for step in steps])


def ground_truth_command(dataset: RecordedDrives, token: str) -> RouteCommand:
    """Command that the recorded future fulfils; see `Targets.command`."""
    return _command(*ego_future_model(dataset, token))


def _command(ego_future: FloatArray, mask: BoolArray) -> RouteCommand:
    """VAD's rule: the last recorded future point lies 2 m or more to the right or left, else straight."""
    if not mask.any():
        return RouteCommand()
    side = ego_future[mask][-1, 0]
    if side >= TURN_THRESHOLD_M:
        command = Command.RIGHT
    elif side <= -TURN_THRESHOLD_M:
        command = Command.LEFT
    else:
        command = Command.STRAIGHT
    return RouteCommand(command, CommandProvenance.GROUND_TRUTH)


def _steps(dataset: RecordedDrives, token: str) -> tuple[tuple[str, ...], list[FutureStep | None]]:
    tokens = dataset.scene_tokens(dataset.scene_of(token))
    stamps = [dataset.nusc.get("sample", t)["timestamp"] * 1000 for t in tokens]
    return tokens, future_steps(stamps, tokens.index(token))


def _agent_futures(
    dataset: RecordedDrives, token: str, rows: list[Mapping[str, Any]], T_model_global: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Future centres [A, T, 2] in the present model frame, and their mask [A, T]."""
    tokens, steps = _steps(dataset, token)
    places: dict[int, dict[str, list[float]]] = {}
    for index in {i for step in steps if step is not None for i in (step.before, step.after)}:
        annotations = [
            dataset.nusc.get("sample_annotation", a) for a in dataset.nusc.get("sample", tokens[index])["anns"]
        ]
        places[index] = {a["instance_token"]: a["translation"] for a in annotations}
    futures = np.zeros((len(rows), FUTURE_STEPS, 2))
    mask = np.zeros((len(rows), FUTURE_STEPS), dtype=bool)
    for a, row in enumerate(rows):
        for k, step in enumerate(steps):
            before = after = None
            if step is not None:
                before = places[step.before].get(row["instance_token"])
                after = places[step.after].get(row["instance_token"])
            if step is None or before is None or after is None:
                break  # per-step offsets cannot skip a step
            center = (1 - step.fraction) * np.asarray(before) + step.fraction * np.asarray(after)
            futures[a, k] = transform_points(T_model_global, center)[:2]
            mask[a, k] = True
    return futures, mask


def _offsets(places: FloatArray, start: FloatArray, mask: BoolArray) -> FloatArray:
    path = np.concatenate([start, places], axis=-2)
    return np.where(mask[..., None], np.diff(path, axis=-2), 0.0)
