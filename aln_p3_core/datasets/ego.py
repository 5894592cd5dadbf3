"""Motion of the vehicle: from the CAN bus expansion where it is there, else from differences of past poses.

Both look backwards only: nothing after the reference stamp enters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.expansion_files import can_bus_file
from aln_p3_core.errors import DataError
from aln_p3_core.frame import EgoPose, EgoStatus
from aln_p3_core.geometry import FloatArray, invert_transform, matrix_to_quaternion

#: A CAN message older than this says nothing about now.
_MAX_CAN_AGE_NS = 500_000_000
#: Pose differences: over shorter times the noise of the poses wins, over longer ones it is no longer "now".
_MIN_STEP_NS, _MAX_STEP_NS = 45_000_000, 1_000_000_000
#: Of a pose message, in the order of `EgoStatus`.
_FIELDS = ("vel", "accel", "rotation_rate")


class CanBus:
    """Pose messages (50 Hz) of the CAN bus expansion, `root/can_bus/<scene>_pose.json`, read once per scene.

    The file is read directly: the devkit's class accepts only the scene names of nuScenes itself.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # Stamps [n] in ns, and what the messages say [n, 9]: as objects, 850 scenes would take half a gigabyte.
        self._scenes: dict[str, tuple[NDArray[np.int64], FloatArray]] = {}

    def status(self, scene_name: str, stamp_ns: int) -> EgoStatus | None:
        """The last message at or before the stamp, or None where there is no file or no recent message.

        `velocity` and `rotation_rate` are in the ego frame. `acceleration` is what the vehicle's sensor feels,
        gravity included (about +9.8 m/s^2 in z), as the released VAD weights were trained with.

        Raises:
            DataError: naming the file when it is broken.
        """
        if scene_name not in self._scenes:
            self._scenes[scene_name] = self._load(scene_name)
        stamps, values = self._scenes[scene_name]
        index = int(np.searchsorted(stamps, stamp_ns, side="right")) - 1
        if index < 0 or stamp_ns - int(stamps[index]) > _MAX_CAN_AGE_NS:
            return None
        velocity, acceleration, rotation_rate = values[index].reshape(3, 3)
        return EgoStatus(velocity, acceleration, rotation_rate, "can_bus")

    def _load(self, scene_name: str) -> tuple[NDArray[np.int64], FloatArray]:
        path = can_bus_file(self._root, scene_name)
        if not path.is_file():
            return np.zeros(0, np.int64), np.zeros((0, 9))
        try:
            messages = sorted(json.loads(path.read_text(encoding="utf-8")), key=lambda m: m["utime"])
            stamps = np.array([int(m["utime"]) * 1000 for m in messages], dtype=np.int64)
            values = np.array([[m[name] for name in _FIELDS] for m in messages], dtype=np.float64)
            if not np.isfinite(values).all():
                raise ValueError("a value is not finite")
            return stamps, values.reshape(len(messages), 9)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no list of CAN bus pose messages: {error!r}; extract it again") from error


def status_from_poses(past: Sequence[EgoPose], stamp_ns: int, T_global_ego: FloatArray) -> EgoStatus | None:
    """Velocity, acceleration and rotation rate by backward differences, or None for a lone frame.

    The velocity is the mean over the last step (at least 45 ms). The acceleration needs one more step and is
    zero without it; gravity is not in it.

    Args:
        past: earlier poses, oldest first.
        stamp_ns: now.
        T_global_ego: 4x4, pose now.
    """
    now = EgoPose(stamp_ns, T_global_ego)
    before = _step_back(past, stamp_ns)
    if before is None:
        return None
    velocity_global, rate = _difference(before, now)
    R_ego_global = T_global_ego[:3, :3].T
    acceleration = np.zeros(3)
    earlier = _step_back(past, before.stamp_ns)
    if earlier is not None:
        previous_velocity, _ = _difference(earlier, before)
        # Each velocity belongs to the middle of its step.
        acceleration = R_ego_global @ (velocity_global - previous_velocity) / ((stamp_ns - earlier.stamp_ns) / 2e9)
    return EgoStatus(R_ego_global @ velocity_global, acceleration, rate, "poses")


def _step_back(past: Sequence[EgoPose], stamp_ns: int) -> EgoPose | None:
    """The newest pose that is far enough back for a difference, within one second."""
    usable = [p for p in past if _MIN_STEP_NS <= stamp_ns - p.stamp_ns <= _MAX_STEP_NS]
    return usable[-1] if usable else None


def _difference(a: EgoPose, b: EgoPose) -> tuple[FloatArray, FloatArray]:
    """Mean velocity (global frame, m/s) and rotation rate (ego frame, rad/s) from pose a to pose b."""
    seconds = (b.stamp_ns - a.stamp_ns) * 1e-9
    velocity = (b.T_global_ego[:3, 3] - a.T_global_ego[:3, 3]) / seconds
    turn = matrix_to_quaternion(invert_transform(a.T_global_ego) @ b.T_global_ego)
    norm = float(np.linalg.norm(turn[1:]))
    angle = 2 * np.arctan2(norm, turn[0])
    return velocity, turn[1:] / max(norm, 1e-12) * angle / seconds
