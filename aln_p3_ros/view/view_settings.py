"""The view node's parameters: one field each. config/view.yaml repeats them for people to edit."""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_ros.parameters import check_choices, setting


@dataclass(frozen=True)
class ViewSettings:
    """Settings of `view_node`; the text of each field is its parameter's description."""

    # The rig.
    cameras: tuple[str, ...] = setting(NUSCENES_CAMERAS, "Names of the cameras in the rig's order.")
    image_transport: str = setting(
        "compressed", "sensor_msgs/CompressedImage or sensor_msgs/Image.", choices=("compressed", "raw")
    )
    camera_frames: tuple[str, ...] = setting(
        (),
        "Frames of the cameras on /tf_static: one per camera in their order, or one pattern with {camera} for the "
        "lower-case name. Empty: as CameraInfo's header says.",
    )
    camera_axes: str = setting(
        "optical", "Axes of the camera frames: optical (z forward) or body (x forward).", choices=("optical", "body")
    )
    calibration_file: str = setting(
        "",
        "Calibration file instead of CameraInfo and /tf_static, for the cameras that it holds. Empty: the topics.",
    )
    distortion: str = setting(
        "warn",
        "What to do about lens distortion in CameraInfo: warn and take K as it is; undo it (full decode, remap); or "
        "take the images as rectified already, with P and R.",
        choices=("warn", "undo", "rectified"),
    )
    base_frame: str = setting("base_link", "Frame of the vehicle: rear axle on the ground, x forward, y left.")

    # What is shown, and when.
    rate_hz: float = setting(4.0, "Highest rate of the pictures, Hz.", minimum=0.1, maximum=60.0)
    max_skew_s: float = setting(
        0.15, "An image this much older than the plan's stamp is still shown with it, s.", minimum=0.0, maximum=5.0
    )
    buffer_s: float = setting(1.5, "How long images are kept while their plan is made, s.", minimum=0.1, maximum=30.0)
    plan_timeout_s: float = setting(
        2.0, "After this time without a plan the cameras are shown alone, s.", minimum=0.1, maximum=600.0
    )
    truth_tolerance_s: float = setting(
        0.1, "Ground truth this far in time from the plan is shown with it, s.", minimum=0.0, maximum=5.0
    )
    lidar: bool = setting(True, "LiDAR points in the bird's-eye view, where there are any.")
    lidar_tolerance_s: float = setting(
        0.15, "A LiDAR sweep this far in time from the plan is shown with it, s.", minimum=0.0, maximum=5.0
    )
    caption_timeout_s: float = setting(
        8.0, "An explanation of a plan this much older is no longer shown, s.", minimum=0.0, maximum=600.0
    )
    min_score: float = setting(0.3, "Objects and lines below it are not drawn.", minimum=0.0, maximum=1.0)
    note: str = setting("", "A line shown with every picture, such as 'untrained heads'.")

    # How it is drawn.
    mosaic_width: int = setting(1600, "Width of the mosaic in pixels.", minimum=320, maximum=7680)
    bev_height: int = setting(800, "Height of the bird's-eye view in pixels.", minimum=200, maximum=4320)
    marker_lifetime_s: float = setting(
        1.0, "Markers vanish this long after the last update, s.", minimum=0.0, maximum=60.0
    )

    # Where it is kept beside the topics.
    folder: str = setting("", "Folder in which pictures are written as files. Empty: none.")
    every: int = setting(1, "Write every n-th picture.", minimum=1, maximum=100000)
    rerun: str = setting(
        "off",
        "Rerun viewer: record writes a .rrd file, serve opens a page for a browser.",
        choices=("off", "record", "serve"),
    )
    rerun_file: str = setting("out/view.rrd", "File that rerun=record writes.")
    rerun_port: int = setting(
        9090, "Port of the page that rerun=serve opens, on this machine only.", minimum=1024, maximum=65535
    )

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        if not self.cameras:
            raise ConfigError("cameras must name at least one camera")
        if len(self.camera_frames) not in (0, 1, len(self.cameras)):
            raise ConfigError(
                f"camera_frames must be empty, one pattern, or one frame per camera ({len(self.cameras)}), "
                f"got {len(self.camera_frames)}"
            )

    def frames(self) -> dict[str, str]:
        """TF frame per camera; empty when CameraInfo's headers say it."""
        patterns = self.camera_frames
        if len(patterns) == 1:
            patterns = patterns * len(self.cameras)
        return {
            camera: pattern.format(camera=camera.lower())
            for camera, pattern in zip(self.cameras, patterns, strict=False)
        }
