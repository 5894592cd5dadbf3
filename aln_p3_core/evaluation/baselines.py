"""Rows that stand in every table of plans: what a plan is worth that looks at nothing.

`human`: what the ego did. `expert`: the plan that the data set stores. `stand_still`. `constant_velocity` and
`constant_curvature`: as before, straight or along the circle. `ego_status_mlp`: a network on the ego status alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aln_p3_core.datasets.future import FUTURE_STEPS, STEP_S
from aln_p3_core.datasets.splits import splits_of
from aln_p3_core.errors import CheckpointError
from aln_p3_core.evaluation.ego_motion import EgoMotion, ego_motion
from aln_p3_core.evaluation.planning_truth import PlanningTruth
from aln_p3_core.geometry import FloatArray, invert_transform

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.evaluation.ego_status_mlp import EgoStatusMlp

#: In the order of tables.
BASELINES = ("human", "expert", "stand_still", "constant_velocity", "constant_curvature", "ego_status_mlp")
#: File of the MLP's weights in a report.
MLP_FILE = "ego_status_mlp.safetensors"
_TIMES_S = STEP_S * np.arange(1, FUTURE_STEPS + 1)


def baseline_plans(
    dataset: NuScenesDataset, truth: PlanningTruth, mlp: EgoStatusMlp | None = None, names: Sequence[str] = BASELINES
) -> dict[str, FloatArray]:
    """Plans [N, 6, 2] of the baselines by name, m in the model frame; NaN where there is none.

    Args:
        dataset: that the truth was built from.
        truth: of N samples.
        mlp: of `ego_status_mlp`; without it that row is left out, as `expert` is where no plan is stored.
        names: which ones, of BASELINES.
    """
    motion = ego_motion(dataset, truth.tokens)
    makers: dict[str, Callable[[], FloatArray]] = {
        "human": lambda: human(truth),
        "stand_still": lambda: np.zeros((len(truth), FUTURE_STEPS, 2)),
        "constant_velocity": lambda: constant_velocity(motion),
        "constant_curvature": lambda: constant_curvature(motion),
    }
    if truth.plan_stored.any():
        makers["expert"] = lambda: expert(truth)
    if mlp is not None:
        makers["ego_status_mlp"] = lambda: mlp.plan(motion)
    return {name: makers[name]() for name in BASELINES if name in names and name in makers}


def trained_mlp(
    dataset: NuScenesDataset,
    folder: Path,
    split: str = "train",
    *,
    steps: int = 2000,
    seed: int = 0,
    fresh: bool = False,
) -> EgoStatusMlp | None:
    """The ego-status MLP of a root: read from `folder`/MLP_FILE, or trained on a split and kept there.

    It is trained again when the root's tables, the split, the steps or the seed have changed. None where the root has
    no such split. Reading the samples costs some 4 ms each, training some seconds.
    """
    from aln_p3_core.evaluation.ego_status_mlp import load_ego_status_mlp, save_ego_status_mlp, train_ego_status_mlp
    from aln_p3_core.evaluation.planning_truth_build import truth_key

    scenes = splits_of(dataset).get(split)
    if not scenes:
        return None
    # Every other key frame: half a second apart they tell nearly the same, and reading them takes longest.
    tokens = [token for scene in scenes for token in dataset.scene_tokens(scene)[::2]]
    path = folder / MLP_FILE
    key = f"{truth_key(dataset, tokens)}-{steps}-{seed}"
    if path.is_file() and not fresh:
        try:
            network, told = load_ego_status_mlp(path)
        except CheckpointError:
            path.unlink()
        else:
            if key == told.get("key"):
                return network
    futures, masks = zip(*(dataset.ego_future(token) for token in tokens), strict=True)
    network = train_ego_status_mlp(
        ego_motion(dataset, tokens), np.stack(futures), np.stack(masks), steps=steps, seed=seed
    )
    told = {"key": key, "split": split, "samples": str(len(tokens)), "steps": str(steps), "seed": str(seed)}
    save_ego_status_mlp(network, path, told)
    return network


def human(truth: PlanningTruth) -> FloatArray:
    """[N, 6, 2] what the ego did."""
    return np.where(truth.recorded_mask[..., None], truth.recorded_future_model, np.nan)


def expert(truth: PlanningTruth) -> FloatArray:
    """[N, 6, 2] the stored plan."""
    known = truth.ego_future_mask & truth.plan_stored[:, None]
    return np.where(known[..., None], truth.ego_future_model, np.nan)


def constant_velocity(motion: EgoMotion) -> FloatArray:
    """[N, 6, 2] straight on with the present velocity; standing where it is not known."""
    places = motion.velocities[:, None] * _TIMES_S[:, None]
    return in_model_frame(places, np.zeros(places.shape[:2]), motion.T_ego_model)


def constant_curvature(motion: EgoMotion) -> FloatArray:
    """[N, 6, 2] on along the present circle: the velocity turns with the yaw rate."""
    headings = motion.yaw_rates[:, None] * _TIMES_S
    # The chord of an arc lies at half its angle.
    chord = motion.velocities[:, None] * (_TIMES_S * np.sinc(headings / 2 / np.pi))[..., None]
    cos, sin = np.cos(headings / 2), np.sin(headings / 2)
    x, y = cos * chord[..., 0] - sin * chord[..., 1], sin * chord[..., 0] + cos * chord[..., 1]
    return in_model_frame(np.stack([x, y], axis=-1), headings, motion.T_ego_model)


def in_model_frame(places_ego: FloatArray, headings_ego: FloatArray, T_ego_model: FloatArray) -> FloatArray:
    """Places [N, T, 2] of the model frame's origin in that frame, when the ego origin is at poses of the ego frame.

    Args:
        places_ego: [N, T, 2] m. headings_ego: [N, T] rad. T_ego_model: [N, 4, 4].
    """
    start = T_ego_model[:, None, :2, 3]
    cos, sin = np.cos(headings_ego), np.sin(headings_ego)
    x = places_ego[..., 0] + cos * start[..., 0] - sin * start[..., 1]
    y = places_ego[..., 1] + sin * start[..., 0] + cos * start[..., 1]
    moved = np.stack([x, y], axis=-1) - start
    return moved @ np.swapaxes(invert_transform(T_ego_model)[:, :2, :2], -1, -2)
