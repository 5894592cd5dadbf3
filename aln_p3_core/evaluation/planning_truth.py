"""`PlanningTruth`: what plans are measured against, for many samples at once.

N = samples, T = 6 future steps of half a second, M = objects (padded), V = boundary lines (padded). Everything a
planning protocol asks for is here, so that a table over thousands of samples needs the data set only once
(planning_truth_build.py builds it and keeps it on disk).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.protocol import AGENT_KINDS
from aln_p3_core.geometry import FloatArray, invert_transform
from aln_p3_core.whole_files import written_whole

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlanningTruth:
    """Truth of N samples.

    Attributes:
        tokens, scenes: [N] which samples, and the scenes they belong to.
        ego_future_model: [N, T, 2] true places of the model frame's origin, m; what plans should be (the stored
            plan where the data set has one, else what the ego did). ego_future_mask: [N, T].
        recorded_future_model, recorded_mask: [N, T, 2], [N, T] what the ego did.
        plan_stored: [N] the data set stores a plan for the sample.
        frame_known: [N, T] the future key frame exists, so that one knows where agents were.
        commands: [N] `frame.Command` values.
        T_ego_model: [N, 4, 4]. T_global_ego: [N, 1 + T, 4, 4] ego poses now and at every step.
        boxes_own: [N, 1 + T, M, 7] boxes now and at every step, each in the model frame **of its own instant**:
            centre x, y, z, length, width, height (m), heading (rad). An object keeps its index.
        box_mask: [N, 1 + T, M] the object is annotated then.
        kinds: [N, M] index into `protocol.AGENT_KINDS`; -1 for padding.
        seen: [N, M] has LiDAR or radar points now.
        boundaries_model: [N, V, P, 2] lines of the road's edge, m; NaN for padding.
        map_known: [N] there is a map of the place.
    """

    tokens: tuple[str, ...]
    scenes: tuple[str, ...]
    ego_future_model: FloatArray
    ego_future_mask: BoolArray
    recorded_future_model: FloatArray
    recorded_mask: BoolArray
    plan_stored: BoolArray
    frame_known: BoolArray
    commands: IntArray
    T_ego_model: FloatArray
    T_global_ego: FloatArray
    boxes_own: FloatArray
    box_mask: BoolArray
    kinds: IntArray
    seen: BoolArray
    boundaries_model: FloatArray
    map_known: BoolArray

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def step_known(self) -> BoolArray:
        """[N, T] both the ego's place and everybody else's are known."""
        return self.ego_future_mask & self.frame_known

    @cached_property
    def held_future_model(self) -> FloatArray:
        """[N, T, 2] `ego_future_model`, unknown steps at the last place that is known before (now: the origin)."""
        steps = np.arange(self.ego_future_mask.shape[1])
        last = np.maximum.accumulate(np.where(self.ego_future_mask, steps, -1), axis=1)
        held = np.take_along_axis(self.ego_future_model, np.maximum(last, 0)[..., None], axis=1)
        return np.where((last >= 0)[..., None], held, 0.0)

    @cached_property
    def boxes_now(self) -> FloatArray:
        """[N, 1 + T, M, 5] the boxes in the present model frame, from above: x, y, length, width (m), heading (rad)."""
        T_global_model = self.T_global_ego @ self.T_ego_model[:, None]
        T_now_own = invert_transform(T_global_model[:, :1]) @ T_global_model
        rotation, shift = T_now_own[..., :3, :3], T_now_own[..., :3, 3]
        centers = self.boxes_own[..., :3] @ np.swapaxes(rotation, -1, -2) + shift[..., None, :]
        heading = self.boxes_own[..., 6]
        forward = np.stack([np.cos(heading), np.sin(heading)], axis=-1) @ np.swapaxes(rotation[..., :2, :2], -1, -2)
        turned = np.arctan2(forward[..., 1], forward[..., 0])
        return np.concatenate([centers[..., :2], self.boxes_own[..., 3:5], turned[..., None]], axis=-1)

    def is_kind(self, names: tuple[str, ...]) -> BoolArray:
        """[N, M] the object is of one of these kinds."""
        return np.isin(self.kinds, [AGENT_KINDS.index(name) for name in names])

    def select(self, index: ArrayLike) -> PlanningTruth:
        """The samples of an index or mask [N], in its order."""
        chosen = np.arange(len(self))[np.asarray(index)]
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            changed[field.name] = value[chosen] if isinstance(value, np.ndarray) else tuple(value[i] for i in chosen)
        return replace(self, **changed)

    def save(self, path: Path) -> None:
        """Writes it as an .npz file, whole or not at all."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        with written_whole(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    @staticmethod
    def load(path: Path) -> PlanningTruth:
        """Reads what `save` wrote.

        Raises:
            DataError: when it is damaged or of another version.
        """
        try:
            with np.load(path) as file:
                values: dict[str, Any] = {field.name: file[field.name] for field in fields(PlanningTruth)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} holds no truth for planning ({error!r}); delete it") from error
        for name in ("tokens", "scenes"):
            values[name] = tuple(str(value) for value in values[name])
        return PlanningTruth(**values)
