"""From a camera set, odometry and calibration to the driver's one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from aln_p3_core.errors import ImageError
from aln_p3_core.frame import CameraCalibration, CameraView, DrivingFrame, EncodedImage, RouteCommand
from aln_p3_core.image_files import check_encoded, encoded_size
from aln_p3_ros.driving.camera_set import CameraFault, CameraSet, FaultKind
from aln_p3_ros.driving.odometry import OdometryBuffer
from aln_p3_ros.driving.rig import Rig
from aln_p3_ros.messages.images import check_raw_image, encoded_image, image_array


@dataclass(frozen=True, slots=True, eq=False)
class BuiltFrame:
    """A frame, and what is missing from it.

    Attributes:
        frame: the driver's input, or None when no camera can be used.
        faults: of every camera of the rig that is not in it.
        odometry_problem: why the frame knows no ego motion, or None.
    """

    frame: DrivingFrame | None
    faults: Mapping[str, CameraFault]
    odometry_problem: str | None


class FrameBuilder:
    """Builds frames by the rule of the road: the reference is the newest image's stamp.

    Args:
        rig: calibration.
        odometry: ego motion.
        drive_id: names the drive; frames without odometry get one of their own each, so that the memory, which
            could not be aligned, is not used.
    """

    def __init__(self, rig: Rig, odometry: OdometryBuffer, drive_id: str) -> None:
        self._rig = rig
        self._odometry = odometry
        self._drive_id = drive_id
        self._lonely_frames = 0

    def build(self, camera_set: CameraSet, command: RouteCommand, without: frozenset[str] = frozenset()) -> BuiltFrame:
        """The frame of a camera set.

        Args:
            command: what the planner shall do.
            without: cameras to leave out.

        Raises:
            CalibrationError: when the model frame cannot be placed.
        """
        faults = dict(camera_set.faults)
        images: dict[str, tuple[Any, str, CameraCalibration]] = {}
        for name, image in camera_set.images.items():
            if name in without:
                continue
            calibration = self._rig.calibration(name)
            if calibration is None:
                faults[name] = CameraFault(FaultKind.UNCALIBRATED, self._rig.problem(name))
                continue
            try:
                pixels, color = self._pixels(name, image.payload, calibration)
            except ImageError as error:
                faults[name] = image_fault(image.payload, calibration, str(error))
                continue
            images[name] = (pixels, color, calibration)
        if not images:
            return BuiltFrame(None, faults, None)
        stamps = {name: camera_set.images[name].stamp_ns for name in images}
        reference_ns = max(stamps.values())
        poses, problem = self._poses({*stamps.values(), reference_ns})
        views = {
            name: CameraView(pixels, stamps[name], calibration, poses[stamps[name]], color)
            for name, (pixels, color, calibration) in images.items()
        }
        drive_id = self._drive_id
        if problem:
            self._lonely_frames += 1
            drive_id = f"{drive_id} without odometry {self._lonely_frames}"
        frame = DrivingFrame(
            cameras=self._rig.cameras,
            views=views,
            reference_stamp_ns=reference_ns,
            T_global_ego=poses[reference_ns],
            T_ego_model=self._rig.T_ego_model(),
            command=command,
            ego_status=None if problem else self._odometry.status_at(reference_ns),
            past_poses=() if problem else self._odometry.poses_before(reference_ns),
            drive_id=drive_id,
        )
        return BuiltFrame(frame, faults, problem)

    def _poses(self, stamps: set[int]) -> tuple[dict[int, NDArray[np.float64]], str | None]:
        poses = {stamp: self._odometry.pose_at(stamp) for stamp in stamps}
        known = {stamp: pose for stamp, pose in poses.items() if pose is not None}
        if len(known) == len(poses):
            return known, None
        lost = max(stamp for stamp in stamps if stamp not in known)
        problem = self._odometry.problem_at(lost) or "odometry started over"
        return dict.fromkeys(stamps, np.eye(4)), problem

    def _pixels(
        self, camera: str, message: Any, calibration: CameraCalibration
    ) -> tuple[NDArray[np.uint8] | EncodedImage, str]:
        undistorter = self._rig.undistorter(camera)
        if not isinstance(message, CompressedImage):
            pixels, color = image_array(message, camera)
            if pixels.shape[:2] != (calibration.height, calibration.width):
                raise ImageError(_size_text(camera, pixels.shape[1], pixels.shape[0], calibration))
            return (undistorter(pixels) if undistorter else pixels), color
        encoded = encoded_image(message, camera)
        if undistorter is None:
            return encoded, "rgb"
        import cv2

        check_encoded(encoded, calibration.width, calibration.height)
        decoded = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if decoded is None:
            raise ImageError(f"{camera} sent an image that cannot be decoded")
        return undistorter(np.asarray(decoded, dtype=np.uint8)), "bgr"


def quick_fault(camera: str, message: Any, calibration: CameraCalibration | None) -> CameraFault | None:
    """What can be seen to be wrong with an image message without decoding it, or None.

    Args:
        calibration: of the camera, or None while it is unknown (then the size is not judged).
    """
    try:
        if isinstance(message, CompressedImage):
            encoded = encoded_image(message, camera)
            size = encoded_size(encoded.data)
            width, height = (calibration.width, calibration.height) if calibration else size or (0, 0)
            check_encoded(encoded, width, height)
        else:
            check_raw_image(message, camera)
            if calibration and (message.width, message.height) != (calibration.width, calibration.height):
                raise ImageError(_size_text(camera, message.width, message.height, calibration))
    except ImageError as error:
        return image_fault(message, calibration, str(error))
    return None


def image_fault(message: Any, calibration: CameraCalibration | None, text: str) -> CameraFault:
    """Names the fault of an image that cannot be used: of the wrong size, or corrupt."""
    if isinstance(message, CompressedImage):
        size = encoded_size(memoryview(message.data)) if message.data else None
    else:
        size = (message.width, message.height)
    wrong_size = calibration is not None and size is not None and size != (calibration.width, calibration.height)
    return CameraFault(FaultKind.WRONG_SIZE if wrong_size else FaultKind.CORRUPT, text)


def _size_text(camera: str, width: int, height: int, calibration: CameraCalibration) -> str:
    return (
        f"{camera} sent {width}x{height} pixels, its calibration speaks of {calibration.width}x{calibration.height}; "
        "scale the calibration with the image, or send the size that was calibrated"
    )
