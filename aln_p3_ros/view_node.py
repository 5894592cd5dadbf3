"""view_node: pictures and markers of what the driver sees, predicts and plans."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aln_p3.msg import Explanation, PlannedTrajectory, PredictedObjects, VectorMap
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from aln_p3_core.drawing.bev import draw_bev
from aln_p3_core.drawing.images import save_image
from aln_p3_core.drawing.mosaic import draw_mosaic
from aln_p3_ros.driving.worker import LatestWorker
from aln_p3_ros.messages.images import image_message
from aln_p3_ros.messages.markers import view_markers
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.messages.transforms import tf_message_type
from aln_p3_ros.parameters import check_changes, declare_settings, read_settings
from aln_p3_ros.qos import latched_qos, overridable, reliable_qos, sensor_qos
from aln_p3_ros.spin import spin_node
from aln_p3_ros.topics import TOPICS
from aln_p3_ros.view.rerun_view import RerunView
from aln_p3_ros.view.view_inputs import View, ViewInputs
from aln_p3_ros.view.view_settings import ViewSettings


class ViewNode(Node):
    """Draws plans over the images that they were made from.

    The topics are those of `topics.TOPICS`; ROS remapping renames them. Drawing runs in a thread of its own, and
    only what somebody wants (a subscriber, a folder, Rerun) is drawn.

    Raises:
        ConfigError, CalibrationError: when a parameter or the calibration file does not fit, tf2_msgs is missing, or
            Rerun is asked for and not installed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("view_node", **kwargs)
        declare_settings(self, ViewSettings)
        self._settings = read_settings(self, ViewSettings)
        self._inputs = ViewInputs(self._settings)
        self._pictures = 0
        self._rerun = RerunView.open(self._settings.rerun, self._settings.rerun_file, self._settings.rerun_port)
        self._worker: LatestWorker[View] = LatestWorker(self._show, self._on_error, "view")
        self._mosaic = self.create_publisher(Image, TOPICS["mosaic"].name, reliable_qos(2), **_qos_parameters())
        self._bev = self.create_publisher(Image, TOPICS["bev"].name, reliable_qos(2), **_qos_parameters())
        self._markers = self.create_publisher(
            MarkerArray, TOPICS["view_markers"].name, reliable_qos(10), **_qos_parameters()
        )
        self._subscribe()
        self.add_on_set_parameters_callback(lambda changes: check_changes(self, ViewSettings, changes, configured=True))
        # On a steady clock: pictures are for people, who live in wall time, and a replay's clock may stand still.
        self.create_timer(1.0 / self._settings.rate_hz, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._worker.start()
        if self._rerun is not None:
            self.get_logger().info(self._rerun.where)

    def destroy_node(self) -> None:
        """Waits for the drawing thread, closes the recording, then destroys the node."""
        self._worker.stop()
        if self._rerun is not None:
            self._rerun.close()
            self._rerun = None
        super().destroy_node()

    def _subscribe(self) -> None:
        inputs = self._inputs
        compressed = self._settings.image_transport == "compressed"
        key, image_type = ("camera_compressed", CompressedImage) if compressed else ("camera_image", Image)
        for camera in self._settings.cameras:
            self._listen(image_type, key, lambda m, c=camera: inputs.add_image(c, m), sensor_qos(), camera)
            if camera not in inputs.calibrated:
                self._listen(CameraInfo, "camera_info", lambda m, c=camera: inputs.add_info(c, m), sensor_qos(), camera)
        self._listen(tf_message_type(), "tf_static", self._on_transforms, latched_qos())
        self._listen(Odometry, "odometry", inputs.add_odometry, sensor_qos(50))
        self._listen(PlannedTrajectory, "trajectory", lambda m: inputs.add_plan(m, time.monotonic()), reliable_qos())
        self._listen(PredictedObjects, "objects", inputs.add_objects, reliable_qos())
        self._listen(VectorMap, "map", inputs.add_map, reliable_qos())
        self._listen(PredictedObjects, "truth_objects", inputs.add_truth, reliable_qos())
        if self._settings.lidar:
            self._listen(PointCloud2, "lidar_points", inputs.add_cloud, sensor_qos(5))
        self._listen(Explanation, "explanation", inputs.add_explanation, reliable_qos())

    def _listen(self, message_type: type, key: str, callback: Any, qos: Any, camera: str = "") -> None:
        name = TOPICS[key].name.replace("{camera}", camera.lower())
        self.create_subscription(message_type, name, callback, qos, **_qos_parameters())

    def _on_transforms(self, message: Any) -> None:
        for problem in self._inputs.transforms.add_message(message):
            self.get_logger().warning(problem, throttle_duration_sec=10.0)

    def _tick(self) -> None:
        try:
            expected = self.count_publishers(self.resolve_topic_name(TOPICS["trajectory"].name)) > 0
            view = self._inputs.next_view(time.monotonic(), plans_expected=expected)
        except ValueError as error:
            self.get_logger().warning(f"a message cannot be drawn: {error}", throttle_duration_sec=10.0)
            return
        if view is not None:
            self._worker.submit(view)

    def _show(self, view: View) -> None:
        settings = self._settings
        self._markers.publish(
            view_markers(
                view.header,
                caption=view.caption,
                caption_alarm=view.caption_alarm,
                truth=view.truth_message,
                lifetime_s=settings.marker_lifetime_s,
            )
        )
        saving = bool(settings.folder) and self._pictures % settings.every == 0
        self._pictures += 1
        texts: dict[str, Any] = {"banner": view.banner, "alarm": view.alarm, "caption": view.caption}
        marked = {**texts, "caption_alarm": view.caption_alarm}
        scene, truth = view.content or None, view.truth or None
        if saving or self._mosaic.get_subscription_count():
            mosaic = draw_mosaic(view.frame, scene, truth, settings.mosaic_width, min_score=0.0, **marked)
            self._mosaic.publish(image_message(mosaic, view.header.stamp, "view_mosaic"))
        if saving or self._bev.get_subscription_count():
            bev = draw_bev(
                scene,
                truth,
                settings.bev_height,
                T_ego_model=view.frame.T_ego_model,
                lidar_model=view.lidar_model,
                min_score=0.0,
                **marked,
            )
            self._bev.publish(image_message(bev, view.header.stamp, view.header.frame_id))
        if saving:
            stamp_ns = to_ns(view.header.stamp)
            save_image(Path(settings.folder) / f"{stamp_ns}_mosaic.png", mosaic)
            save_image(Path(settings.folder) / f"{stamp_ns}_bev.png", bev)
        if self._rerun is not None:
            self._rerun.log(view.frame, view.content, view.truth, _document(view))

    def _on_error(self, view: View, error: Exception) -> None:
        if not self._worker.stopping:
            self.get_logger().error(f"a picture could not be made: {error}", throttle_duration_sec=5.0)


def _document(view: View) -> str:
    """All texts of a picture, in Markdown: a paragraph each, what contradicts the plan in bold letters."""
    words = [f"**{line}**" if view.caption_alarm else line for line in view.caption.splitlines()]
    return "\n\n".join(text for text in (view.banner, view.alarm, *words) if text)


def _qos_parameters() -> dict[str, Any]:
    return {"qos_overriding_options": overridable()}


def main(args: list[str] | None = None, parameters: Mapping[str, Any] | None = None) -> None:
    """Entry point of the executable; ends with 1 when the node cannot be made.

    Args:
        args: command line; None: the process's own.
        parameters: values that stand where the command line gives none.
    """
    spin_node("view_node", ViewNode, args, parameters=parameters)


if __name__ == "__main__":
    main()
