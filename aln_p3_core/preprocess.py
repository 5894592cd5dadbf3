"""From a `DrivingFrame` to network input pixels: decode, resize, pad. One path for data sets and the road.

Size rule: an image is scaled to the network's width with its aspect kept (`u' = u * scale`, the convention
of the released VAD weights, without half-pixel terms). Rows that do not fit are cut at the top, where the
sky is (`v' = v * scale - cut`); missing rows are padded at the bottom with the mean colour (the driver sets
them to exactly zero once normalised). Normalisation itself happens on the network's device.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.config import ImageConfig
from aln_p3_core.errors import ImageError, InvalidFrameError
from aln_p3_core.frame import GRAVITY_MS2, CameraCalibration, CameraView, DrivingFrame, EncodedImage
from aln_p3_core.geometry import FloatArray, matrix_to_quaternion
from aln_p3_core.image_files import check_encoded, is_jpeg

_REDUCED_DECODING = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImages:
    """Network input pixels of one frame. N = cameras, in the order that was asked for.

    Attributes:
        images_NHWC: uint8 [N, height, width, 3] in the configuration's colour order, contiguous, padded, not
            normalised. A lost camera holds the mean colour.
        model2img_N44: float64 [N, 4, 4], model frame at the reference stamp -> homogeneous pixels of the padded
            input: (u * depth, v * depth, depth, 1). All zeros for a lost camera.
        valid_N: bool [N], False for a lost camera.
        rows_N: int [N], rows from the top that hold the picture; what lies below is padding.
        timings_ms: wall-clock milliseconds of "decode" and "resize". Both run in the same threads, so the
            elapsed time is divided between them in proportion to the time that the threads spent on each.
    """

    images_NHWC: NDArray[np.uint8]
    model2img_N44: FloatArray
    valid_N: NDArray[np.bool_]
    rows_N: NDArray[np.int64]
    timings_ms: Mapping[str, float]


class ImagePreprocessor:
    """Prepares the images of a frame for one image configuration.

    The threads are shared by all calls; OpenCV releases the interpreter lock while it works.
    """

    def __init__(self, image: ImageConfig, threads: int | None = None) -> None:
        """Args: image: size, mean and colour order. threads: workers; all cores (at most eight) when None."""
        self.image = image
        self._fill = np.array([round(value) for value in image.mean], dtype=np.uint8)
        self._pool = ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1), thread_name_prefix="preprocess")

    def prepare(
        self, frame: DrivingFrame, cameras: tuple[str, ...], out: NDArray[np.uint8] | None = None
    ) -> PreparedImages:
        """Decodes and resizes the images of `cameras`.

        Args:
            frame: the frame.
            cameras: the network's cameras in its order. One that the rig has but that has no view is lost.
            out: uint8 [N, height, width, 3], contiguous, to write into (page-locked memory, say); a new array
                when None.

        Raises:
            InvalidFrameError: when the rig does not have one of the cameras.
            ImageError: naming the source, when an image is corrupt or does not have its calibration's size.
        """
        strangers = [name for name in cameras if name not in frame.cameras]
        if strangers:
            raise InvalidFrameError(f"the rig has no camera {strangers}; it has {list(frame.cameras)}")
        shape = (len(cameras), self.image.height, self.image.width, 3)
        if out is None:
            out = np.empty(shape, dtype=np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out must be contiguous uint8 {shape}, got {out.dtype} {out.shape}")
        model2img = np.zeros((len(cameras), 4, 4))
        valid = np.array([name in frame.views for name in cameras])
        rows = np.zeros(len(cameras), dtype=np.int64)

        started = time.perf_counter()
        jobs = {}
        for index, name in enumerate(cameras):
            if valid[index]:
                view = frame.views[name]
                model2img[index] = self.intrinsic_44(view.calibration) @ frame.T_cam_model(name)
                rows[index] = min(self.image.height, self._scaled_rows(view.calibration))
                jobs[name] = self._pool.submit(self._fill_slot, view, name, out[index])
            else:
                out[index] = self._fill
        # All results are awaited before an error is raised: a thread must not write into `out` afterwards.
        errors = [error for job in jobs.values() if (error := job.exception()) is not None]
        if errors:
            raise errors[0]
        spent = np.array([job.result() for job in jobs.values()]).reshape(-1, 2).sum(axis=0)
        elapsed_ms = (time.perf_counter() - started) * 1e3
        decode, resize = elapsed_ms * spent / max(float(spent.sum()), 1e-9)
        return PreparedImages(out, model2img, valid, rows, {"decode": float(decode), "resize": float(resize)})

    def intrinsic_44(self, calibration: CameraCalibration) -> FloatArray:
        """4x4, camera frame -> homogeneous pixels of the padded network input."""
        scale = self.image.width / calibration.width
        cut = max(0, self._scaled_rows(calibration) - self.image.height)
        matrix = np.eye(4)
        matrix[:2, :3] = calibration.intrinsic[:2] * scale
        matrix[1, 2] -= cut
        return matrix

    def _scaled_rows(self, calibration: CameraCalibration) -> int:
        return round(calibration.height * self.image.width / calibration.width)

    def _fill_slot(self, view: CameraView, camera: str, slot: NDArray[np.uint8]) -> tuple[float, float]:
        """Writes one camera's pixels into `slot` [height, width, 3]; returns seconds of decoding and resizing."""
        started = time.perf_counter()
        calibration = view.calibration
        reduction = _reduction(calibration.width, self.image.width)
        if isinstance(view.image, EncodedImage):
            pixels, color = _decode(view.image, calibration, reduction), "bgr"
            left = reduction * pixels.shape[1] // calibration.width
        else:
            pixels, color, left = view.image, view.color, reduction
        decoded = time.perf_counter()

        # Halving by area, as the reduced decoding does: both kinds of input give nearly the same pixels.
        while left > 1:
            even = pixels[: pixels.shape[0] // 2 * 2]
            pixels = np.asarray(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)
            left //= 2
        # Reduced decoding rounds the height up; the last, partial row is dropped so that the scale stays exact.
        pixels = pixels[: calibration.height // reduction]
        scale = self.image.width / pixels.shape[1]
        rows = self._scaled_rows(calibration)
        rows_there = min(rows, round(pixels.shape[0] * scale))
        cut = max(0, rows - self.image.height)
        target = slot[: rows_there - cut]
        if cut:
            target[:] = _scaled(pixels, scale, (rows_there, self.image.width))[cut:]
        else:
            _scaled(pixels, scale, (rows_there, self.image.width), target)
        if color != self.image.color:
            cv2.cvtColor(target, cv2.COLOR_BGR2RGB, dst=target)
        slot[rows_there - cut :] = self._fill
        return decoded - started, time.perf_counter() - decoded


def can_bus_vector(frame: DrivingFrame) -> FloatArray:
    """CAN vector [18] in VAD's layout, absolute values; differences to the earlier frame are the memory's task.

    Translation 3 and quaternion 4 (w, x, y, z; w >= 0) of the ego pose in the global frame, acceleration 3,
    rotation rate 3, velocity 3 (ego frame), yaw in radians and in degrees, both in the turn that starts at 0 (method:
    hustvl/VAD, data preparation).

    Acceleration, rotation rate and velocity are zeros without ego status, and also where that comes from differences of
    poses: VAD has zeros in scenes without CAN bus. The acceleration is what a sensor feels; to that of odometry gravity
    is added.
    """
    vector = np.zeros(18)
    vector[:3] = frame.T_global_ego[:3, 3]
    vector[3:7] = matrix_to_quaternion(frame.T_global_ego)
    status = frame.ego_status
    if status is not None and status.source != "poses":
        vector[7:10] = status.acceleration
        if status.source == "odometry":
            vector[7:10] += GRAVITY_MS2 * frame.T_global_ego[2, :3]
        vector[10:13] = status.rotation_rate
        vector[13:16] = status.velocity
    yaw = float(np.arctan2(frame.T_global_ego[1, 0], frame.T_global_ego[0, 0])) % (2 * np.pi)
    vector[16], vector[17] = yaw, np.degrees(yaw)
    return vector


def _reduction(width: int, target_width: int) -> int:
    """Largest factor of 8, 4, 2, 1 that divides the width and leaves at least the target's."""
    return next(
        factor for factor in (8, 4, 2, 1) if factor == 1 or (width % factor == 0 and width // factor >= target_width)
    )


def _decode(image: EncodedImage, calibration: CameraCalibration, reduction: int) -> NDArray[np.uint8]:
    """BGR pixels, reduced by `reduction` where the format allows it (JPEG), else full."""
    check_encoded(image, calibration.width, calibration.height)
    factor = reduction if is_jpeg(image.data) else 1
    # The calibration speaks of the sensor's rows and columns: an orientation tag must not turn them.
    flags = _REDUCED_DECODING[factor] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(image.data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"{image.source} cannot be decoded: {error}") from error
    if pixels is None:
        raise ImageError(f"{image.source} cannot be decoded: the image data is corrupt or of an unknown format")
    expected = (-(-calibration.height // factor), calibration.width // factor)
    if pixels.shape[:2] != expected:
        raise ImageError(
            f"{image.source} decodes to {pixels.shape[1] * factor}x{pixels.shape[0] * factor} pixels, its calibration "
            f"speaks of {calibration.width}x{calibration.height}; use the calibration that belongs to this image size"
        )
    # Where compressed data is missing in the middle of a file, decoders fill what is left with exactly this grey.
    if (pixels[-1] == 128).all() and not (pixels[0] == 128).all():
        raise ImageError(
            f"{image.source} is corrupt: its lower part could not be decoded; copy or extract the file again, "
            "or check the camera's link"
        )
    return pixels


def _scaled(
    pixels: NDArray[np.uint8], scale: float, shape: tuple[int, int], target: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Bilinear resize with exactly this scale on both axes to [rows, columns, 3], into `target` when given."""
    if target is None:
        target = np.empty((*shape, 3), dtype=np.uint8)
    # Given the factors instead of a size, OpenCV uses them as they are: a size would stretch rounded heights.
    result = cv2.resize(pixels, None, dst=target, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    if result.shape[:2] != shape:
        raise ImageError(f"resizing gave {result.shape[:2]} instead of {shape}; please report this image size")
    return target
