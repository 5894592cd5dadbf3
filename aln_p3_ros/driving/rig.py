"""The rig's calibration as the topics tell it: CameraInfo for the lenses, /tf_static for the mounting."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo

from aln_p3_core.errors import AlnP3Error, CalibrationError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray, virtual_T_ego_model
from aln_p3_ros.messages.camera_info import DistortionUse, Undistorter, calibration_from_info, has_distortion
from aln_p3_ros.messages.transforms import TransformTree

# A LiDAR frame counts as a model frame when its y axis points forward within about 25 degrees.
_FORWARD = 0.9


@dataclass(slots=True)
class _Camera:
    info: CameraInfo | None = None
    key: bytes = b""
    tree_version: int = -1
    calibration: CameraCalibration | None = None
    undistorter: Undistorter | None = None
    problem: str = "no CameraInfo has come"
    warning: str = ""


class Rig:
    """Calibration of all cameras, computed anew only when something changes. Safe to use from several threads.

    Args:
        cameras: names in the rig's order.
        tree: fixed transforms.
        frames: TF frame per camera; CameraInfo's own frame id where missing.
        fixed: calibrations that do not come from topics (a calibration file), by camera.
        base_frame: the vehicle's frame.
        distortion: what to do about lens distortion.
        body_axes: whether camera frames have x forward.
        model_frame: "auto", "lidar" or "virtual".
        lidar_frame: TF frame of the LiDAR.
    """

    def __init__(
        self,
        cameras: tuple[str, ...],
        tree: TransformTree,
        *,
        frames: Mapping[str, str] | None = None,
        fixed: Mapping[str, CameraCalibration] | None = None,
        base_frame: str = "base_link",
        distortion: DistortionUse = "warn",
        body_axes: bool = False,
        model_frame: str = "auto",
        lidar_frame: str = "lidar_top",
    ) -> None:
        self.cameras = cameras
        self._tree = tree
        self._frames = dict(frames or {})
        self._base_frame = base_frame
        self._distortion = distortion
        self._body_axes = body_axes
        self._model_frame = model_frame
        self._lidar_frame = lidar_frame
        self._fixed = dict(fixed or {})
        self._lock = threading.Lock()
        self._cameras = {name: _Camera() for name in cameras}

    def add_info(self, camera: str, message: CameraInfo) -> None:
        """Takes a CameraInfo; one with the same content as the last changes nothing."""
        key = _content(message)
        with self._lock:
            state = self._cameras[camera]
            if key != state.key:
                state.info, state.key, state.tree_version, state.undistorter = message, key, -1, None

    def calibration(self, camera: str) -> CameraCalibration | None:
        """The camera's calibration, or None where `problem` says why there is none yet."""
        if camera in self._fixed:
            return self._fixed[camera]
        with self._lock:
            return self._current(camera).calibration

    def problem(self, camera: str) -> str:
        """Why a camera has no calibration, or ""."""
        if camera in self._fixed:
            return ""
        with self._lock:
            return self._current(camera).problem

    def warning(self, camera: str) -> str:
        """What is doubtful about a camera's calibration, or ""."""
        with self._lock:
            return self._cameras[camera].warning

    def undistorter(self, camera: str) -> Undistorter | None:
        """What undoes the camera's distortion, or None where nothing is to be undone."""
        with self._lock:
            return self._current(camera).undistorter

    def T_ego_model(self) -> FloatArray:
        """4x4, model frame to ego frame.

        Raises:
            CalibrationError: when it is to be at the LiDAR, and that is missing or its y axis does not point forward.
        """
        if self._model_frame == "virtual":
            return virtual_T_ego_model()
        T_ego_lidar = self._tree.lookup(self._base_frame, self._lidar_frame)
        if T_ego_lidar is not None and T_ego_lidar[0, 1] > _FORWARD:
            return T_ego_lidar
        if self._model_frame == "lidar":
            what = "is not on /tf_static" if T_ego_lidar is None else "does not have y forward"
            raise CalibrationError(f"model_frame is 'lidar', but {self._lidar_frame} {what}; use 'virtual'")
        return virtual_T_ego_model()

    def _current(self, camera: str) -> _Camera:
        state = self._cameras[camera]
        if state.info is None or state.tree_version == self._tree.version:
            return state
        state.tree_version = self._tree.version
        frame = self._frames.get(camera) or state.info.header.frame_id
        T_base_frame = self._tree.lookup(self._base_frame, frame)
        if T_base_frame is None:
            state.calibration = None
            state.problem = f"/tf_static does not connect {frame!r} to {self._base_frame!r}"
            return state
        try:
            calibration = calibration_from_info(
                state.info, T_base_frame, distortion=self._distortion, body_axes=self._body_axes
            )
            distorted = self._distortion != "rectified" and has_distortion(state.info)
            if distorted and self._distortion == "undo" and state.undistorter is None:
                state.undistorter = Undistorter(state.info)
        except (AlnP3Error, ValueError) as error:
            state.calibration, state.problem = None, str(error)
            return state
        state.problem = ""
        state.warning = (
            "CameraInfo has lens distortion, which is not undone: set distortion to 'undo' or 'rectified'"
            if distorted and self._distortion == "warn"
            else ""
        )
        # The same object while nothing changes: its fingerprint is computed once.
        if state.calibration is None or state.calibration.fingerprint != calibration.fingerprint:
            state.calibration = calibration
        return state


def _content(message: CameraInfo) -> bytes:
    roi = message.roi
    numbers = [
        *(message.width, message.height, message.binning_x, message.binning_y),
        *(roi.x_offset, roi.y_offset, roi.width, roi.height),
    ]
    matrices = [np.asarray(part, dtype=np.float64).tobytes() for part in (message.k, message.d, message.r, message.p)]
    text = f"{message.header.frame_id} {message.distortion_model} {numbers}"
    return text.encode() + b"".join(matrices)
