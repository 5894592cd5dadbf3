"""The vehicle's way through a recorded scene: poses in `odom`, and velocities."""

from __future__ import annotations

import numpy as np

from aln_p3_core.frame import EgoPose
from aln_p3_core.geometry import FloatArray, heading_of, invert_transform, make_transform, matrix_to_quaternion

#: Velocities are differences over at least this long on each side where the scene has it: poses a few
#: milliseconds apart would amplify their own noise.
HALF_WINDOW_NS = 50_000_000


class EgoMotion:
    """Ego poses of a scene.

    `odom` has its origin on the ground track at the first pose, x along the first heading and z along the
    global z (so that gravity stays vertical where the vehicle pitches).

    Attributes:
        stamps_ns: sorted, without repeats.
        T_map_odom: 4x4, odom in the data set's global frame.
    """

    def __init__(self, poses: list[EgoPose]) -> None:
        unique = {pose.stamp_ns: pose.T_global_ego for pose in sorted(poses, key=lambda pose: pose.stamp_ns)}
        self.stamps_ns = list(unique)
        self._stamps = np.array(self.stamps_ns, dtype=np.int64)
        first = unique[self.stamps_ns[0]]
        yaw = heading_of(first)
        self.T_map_odom = make_transform([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)], first[:3, 3])
        T_odom_map = invert_transform(self.T_map_odom)
        self._poses = {stamp: T_odom_map @ T for stamp, T in unique.items()}

    def T_odom_ego(self, stamp_ns: int) -> FloatArray:
        """4x4 pose at one of `stamps_ns`. Raises KeyError for another instant."""
        return self._poses[stamp_ns]

    def twist(self, stamp_ns: int) -> tuple[FloatArray, FloatArray]:
        """Velocity [3] m/s and rotation rate [3] rad/s in base_link, from pose differences.

        Zero where the scene has a single pose.
        """
        before = int(np.searchsorted(self._stamps, stamp_ns - HALF_WINDOW_NS, side="right")) - 1
        after = int(np.searchsorted(self._stamps, stamp_ns + HALF_WINDOW_NS, side="left"))
        first, last = self.stamps_ns[max(before, 0)], self.stamps_ns[min(after, len(self._stamps) - 1)]
        seconds = (last - first) * 1e-9
        if seconds <= 0:
            return np.zeros(3), np.zeros(3)
        T_0, T_1 = self._poses[first], self._poses[last]
        rotation = self._poses[stamp_ns][:3, :3]
        velocity = rotation.T @ (T_1[:3, 3] - T_0[:3, 3]) / seconds
        turn = matrix_to_quaternion(T_0[:3, :3].T @ T_1[:3, :3])
        sine = float(np.linalg.norm(turn[1:]))
        if sine < 1e-12:
            return velocity, np.zeros(3)
        angle = 2 * np.arctan2(sine, turn[0])
        return velocity, turn[1:] / sine * angle / seconds
