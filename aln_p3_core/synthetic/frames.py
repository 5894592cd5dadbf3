"""Driving frames of the test track, straight in memory."""

from __future__ import annotations

import cv2
import numpy as np

from aln_p3_core.frame import CameraView, DrivingFrame, EncodedImage
from aln_p3_core.geometry import virtual_T_ego_model
from aln_p3_core.synthetic import track

_START_NS = 1_600_000_000_000_000_000


def track_frames(
    count: int,
    *,
    rate_hz: float = 10.0,
    size: tuple[int, int] = (800, 450),
    encoded: bool = True,
    noise: float = 0.0,
    seed: int = 0,
) -> list[DrivingFrame]:
    """Consecutive frames of one drive, all cameras at the reference stamp.

    Args:
        count: number of frames.
        rate_hz: frames per second.
        size: width and height of the pictures.
        encoded: JPEG bytes, as cameras and data sets deliver; else raw RGB.
        noise: standard deviation of grain, grey levels. About 2.5 gives JPEG files of the size of real ones.
        seed: of the grain.
    """
    generator = np.random.default_rng(seed)
    calibrations = track.rig(*size)
    frames = []
    for index in range(count):
        seconds = index / rate_hz
        stamp_ns = _START_NS + round(seconds * 1e9)
        T_global_ego = track.ego_pose(seconds)
        views = {}
        for name, calibration in calibrations.items():
            picture = track.paint(calibration, T_global_ego, seconds)
            if noise:
                grain = generator.normal(0, noise, picture.shape[:2]).astype(np.float32)[..., None]
                picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
            image: EncodedImage | np.ndarray = picture
            if encoded:
                data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
                image = EncodedImage(data.tobytes(), source=f"test track {name} {seconds:.2f} s")
            views[name] = CameraView(image, stamp_ns, calibration, T_global_ego)
        frames.append(
            DrivingFrame(
                cameras=tuple(calibrations),
                views=views,
                reference_stamp_ns=stamp_ns,
                T_global_ego=T_global_ego,
                T_ego_model=virtual_T_ego_model(),
                drive_id="track",
                token=f"track-{index}",
            )
        )
    return frames
