"""The driver node's parameters: one field each. config/driver.yaml repeats them for people to edit.

Topics are no parameters: the node uses the names of `topics.TOPICS`, and ROS remapping renames them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.vehicle import NARROWEST_M, NUSCENES_VEHICLE, VehicleSize
from aln_p3_ros.parameters import check_choices, setting


@dataclass(frozen=True)
class DriverSettings:
    """Settings of `driver_node`; the text of each field is its parameter's description."""

    # The model.
    checkpoint: str = setting(
        "nano",
        "The driver: nano, which ships with the package, or the path of a checkpoint (.safetensors) or of an exported "
        "driver (.onnx, .pt2). Empty: an untrained recipe.",
    )
    recipe: str = setting(
        "",
        "Run this recipe (nano, tiny, base) untrained, instead of the shipped driver. With the path of a checkpoint: "
        "the recipe that it must be of.",
    )
    recipe_overrides: tuple[str, ...] = setting(
        (), "Changes to the recipe, each 'key=value' with a JSON value; the recipe is untrained then."
    )
    device: str = setting("auto", "Where the model runs: auto, cpu, cuda or cuda:N.")
    precision: str = setting("auto", "Arithmetic of the model.", choices=("auto", "fp32", "bf16", "fp16"))
    seed: int = setting(0, "Seed of the weights that no checkpoint gives.", minimum=0, maximum=2**31 - 1)
    compile_mode: str = setting(
        "off",
        "Use of torch.compile: slower to configure, faster to run.",
        choices=("off", "default", "reduce-overhead", "max-autotune"),
    )
    warm_up_frames: int = setting(
        2, "Empty frames run while configuring, so that the first real one is fast.", minimum=0, maximum=100
    )

    # The rig.
    cameras: tuple[str, ...] = setting((), "Names of the cameras in the rig's order. Empty: the recipe's own.")
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
    calibration_file: str = setting("", "Calibration file instead of CameraInfo and /tf_static. Empty: the topics.")
    distortion: str = setting(
        "warn",
        "What to do about lens distortion in CameraInfo: warn and take K as it is; undo it (full decode, remap); or "
        "take the images as rectified already, with P and R.",
        choices=("warn", "undo", "rectified"),
    )
    model_frame: str = setting(
        "auto",
        "Where the network's frame sits: at the LiDAR (nuScenes' LIDAR_TOP), at the virtual place (0.94, 0, 1.84), or "
        "auto: at the LiDAR where its y axis points forward. With a calibration_file auto is virtual: /tf_static is "
        "then read for lidar only.",
        choices=("auto", "lidar", "virtual"),
    )
    lidar_frame: str = setting("lidar_top", "Frame of the LiDAR on /tf_static, for model_frame.")
    base_frame: str = setting("base_link", "Frame of the vehicle: rear axle on the ground, x forward, y left.")
    odom_frame: str = setting("odom", "Frame fixed to the ground in which path and markers are drawn.")

    # The vehicle. The guard, which slows plans down that would touch somebody, keeps this outline away from others.
    vehicle_length_m: float = setting(NUSCENES_VEHICLE.length_m, "Length of the vehicle, m.", minimum=0.5, maximum=30.0)
    vehicle_width_m: float = setting(
        NUSCENES_VEHICLE.width_m, "Width of the vehicle, m.", minimum=NARROWEST_M, maximum=5.0
    )
    vehicle_middle_m: float = setting(
        NUSCENES_VEHICLE.middle_m,
        "How far the middle of the vehicle is ahead of base_frame's origin, m.",
        minimum=-15.0,
        maximum=15.0,
    )

    # Matching the cameras. Times are in the node's clock.
    anchor_camera: str = setting("", "Camera that opens a set; the others are matched to it. Empty: the first.")
    max_skew_s: float = setting(0.06, "Largest distance in time from the anchor's image, s.", minimum=0.0, maximum=1.0)
    set_timeout_s: float = setting(
        0.1, "A set waits this long for cameras that are alive, s.", minimum=0.0, maximum=5.0
    )
    camera_timeout_s: float = setting(
        0.5, "A camera without a new image for this long is silent, s.", minimum=0.01, maximum=60.0
    )
    frozen_after: int = setting(
        3,
        "A camera is frozen after this many equal images in a row while the vehicle moves; 0: never.",
        minimum=0,
        maximum=1000,
    )
    frozen_min_speed_mps: float = setting(
        0.5, "Below this speed equal images are taken for a standing vehicle's, m/s.", minimum=0.0, maximum=100.0
    )
    max_image_age_s: float = setting(
        1.0, "An image older than this when it arrives is late, s; 0: never.", minimum=0.0, maximum=3600.0
    )
    time_jump_s: float = setting(
        0.5, "Stamps that step back further than this mean a new start, s.", minimum=0.0, maximum=60.0
    )

    # Odometry and command.
    odometry_tolerance_s: float = setting(
        0.1, "Farthest instant from a measured pose for which one is derived, s.", minimum=0.0, maximum=5.0
    )
    odometry_wait_s: float = setting(
        0.05, "A camera set waits this long for odometry that surrounds it, s.", minimum=0.0, maximum=1.0
    )
    command_timeout_s: float = setting(
        5.0, "A route command older than this no longer counts, s; 0: never.", minimum=0.0, maximum=3600.0
    )
    default_command: str = setting(
        "straight", "Command when none counts.", choices=("right", "left", "straight"), live=True
    )

    # When to drive on with less, and when to stop.
    max_missing_cameras: int = setting(
        2, "With more cameras lost than this the vehicle stops.", minimum=0, maximum=64, live=True
    )
    required_cameras: tuple[str, ...] = setting(("CAM_FRONT",), "Cameras without which the vehicle stops.", live=True)
    input_timeout_s: float = setting(
        1.0, "Without a camera set for this long a stop is published, s.", minimum=0.05, maximum=60.0, live=True
    )
    inference_timeout_s: float = setting(
        5.0, "When one plan takes longer than this a stop is published, s.", minimum=0.1, maximum=600.0, live=True
    )
    reduced_plan_age_s: float = setting(
        1.0,
        "A plan whose newest image is older than this when it is published is degraded, s.",
        minimum=0.05,
        maximum=60.0,
        live=True,
    )
    max_plan_age_s: float = setting(
        2.0,
        "In place of a plan that is older than this, or than its own horizon, a stop is published, s.",
        minimum=0.05,
        maximum=60.0,
        live=True,
    )
    stop_deceleration_mps2: float = setting(
        2.0, "Braking of a declared stop, m/s^2.", minimum=0.1, maximum=10.0, live=True
    )
    stop_rate_hz: float = setting(
        5.0, "Rate of stop trajectories while there is nothing to drive on, Hz (wall clock).", minimum=0.1, maximum=50.0
    )

    # What is published.
    min_object_score: float = setting(0.2, "Objects below this are not published.", minimum=0.0, maximum=1.0, live=True)
    min_line_score: float = setting(0.2, "Map lines below this are not published.", minimum=0.0, maximum=1.0, live=True)
    max_objects: int = setting(100, "Most objects, and most map lines, a message.", minimum=0, maximum=1000, live=True)
    tokens_rate_hz: float = setting(
        1.0,
        "Highest rate of scene tokens, published while somebody subscribes, Hz.",
        minimum=0.0,
        maximum=50.0,
        live=True,
    )
    diagnostics_rate_hz: float = setting(4.0, "Rate of /diagnostics, Hz.", minimum=2.0, maximum=50.0, read_only=True)
    hardware_id: str = setting("aln_p3", "Hardware id in diagnostics.", read_only=True)

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        self.overrides()
        if self.reduced_plan_age_s > self.max_plan_age_s:
            raise ConfigError(
                f"reduced_plan_age_s ({self.reduced_plan_age_s:g} s) must not be above max_plan_age_s "
                f"({self.max_plan_age_s:g} s): a plan is degraded before it gives way to a stop"
            )
        self.vehicle()

    def vehicle(self) -> VehicleSize:
        """The vehicle's outline.

        Raises:
            ConfigError: when the origin of the vehicle's frame would lie outside of it.
        """
        return VehicleSize(self.vehicle_length_m, self.vehicle_width_m, self.vehicle_middle_m)

    def overrides(self) -> dict[str, Any]:
        """`recipe_overrides` as a dictionary.

        Raises:
            ConfigError: naming the entry that is not 'key=value' with a JSON value.
        """
        result = {}
        for entry in self.recipe_overrides:
            key, equals, text = entry.partition("=")
            try:
                result[key.strip()] = json.loads(text)
            except json.JSONDecodeError:
                equals = ""
            if not equals or not key.strip():
                raise ConfigError(f"recipe_overrides needs entries such as 'bev.rows=50', got {entry!r}")
        return result

    def per_camera(self, name: str, cameras: tuple[str, ...]) -> dict[str, str]:
        """One string per camera from a parameter that holds one each, or one pattern with {camera}.

        Raises:
            ConfigError: when the numbers differ.
        """
        entries: tuple[str, ...] = getattr(self, name)
        if len(entries) == 1 and "{camera}" in entries[0]:
            return {camera: entries[0].replace("{camera}", camera.lower()) for camera in cameras}
        if len(entries) != len(cameras):
            raise ConfigError(
                f"{name} must hold one pattern with {{camera}}, or one entry for each of the {len(cameras)} cameras "
                f"{list(cameras)}; it holds {len(entries)}: {list(entries)}"
            )
        return dict(zip(cameras, entries, strict=True))
