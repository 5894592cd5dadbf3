"""What a car knows about its own motion at many key frames: all that the blind baselines plan from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.geometry import FloatArray, invert_transform, transform_points

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.evaluation.planning_truth import BoolArray, IntArray
    from aln_p3_core.frame import DrivingFrame

#: Places of the past, every half second.
PAST_STEPS = 4
_STEP_NS = 500_000_000
# A pose this little younger than asked for will do (key frames are not quite half a second apart).
_SLACK_NS = 100_000_000


@dataclass(frozen=True, eq=False)
class EgoMotion:
    """Of N samples, in the ego frame (x forward, y left) at their reference stamps.

    Attributes:
        velocities, accelerations: [N, 2] m/s, m/s^2. yaw_rates: [N] rad/s, counter-clockwise. Zero where not known.
        known: [N] the status is known.
        past_ego: [N, PAST_STEPS, 2] where the ego origin was 0.5, 1, 1.5 and 2 s ago, m; zero where masked.
        past_mask: [N, PAST_STEPS].
        commands: [N] `frame.Command` values of the route.
        T_ego_model: [N, 4, 4].
    """

    velocities: FloatArray
    accelerations: FloatArray
    yaw_rates: FloatArray
    known: BoolArray
    past_ego: FloatArray
    past_mask: BoolArray
    commands: IntArray
    T_ego_model: FloatArray

    def __len__(self) -> int:
        return len(self.yaw_rates)


def ego_motion(dataset: NuScenesDataset, tokens: Sequence[str]) -> EgoMotion:
    """Motion at samples, in their order; nothing after their reference stamps enters."""
    rows = [_row(dataset.frame_of_records(token, {}, *dataset.reference_of(token))) for token in tokens]
    return EgoMotion(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _row(frame: DrivingFrame) -> dict[str, Any]:
    status = frame.ego_status
    past, mask = _past(frame)
    return {
        "velocities": np.zeros(2) if status is None else status.velocity[:2],
        "accelerations": np.zeros(2) if status is None else status.acceleration[:2],
        "yaw_rates": 0.0 if status is None else float(status.rotation_rate[2]),
        "known": status is not None,
        "past_ego": past,
        "past_mask": mask,
        "commands": frame.command.command.value,
        "T_ego_model": frame.T_ego_model,
    }


def _past(frame: DrivingFrame) -> tuple[FloatArray, BoolArray]:
    if not frame.past_poses:
        return np.zeros((PAST_STEPS, 2)), np.zeros(PAST_STEPS, dtype=bool)
    stamps = np.array([*(pose.stamp_ns for pose in frame.past_poses), frame.reference_stamp_ns])
    places_global = np.array([*(pose.T_global_ego[:3, 3] for pose in frame.past_poses), frame.T_global_ego[:3, 3]])
    places = transform_points(invert_transform(frame.T_global_ego), places_global)
    asked = frame.reference_stamp_ns - _STEP_NS * np.arange(1, PAST_STEPS + 1)
    mask = asked >= stamps[0] - _SLACK_NS
    seconds = (stamps - frame.reference_stamp_ns) * 1e-9
    at = (asked - frame.reference_stamp_ns) * 1e-9
    past = np.stack([np.interp(at, seconds, places[:, axis]) for axis in (0, 1)], axis=-1)
    return np.where(mask[:, None], past, 0.0), mask
