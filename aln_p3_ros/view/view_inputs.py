"""What the view has heard, and which of it belongs into one picture.

A plan is shown with the images that it was made from, not with the newest ones: images wait in a short buffer
until their plan comes. Without plans the cameras are shown alone.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from aln_p3.msg import Explanation, PlannedTrajectory, PredictedObjects, VectorMap
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

from aln_p3_core.calibration import load_calibration
from aln_p3_core.drawing.content import Content
from aln_p3_core.errors import CalibrationError, DataError
from aln_p3_core.frame import CameraCalibration, DrivingFrame, RouteCommand
from aln_p3_core.geometry import FloatArray, invert_transform, transform_points, virtual_T_ego_model
from aln_p3_ros.driving.camera_set import CameraSet, StampedImage
from aln_p3_ros.driving.frame_builder import FrameBuilder
from aln_p3_ros.driving.odometry import OdometryBuffer, OdometrySample
from aln_p3_ros.driving.rig import Rig
from aln_p3_ros.messages.conversions import command_from_message
from aln_p3_ros.messages.explanation import contradicts, explanation_lines
from aln_p3_ros.messages.point_clouds import point_cloud_array
from aln_p3_ros.messages.scene_from_messages import boxes_from_messages, content_from_messages
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.messages.transforms import TransformTree
from aln_p3_ros.view.view_settings import ViewSettings

#: A plan waits this long for the objects and the map that belong to it, and an image for the other cameras', seconds.
_SETTLE_S = 0.25
_KEPT_PLANS = 12
_Stamped = TypeVar("_Stamped", PredictedObjects, PointCloud2)
_JUMP_NS = 500_000_000
#: Images of one round of the cameras are not farther apart than this.
_ROUND_NS = 60_000_000


@dataclass(frozen=True, eq=False)
class View:
    """One picture's worth.

    Attributes:
        header: base_link at the plan's stamp (without a plan, the newest image's).
        frame: images and calibration.
        content: what the driver saw and planned. truth: what was annotated.
        truth_message: the message that `truth` is from, or None.
        lidar_model: [n, 3] LiDAR points in the frame's model frame, m, or None.
        banner, alarm, caption, caption_alarm: texts, as `draw_mosaic` takes them.
    """

    header: Header
    frame: DrivingFrame
    content: Content
    truth: Content
    truth_message: PredictedObjects | None
    lidar_model: FloatArray | None
    banner: str
    alarm: str
    caption: str
    caption_alarm: bool = False


class ViewInputs:
    """Buffers of all inputs. Safe to use from several threads.

    Args:
        settings: of the node.

    Attributes:
        calibrated: cameras whose calibration a file holds.

    Raises:
        CalibrationError: for a calibration file that is missing or broken, or has none of the cameras.
    """

    def __init__(self, settings: ViewSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self.transforms = TransformTree()
        self.odometry = OdometryBuffer(tolerance_s=0.2, history_s=settings.buffer_s + 2.0)
        fixed = _calibrations(settings)
        self.calibrated = frozenset(fixed)
        self.rig = Rig(
            settings.cameras,
            self.transforms,
            frames=settings.frames(),
            fixed=fixed,
            base_frame=settings.base_frame,
            distortion=settings.distortion,  # type: ignore[arg-type]  # checked by the settings
            body_axes=settings.camera_axes == "body",
            model_frame="virtual",
        )
        self._builder = FrameBuilder(self.rig, self.odometry, "view")
        self._images: dict[str, deque[StampedImage]] = {name: deque() for name in settings.cameras}
        self._plans: OrderedDict[str, tuple[PlannedTrajectory, float]] = OrderedDict()
        self._objects: OrderedDict[str, PredictedObjects] = OrderedDict()
        self._maps: OrderedDict[str, VectorMap] = OrderedDict()
        self._truths: deque[PredictedObjects] = deque(maxlen=16)
        self._clouds: deque[PointCloud2] = deque(maxlen=8)
        self._explanation: Explanation | None = None
        self._shown_plan = ""
        self._shown_images_ns = 0
        self._newest_images_ns = 0
        self._newest_since_s = 0.0
        self._first_images_s: float | None = None
        self._last_plan_s: float | None = None

    def add_image(self, camera: str, message: Any) -> None:
        """Takes an image; those older than the buffer, or from before a time jump, go."""
        image = StampedImage(camera, to_ns(message.header.stamp), message)
        with self._lock:
            images = self._images[camera]
            if images and image.stamp_ns < images[-1].stamp_ns - _JUMP_NS:
                images.clear()
            images.append(image)
            oldest = image.stamp_ns - round(self._settings.buffer_s * 1e9)
            while images[0].stamp_ns < oldest:
                images.popleft()

    def add_info(self, camera: str, message: CameraInfo) -> None:
        """Takes a camera's calibration."""
        self.rig.add_info(camera, message)

    def add_odometry(self, message: Odometry) -> str:
        """Takes a pose. Returns "" or why it was refused."""
        try:
            return self.odometry.add(OdometrySample.from_message(message))
        except ValueError as error:
            return f"odometry refused: {error}"

    def add_plan(self, message: PlannedTrajectory, now_s: float) -> None:
        """Takes a plan that arrived at `now_s` on a steady clock."""
        with self._lock:
            _keep(self._plans, message.plan_id, (message, now_s))
            self._last_plan_s = now_s

    def add_objects(self, message: PredictedObjects) -> None:
        """Takes the objects of a plan."""
        with self._lock:
            _keep(self._objects, message.plan_id, message)

    def add_map(self, message: VectorMap) -> None:
        """Takes the map lines of a plan."""
        with self._lock:
            _keep(self._maps, message.plan_id, message)

    def add_truth(self, message: PredictedObjects) -> None:
        """Takes annotated objects."""
        with self._lock:
            self._truths.append(message)

    def add_cloud(self, message: PointCloud2) -> None:
        """Takes a LiDAR sweep."""
        with self._lock:
            self._clouds.append(message)

    def add_explanation(self, message: Explanation) -> None:
        """Takes an explanation."""
        with self._lock:
            self._explanation = message

    def next_view(self, now_s: float, *, plans_expected: bool = False) -> View | None:
        """What is to be shown now, or None when that has been shown already or nothing has come.

        Args:
            now_s: the time on the clock that `add_plan` was told.
            plans_expected: somebody is there to make plans, so the cameras alone wait for the first one.

        Raises:
            ValueError: for messages whose numbers are no poses.
        """
        with self._lock:
            plan = self._newest_settled(now_s)
            stamp_ns = to_ns(plan.header.stamp) if plan is not None else self._settled_images_ns(now_s)
            if plan is None and (not stamp_ns or self._plan_may_come(now_s, plans_expected)):
                return None
            self._shown_images_ns = stamp_ns
            if plan is not None:
                self._shown_plan = plan.plan_id
            silent_s = None if self._last_plan_s is None else now_s - self._last_plan_s
            images = self._images_at(stamp_ns)
            objects = self._objects.get(plan.plan_id) if plan else None
            lines = self._maps.get(plan.plan_id) if plan else None
            truth_message = _nearest(self._truths, stamp_ns, self._settings.truth_tolerance_s)
            cloud = _nearest(self._clouds, stamp_ns, self._settings.lidar_tolerance_s)
            caption, caption_alarm = self._caption(stamp_ns)
        command = RouteCommand() if plan is None else command_from_message(plan.command)
        frame = self._frame(images, stamp_ns, command)
        content = content_from_messages(plan, objects, lines, min_score=self._settings.min_score)
        banner = self._settings.note
        alarm = ""
        if plan is None:
            waiting = "no plan has come yet" if silent_s is None else f"no plan for {silent_s:.0f} s"
            banner = "; ".join(text for text in (banner, waiting) if text)
        elif plan.degraded != PlannedTrajectory.DEGRADED_NONE:
            kind = "stop" if plan.degraded == PlannedTrajectory.DEGRADED_STOP else "degraded"
            alarm = f"{kind}: {'; '.join(plan.degraded_reasons)}"
        header = plan.header if plan else Header(stamp=to_time(stamp_ns), frame_id=self._settings.base_frame)
        truth = self._truth_content(truth_message, stamp_ns)
        lidar = self._lidar_model(cloud, frame)
        return View(header, frame, content, truth, truth_message, lidar, banner, alarm, caption, caption_alarm)

    def _newest_settled(self, now_s: float) -> PlannedTrajectory | None:
        """The newest plan whose objects and map are there, or have kept us waiting; never one before the last shown."""
        for plan_id in reversed(self._plans):
            if plan_id == self._shown_plan:
                return None
            plan, arrived_s = self._plans[plan_id]
            complete = plan_id in self._objects and plan_id in self._maps
            if complete or now_s - arrived_s >= _SETTLE_S:
                return plan
        return None

    def _plan_may_come(self, now_s: float, plans_expected: bool) -> bool:
        since_s = self._last_plan_s
        if since_s is None and plans_expected:
            since_s = self._first_images_s
        return since_s is not None and now_s - since_s <= self._settings.plan_timeout_s

    def _settled_images_ns(self, now_s: float) -> int:
        """Stamp of the newest image once the other cameras' are there too, or have kept us waiting; 0 before.

        Images that have been shown, alone or with their plan, do not count again.
        """
        newest = [images[-1].stamp_ns for images in self._images.values() if images]
        if not newest or max(newest) == self._shown_images_ns:
            return 0
        if max(newest) != self._newest_images_ns:
            self._newest_images_ns, self._newest_since_s = max(newest), now_s
        if self._first_images_s is None:
            self._first_images_s = now_s
        complete = len(newest) == len(self._images) and max(newest) - min(newest) <= _ROUND_NS
        return max(newest) if complete or now_s - self._newest_since_s >= _SETTLE_S else 0

    def _images_at(self, stamp_ns: int) -> dict[str, StampedImage]:
        """Per camera the newest image up to an instant, where it is not too old for it."""
        oldest = stamp_ns - round(self._settings.max_skew_s * 1e9)
        chosen = {}
        for name, images in self._images.items():
            fitting = [image for image in images if oldest <= image.stamp_ns <= stamp_ns]
            if fitting:
                chosen[name] = fitting[-1]
        return chosen

    def _frame(self, images: dict[str, StampedImage], stamp_ns: int, command: RouteCommand) -> DrivingFrame:
        camera_set = CameraSet("", stamp_ns, images, {})
        frame = self._builder.build(camera_set, command).frame if images else None
        pose = self.odometry.pose_at(stamp_ns)
        if frame is None:
            pose = np.eye(4) if pose is None else pose
            return DrivingFrame(self._settings.cameras, {}, stamp_ns, pose, virtual_T_ego_model(), command)
        # The reference is the plan's instant even where the newest image of its set did not reach the view.
        return dataclasses.replace(
            frame, reference_stamp_ns=stamp_ns, T_global_ego=frame.T_global_ego if pose is None else pose
        )

    def _lidar_model(self, cloud: PointCloud2 | None, frame: DrivingFrame) -> FloatArray | None:
        if cloud is None:
            return None
        T_base_lidar = self.transforms.lookup(self._settings.base_frame, cloud.header.frame_id)
        if T_base_lidar is None:
            return None
        try:
            points = point_cloud_array(cloud, ("x", "y", "z"))
        except DataError as error:
            raise ValueError(str(error)) from error
        moved = self._ego_motion(to_ns(cloud.header.stamp), frame.reference_stamp_ns)
        return transform_points(invert_transform(frame.T_ego_model) @ moved @ T_base_lidar, points)

    def _truth_content(self, message: PredictedObjects | None, stamp_ns: int) -> Content:
        if message is None:
            return Content()
        T_model_base = invert_transform(virtual_T_ego_model()) @ self._ego_motion(to_ns(message.header.stamp), stamp_ns)
        return Content(boxes=boxes_from_messages(message.objects, T_model_base, scored=False))

    def _ego_motion(self, from_ns: int, to_stamp_ns: int) -> FloatArray:
        """4x4, base_link at one instant to base_link at another; identity where odometry does not know."""
        T_odom_from, T_odom_to = self.odometry.pose_at(from_ns), self.odometry.pose_at(to_stamp_ns)
        if T_odom_from is None or T_odom_to is None:
            return np.eye(4)
        return invert_transform(T_odom_to) @ T_odom_from

    def _caption(self, stamp_ns: int) -> tuple[str, bool]:
        """The words to show at an instant, and whether they contradict their plan."""
        explanation = self._explanation
        if explanation is None:
            return "", False
        age_s = (stamp_ns - to_ns(explanation.header.stamp)) * 1e-9
        if not 0 <= age_s <= self._settings.caption_timeout_s:
            return "", False
        lines = explanation_lines(explanation)
        if age_s > 0.05:
            lines.append(f"(said of the plan {age_s:.1f} s ago)")
        return "\n".join(lines), contradicts(explanation)


def _calibrations(settings: ViewSettings) -> dict[str, CameraCalibration]:
    """What the calibration file holds of the cameras that are shown; a rig may have fewer than can be shown."""
    path = settings.calibration_file
    if not path:
        return {}
    rig = load_calibration(path)
    found = {name: rig[name] for name in settings.cameras if name in rig}
    if not found:
        raise CalibrationError(f"{path} has none of the cameras {', '.join(settings.cameras)}; it has {', '.join(rig)}")
    return found


def _nearest(messages: Iterable[_Stamped], stamp_ns: int, tolerance_s: float) -> _Stamped | None:
    """The message nearest in time, where it is near enough."""
    distances = [(abs(to_ns(message.header.stamp) - stamp_ns), message) for message in messages]
    distance_ns, nearest = min(distances, key=lambda pair: pair[0], default=(0, None))
    return nearest if distance_ns <= round(tolerance_s * 1e9) else None


def _keep(messages: OrderedDict[str, Any], plan_id: str, value: Any) -> None:
    messages[plan_id] = value
    messages.move_to_end(plan_id)
    while len(messages) > _KEPT_PLANS:
        messages.popitem(last=False)
