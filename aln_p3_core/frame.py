"""The one input of the driver: `DrivingFrame`.

The data set, the embedded world and the ROS node all build it, by the same rule of time:
`reference_stamp_ns` is the instant that the driver speaks of (the newest image's stamp on the road, the
LiDAR's for benchmarks), every camera keeps the ego pose of its own exposure, and
`DrivingFrame.T_cam_model` undoes the ego motion in between. docs/frames.md draws the frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import CalibrationError, InvalidFrameError
from aln_p3_core.geometry import FloatArray, invert_transform, transform_problem

#: What an acceleration sensor at rest feels, upwards, m/s^2.
GRAVITY_MS2 = 9.81
#: Cameras of nuScenes in the order that VAD's weights expect.
NUSCENES_CAMERAS = (
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_FRONT_LEFT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
    "CAM_BACK_RIGHT",
)


class Command(Enum):
    """High-level route command; the value is its index in the planner's output (VAD, section 4)."""

    RIGHT = 0
    LEFT = 1
    STRAIGHT = 2


class CommandProvenance(Enum):
    """Where a command came from. Plans made with `GROUND_TRUTH` peek at the future and must say so."""

    GIVEN = "given"
    DEFAULT = "default"
    GROUND_TRUTH = "ground_truth"


@dataclass(frozen=True, slots=True)
class RouteCommand:
    """A command together with its provenance."""

    command: Command = Command.STRAIGHT
    provenance: CommandProvenance = CommandProvenance.DEFAULT


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """Pinhole calibration of one camera.

    Attributes:
        intrinsic: 3x3, pixels, for an image of `width` x `height`, undistorted.
        T_ego_cam: 4x4, camera frame (x right, y down, z forward) to ego frame (x forward, y left, z up).
        width, height: pixels of the image that `intrinsic` speaks of.
    """

    intrinsic: FloatArray
    T_ego_cam: FloatArray
    width: int
    height: int

    def __post_init__(self) -> None:
        intrinsic = _frozen_array(self.intrinsic)
        if intrinsic.shape != (3, 3) or not np.isfinite(intrinsic).all():
            raise CalibrationError(f"the intrinsic matrix must be 3x3 and finite, got {intrinsic.tolist()}")
        if intrinsic[0, 0] <= 0 or intrinsic[1, 1] <= 0:
            raise CalibrationError(
                "the focal lengths must be positive; an all-zero K in CameraInfo means an uncalibrated camera"
            )
        if not np.allclose(intrinsic[2], [0, 0, 1]):
            raise CalibrationError(f"the last row of the intrinsic matrix must be 0 0 1, got {intrinsic[2].tolist()}")
        if self.width <= 0 or self.height <= 0:
            raise CalibrationError(f"the image size must be positive, got {self.width}x{self.height}")
        problem = transform_problem(self.T_ego_cam)
        if problem:
            raise CalibrationError(f"T_ego_cam is no rigid transform: {problem}")
        object.__setattr__(self, "intrinsic", intrinsic)
        object.__setattr__(self, "T_ego_cam", _frozen_array(self.T_ego_cam))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in the calibration: equal hashes, equal geometry."""
        content = self.intrinsic.tobytes() + self.T_ego_cam.tobytes() + f"{self.width}x{self.height}".encode()
        return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImage:
    """A compressed image as it came from a file or a topic; decoded, reduced, in `preprocess`.

    Attributes:
        data: the bytes of a JPEG or PNG file.
        source: where it came from, for error messages (a path or a topic).
    """

    data: bytes | memoryview
    source: str = "image"


@dataclass(frozen=True, eq=False)
class CameraView:
    """One camera's image at its own exposure.

    Attributes:
        image: uint8 [height, width, 3] (not copied: do not write to it afterwards), or an `EncodedImage`.
        stamp_ns: time of exposure, nanoseconds.
        calibration: of this camera; the image must have its size.
        T_global_ego: 4x4, ego pose at `stamp_ns` in the frame's global frame.
        color: channel order of a raw image, "rgb" or "bgr". Encoded images have none.
    """

    image: NDArray[np.uint8] | EncodedImage
    stamp_ns: int
    calibration: CameraCalibration
    T_global_ego: FloatArray
    color: str = "rgb"

    def __post_init__(self) -> None:
        problem = transform_problem(self.T_global_ego)
        if problem:
            raise InvalidFrameError(f"the ego pose at a camera's exposure is no rigid transform: {problem}")
        if self.color not in ("rgb", "bgr"):
            raise InvalidFrameError(f"color must be 'rgb' or 'bgr', got {self.color!r}")
        object.__setattr__(self, "T_global_ego", _frozen_array(self.T_global_ego))
        if isinstance(self.image, EncodedImage):
            return
        expected = (self.calibration.height, self.calibration.width, 3)
        if self.image.dtype != np.uint8 or self.image.shape != expected:
            raise InvalidFrameError(
                f"the image is {self.image.dtype} {self.image.shape}, its calibration speaks of uint8 {expected}; "
                "scale the calibration with the image, or send the size that was calibrated"
            )


@dataclass(frozen=True, eq=False)
class EgoStatus:
    """Motion of the vehicle at the reference stamp, in the ego frame, SI units.

    A driver with ego status `none` never reads it.

    Attributes:
        velocity: [3] m/s. acceleration: [3] m/s^2, with gravity from "can_bus" (what a sensor feels), without it from
            the others. rotation_rate: [3] rad/s.
        source: "can_bus", "odometry" or "poses" (differences of ego poses).
    """

    velocity: FloatArray
    acceleration: FloatArray
    rotation_rate: FloatArray
    source: str = "poses"

    def __post_init__(self) -> None:
        for name in ("velocity", "acceleration", "rotation_rate"):
            value = _frozen_array(getattr(self, name))
            if value.shape != (3,) or not np.isfinite(value).all():
                raise InvalidFrameError(f"ego status {name} must be three finite numbers, got {value.tolist()}")
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True, eq=False)
class EgoPose:
    """Ego pose in the global frame at an instant."""

    stamp_ns: int
    T_global_ego: FloatArray


@dataclass(frozen=True, eq=False)
class DrivingFrame:
    """Everything that the driver may know at one instant.

    Attributes:
        cameras: the rig: every camera that belongs to it, by name, in the rig's order.
        views: images by camera name. A camera of the rig without a view is lost: the driver masks it,
            and never sees a black image instead.
        reference_stamp_ns: the instant that positions and the plan refer to.
        T_global_ego: 4x4, ego pose at the reference stamp. "Global" is any frame fixed to the ground
            (nuScenes' global, ROS `odom`), the same one in all frames of a drive.
        T_ego_model: 4x4, the model frame (x right, y forward, z up) in the ego frame.
        command: route command with provenance.
        ego_status: motion of the vehicle, or None where unknown.
        past_poses: earlier ego poses, oldest first, all before the reference stamp. For baselines and
            ego-history encoders.
        drive_id: names the continuous drive (a scene token, a bag); another one resets the memory.
        token: the data set's name of this frame, else "".
    """

    cameras: tuple[str, ...]
    views: Mapping[str, CameraView]
    reference_stamp_ns: int
    T_global_ego: FloatArray
    T_ego_model: FloatArray
    command: RouteCommand = field(default_factory=RouteCommand)
    ego_status: EgoStatus | None = None
    past_poses: tuple[EgoPose, ...] = ()
    drive_id: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        for name in ("T_global_ego", "T_ego_model"):
            problem = transform_problem(getattr(self, name))
            if problem:
                raise InvalidFrameError(f"{name} is no rigid transform: {problem}")
            object.__setattr__(self, name, _frozen_array(getattr(self, name)))
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise InvalidFrameError(f"the rig must name each camera once, got {list(self.cameras)}")
        strangers = sorted(set(self.views) - set(self.cameras))
        if strangers:
            raise InvalidFrameError(f"views of cameras that the rig does not have: {strangers}; it has {self.cameras}")
        stamps = [pose.stamp_ns for pose in self.past_poses]
        if any(later <= earlier for earlier, later in pairwise(stamps)):
            raise InvalidFrameError("past_poses must be sorted by stamp, oldest first, without repeats")
        if stamps and stamps[-1] >= self.reference_stamp_ns:
            raise InvalidFrameError(
                f"past_poses must end before the reference stamp {self.reference_stamp_ns}, the last is {stamps[-1]}"
            )
        object.__setattr__(self, "views", MappingProxyType({n: self.views[n] for n in self.cameras if n in self.views}))

    @property
    def missing_cameras(self) -> tuple[str, ...]:
        """Cameras of the rig that have no view in this frame."""
        return tuple(name for name in self.cameras if name not in self.views)

    @property
    def newest_image_stamp_ns(self) -> int:
        """Stamp of the newest image in the frame.

        Raises:
            InvalidFrameError: when there is no image at all.
        """
        if not self.views:
            raise InvalidFrameError(f"no camera has an image; the rig has {list(self.cameras)}")
        return max(view.stamp_ns for view in self.views.values())

    @cached_property
    def T_global_model(self) -> FloatArray:
        """4x4, model frame to global frame at the reference stamp."""
        return self.T_global_ego @ self.T_ego_model

    def T_cam_model(self, camera: str) -> FloatArray:
        """4x4, model frame at the reference stamp to camera frame at the camera's own exposure."""
        view = self.views[camera]
        T_global_cam = view.T_global_ego @ view.calibration.T_ego_cam
        return invert_transform(T_global_cam) @ self.T_global_model

    def require_cameras(self, names: Iterable[str] | None = None) -> None:
        """Checks that the named cameras (the whole rig when None) have a view.

        Raises:
            InvalidFrameError: naming those that have none.
        """
        missing = [name for name in (self.cameras if names is None else names) if name not in self.views]
        if missing:
            raise InvalidFrameError(f"no image from {missing}; this frame has {list(self.views)}")


def newest_stamp_ns(stamps_ns: Iterable[int]) -> int:
    """The rule of reference time on the road: the newest image's stamp."""
    return max(stamps_ns)


def _frozen_array(value: object) -> FloatArray:
    array = np.array(value, dtype=np.float64)
    array.setflags(write=False)
    return array
