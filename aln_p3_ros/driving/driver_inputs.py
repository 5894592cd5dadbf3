"""What enters the driver node: subscriptions, and what they fill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from aln_p3.msg import RouteCommand as RouteCommandMessage
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from aln_p3_core.calibration import load_calibration
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_ros.driving.camera_set import CameraFault, CameraSet, FaultKind, StampedImage
from aln_p3_ros.driving.camera_sync import CameraSync
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.frame_builder import quick_fault
from aln_p3_ros.driving.odometry import OdometryBuffer, OdometrySample
from aln_p3_ros.driving.rig import Rig
from aln_p3_ros.messages.conversions import command_from_message
from aln_p3_ros.messages.images import content_fingerprint
from aln_p3_ros.messages.stamps import seconds_to_ns, to_ns
from aln_p3_ros.messages.transforms import TransformTree, tf_message_type
from aln_p3_ros.qos import latched_qos, overridable, reliable_qos, sensor_qos
from aln_p3_ros.topics import TOPICS


class DriverInputs:
    """All inputs of the driver node.

    Calibration, transforms, odometry and the command are listened to from the start, so that they are there
    when planning begins; images only between `start` and `stop`. Callbacks share one callback group, and a lock
    guards against the node's other threads.

    Args:
        node: owner of the subscriptions.
        settings: the node's.
        cameras: the rig in the model's order.
        on_set: called with each camera set once its ego motion is known, or has been waited for.
        on_jump: called when time went back, with the reason, before anything of the new time is handed on.

    Attributes:
        odometry_problem: what is wrong with the last odometry, used or not; "" when nothing is.
        odometry_doubt: what is doubtful about the odometry that is used, or "".
        speed: m/s along the vehicle, of the last odometry that was used, or None.
        passed_over: camera sets that a newer one replaced while they waited for odometry.

    Raises:
        ConfigError, CalibrationError: settings, calibration file or rig do not fit together.
    """

    def __init__(
        self,
        node: Node,
        settings: DriverSettings,
        cameras: tuple[str, ...],
        on_set: Callable[[CameraSet], None],
        on_jump: Callable[[str], None],
    ) -> None:
        self._node = node
        self._settings = settings
        self.cameras = cameras
        self._on_set = on_set
        self._on_jump = on_jump
        self.lock = threading.RLock()
        self.group = MutuallyExclusiveCallbackGroup()
        self.tree = TransformTree()
        self.odometry = OdometryBuffer(settings.odometry_tolerance_s, jump_s=settings.time_jump_s)
        self.rig = self._make_rig()
        self.sync = self._make_sync()
        self.odometry_problem = self.odometry_doubt = ""
        self.speed: float | None = None
        self._command: tuple[RouteCommand, int] | None = None
        self._waiting: tuple[CameraSet, int] | None = None
        self._unusable: Mapping[str, CameraFault] = {}
        self.passed_over = 0
        self._steady: list[Subscription] = []
        self._images: list[Subscription] = []
        self._subscribe_steady()

    def start(self) -> None:
        """Begins to listen to the cameras."""
        with self.lock:
            self.sync = self._make_sync()
            self._waiting, self._unusable = None, {}
            raw = self._settings.image_transport == "raw"
            key, kind = ("camera_image", Image) if raw else ("camera_compressed", CompressedImage)
            for camera in self.cameras:
                topic = TOPICS[key].name.format(camera=camera.lower())
                self._images.append(self._subscribe(kind, topic, partial(self._on_image, camera), sensor_qos()))

    def stop(self) -> None:
        """Stops listening to the cameras."""
        with self.lock:
            while self._images:
                self._node.destroy_subscription(self._images.pop())
            self._waiting = None

    def destroy(self) -> None:
        """Takes all subscriptions away."""
        self.stop()
        while self._steady:
            self._node.destroy_subscription(self._steady.pop())

    def poll(self) -> None:
        """To be called regularly: hands out sets that have waited long enough, and notices that time went back."""
        with self.lock:
            now_ns = self._now_ns()
            self._take(self.sync.poll(now_ns), now_ns)

    def command(self, now_ns: int) -> RouteCommand:
        """The last command, or the default one when none came within its time-out."""
        with self.lock:
            if self._command is not None:
                command, received_ns = self._command
                limit_ns = seconds_to_ns(self._settings.command_timeout_s)
                if not limit_ns or 0 <= now_ns - received_ns <= limit_ns:
                    return command
        return RouteCommand(Command[self._settings.default_command.upper()], CommandProvenance.DEFAULT)

    def update_settings(self, settings: DriverSettings) -> None:
        """Takes over settings that may change while the node runs. Raises ConfigError when they do not fit."""
        self._check_required(settings)
        self._settings = settings

    def camera_fault(self, camera: str) -> CameraFault | None:
        """The camera's fault now: its calibration's, what the matching found, or its pixels'."""
        fault = self.sync.states[camera].fault or self._unusable.get(camera)
        if fault is None and self.rig.calibration(camera) is None:
            return CameraFault(FaultKind.UNCALIBRATED, self.rig.problem(camera))
        return fault

    def note_unusable(self, faults: Mapping[str, CameraFault]) -> None:
        """Notes of which cameras the images turned out to be unusable only when a frame was built, or decoded."""
        self._unusable = dict(faults)

    def _check_required(self, settings: DriverSettings) -> None:
        strangers = [name for name in settings.required_cameras if name not in self.cameras]
        if strangers:
            raise ConfigError(
                f"required_cameras names {strangers}, the rig has {list(self.cameras)}: name some of it, or none"
            )

    def _make_rig(self) -> Rig:
        settings = self._settings
        self._check_required(settings)
        path = settings.calibration_file
        return Rig(
            self.cameras,
            self.tree,
            frames=settings.per_camera("camera_frames", self.cameras) if settings.camera_frames else None,
            fixed=load_calibration(path, self.cameras) if path else None,
            base_frame=settings.base_frame,
            distortion=settings.distortion,  # type: ignore[arg-type]
            body_axes=settings.camera_axes == "body",
            model_frame=settings.model_frame,
            lidar_frame=settings.lidar_frame,
        )

    def _make_sync(self) -> CameraSync:
        settings = self._settings
        if settings.anchor_camera and settings.anchor_camera not in self.cameras:
            raise ConfigError(f"anchor_camera {settings.anchor_camera!r} is not in the rig {list(self.cameras)}")
        return CameraSync(
            self.cameras,
            settings.anchor_camera,
            max_skew_ns=seconds_to_ns(settings.max_skew_s),
            set_timeout_ns=seconds_to_ns(settings.set_timeout_s),
            camera_timeout_ns=seconds_to_ns(settings.camera_timeout_s),
            frozen_after=settings.frozen_after,
            max_age_ns=seconds_to_ns(settings.max_image_age_s),
            jump_ns=seconds_to_ns(settings.time_jump_s),
        )

    def _subscribe_steady(self) -> None:
        topics = {key: topic.name for key, topic in TOPICS.items()}
        self._steady = [
            self._subscribe(Odometry, topics["odometry"], self._on_odometry, reliable_qos(50)),
            self._subscribe(RouteCommandMessage, topics["route_command"], self._on_command, reliable_qos(1)),
        ]
        # With a calibration file the driver works without transforms, and without their package: model_frame auto must
        # not depend on whether somebody happens to send them.
        if not self._settings.calibration_file or self._settings.model_frame == "lidar":
            kind = tf_message_type()
            self._steady.append(self._subscribe(kind, topics["tf_static"], self._on_transforms, latched_qos()))
        if not self._settings.calibration_file:
            for camera in self.cameras:
                topic = topics["camera_info"].format(camera=camera.lower())
                self._steady.append(
                    self._subscribe(CameraInfo, topic, partial(self.rig.add_info, camera), sensor_qos())
                )

    def _subscribe(self, kind: Any, topic: str, callback: Callable[[Any], None], qos: Any) -> Subscription:
        return self._node.create_subscription(
            kind,
            topic,
            callback,
            qos,
            callback_group=self.group,
            qos_overriding_options=overridable(),
            # An event handler a subscription doubles what the executor looks at for every message, and at the
            # rates of a whole rig its thread would take a core from the network.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_image(self, camera: str, message: Any) -> None:
        fault = quick_fault(camera, message, self.rig.calibration(camera))
        with self.lock:
            if not self._images:
                return
            # Read under the lock: a clock value from before the wait for it would look like a step back.
            now_ns = self._now_ns()
            if fault is not None:
                self.sync.reject(camera, fault, now_ns)
                return
            fingerprint = content_fingerprint(message.data) if self._settings.frozen_after else None
            image = StampedImage(camera, to_ns(message.header.stamp), message, fingerprint)
            self._take(self.sync.add(image, now_ns), now_ns)

    def _on_odometry(self, message: Odometry) -> None:
        try:
            sample = OdometrySample.from_message(message, self._settings.base_frame)
        except ValueError as error:
            self.odometry_problem = f"odometry refused: {error}"
            return
        problem = self.odometry.add(sample)
        with self.lock:
            if self.odometry.newest is sample:
                frame, expected = message.header.frame_id.lstrip("/"), self._settings.odom_frame
                self.odometry_doubt = "" if frame == expected else f"odometry is in {frame!r}, not in {expected!r}"
                self.speed = float(sample.linear[0])
                self.sync.moving = bool(np.linalg.norm(sample.linear) > self._settings.frozen_min_speed_mps)
            self.odometry_problem = problem or self.odometry_doubt
            now_ns = self._now_ns()
            self.sync.tick(now_ns)
            self._take(None, now_ns)

    def _on_command(self, message: RouteCommandMessage) -> None:
        try:
            command = command_from_message(message)
        except ValueError as error:
            self._node.get_logger().warning(f"route command refused: {error}", throttle_duration_sec=5.0)
            return
        with self.lock:
            self._command = (command, self._now_ns())

    def _on_transforms(self, message: Any) -> None:
        for problem in self.tree.add_message(message):
            self._node.get_logger().warning(problem, throttle_duration_sec=5.0)

    def _take(self, camera_set: CameraSet | None, now_ns: int) -> None:
        """After every look at the time: forgets what is of a time before, and hands on what need not wait.

        Args:
            camera_set: a new set. The latest wins: one that still waits for odometry is passed over.
        """
        if reason := self.sync.take_cleared():
            self._waiting = None
            # A small step back may not show in the odometry's own stamps. What lies just ahead is of the new time
            # already: /clock ticks, and its messages may be looked at after those that it announces.
            self.odometry.forget_after(now_ns + seconds_to_ns(self._settings.odometry_tolerance_s))
            self._on_jump(reason)
        if camera_set is not None:
            self.passed_over += self._waiting is not None
            self._waiting = (camera_set, now_ns)
        self._release(now_ns)

    def _release(self, now_ns: int) -> None:
        """Hands the waiting set on when odometry surrounds it, none ever came, or the wait is over; never before a
        simulated clock has begun, for nobody can tell how old it is."""
        if self._waiting is None or now_ns == 0:
            return
        camera_set, since_ns = self._waiting
        waited = now_ns - since_ns
        unknown = self.odometry.newest_stamp_ns is None
        limit_ns = seconds_to_ns(self._settings.odometry_wait_s)
        if unknown or self.odometry.covers(camera_set.newest_stamp_ns) or not 0 <= waited < limit_ns:
            self._waiting = None
            self._on_set(camera_set)
