"""Truth for planning, made up: an ego path, boxes at every step, and lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aln_p3_core.evaluation.planning_truth import PlanningTruth
from aln_p3_core.evaluation.protocol import AGENT_KINDS
from aln_p3_core.geometry import FloatArray, invert_transform, make_transform, virtual_T_ego_model

#: 4 m a step straight on.
STRAIGHT = np.stack([np.zeros(6), 4.0 * np.arange(1, 7)], axis=1)


def shifted(x: float, y: float) -> FloatArray:
    """`STRAIGHT`, so far beside and ahead."""
    return STRAIGHT + np.array([x, y])


def planar(x: float, y: float, heading: float) -> FloatArray:
    """4x4 of a level pose."""
    return make_transform([np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)], [x, y, 0.0])


def box(
    x: float, y: float, heading: float = np.pi / 2, velocity: tuple[float, float] = (0.0, 0.0), kind: str = "vehicle"
) -> tuple[FloatArray, str]:
    """An object of 4.5 m x 1.9 m that moves evenly, [7, 7] now and at six steps in the present model frame."""
    places = np.array([x, y]) + 0.5 * np.arange(7)[:, None] * np.array(velocity)
    fixed = np.tile([0.8, 4.5, 1.9, 1.6, heading], (7, 1))
    return np.concatenate([places, fixed], axis=1), kind


def made_truth(
    path: FloatArray = STRAIGHT,
    objects: Sequence[tuple[FloatArray, str]] = (),
    *,
    lines: FloatArray | None = None,
    known: int = 6,
    T_ego_model: FloatArray | None = None,
    T_global_ego: FloatArray | None = None,
    scene: str = "scene-0",
) -> PlanningTruth:
    """One sample. `known`: future key frames there are. `T_global_ego`: [7, 4, 4], where the car is (it matters not
    to what is seen from its present place)."""
    T_ego_model = virtual_T_ego_model() if T_ego_model is None else T_ego_model
    poses = np.tile(np.eye(4), (7, 1, 1)) if T_global_ego is None else T_global_ego
    T_global_model = poses @ T_ego_model
    own = np.zeros((7, len(objects), 7))
    for m, (boxes_now, _) in enumerate(objects):
        own[:, m] = boxes_now
        for k in range(7):
            T_own_now = invert_transform(T_global_model[k]) @ T_global_model[0]
            own[k, m, :3] = (T_own_now @ [*boxes_now[k, :3], 1.0])[:3]
            own[k, m, 6] += np.arctan2(T_own_now[1, 0], T_own_now[0, 0])
    mask = np.arange(6) < known
    there = np.concatenate([[True], mask])[:, None] & np.ones(len(objects), dtype=bool)
    return PlanningTruth(
        tokens=("token",),
        scenes=(scene,),
        ego_future_model=np.where(mask[:, None], path, 0.0)[None],
        ego_future_mask=mask[None],
        recorded_future_model=np.where(mask[:, None], path, 0.0)[None],
        recorded_mask=mask[None],
        plan_stored=np.array([False]),
        frame_known=mask[None],
        commands=np.array([2]),
        T_ego_model=T_ego_model[None],
        T_global_ego=poses[None],
        boxes_own=own[None],
        box_mask=there[None],
        kinds=np.array([[AGENT_KINDS.index(kind) for _, kind in objects]], dtype=np.int64).reshape(1, -1),
        seen=np.ones((1, len(objects)), dtype=bool),
        boundaries_model=np.zeros((1, 0, 2, 2)) if lines is None else lines[None],
        map_known=np.array([lines is not None]),
    )
