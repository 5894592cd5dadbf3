"""What leaves the driver node: publishers of plan, objects, map, tokens and markers."""

from __future__ import annotations

from typing import Any

from aln_p3.msg import PlannedTrajectory, PredictedObjects, SceneTokens, VectorMap
from nav_msgs.msg import Path
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from aln_p3_core.frame import RouteCommand
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import DrivingScene
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.faults import Degradation
from aln_p3_ros.messages import conversions
from aln_p3_ros.messages.markers import in_frame, perception_markers, plan_markers
from aln_p3_ros.messages.stamps import seconds_to_ns, to_duration, to_ns, to_time
from aln_p3_ros.messages.trajectory import TrajectoryArrays
from aln_p3_ros.qos import overridable, reliable_qos
from aln_p3_ros.topics import TOPICS

_TYPES = {
    "trajectory": PlannedTrajectory,
    "path": Path,
    "plan_markers": MarkerArray,
    "objects": PredictedObjects,
    "map": VectorMap,
    "perception_markers": MarkerArray,
    "scene_tokens": SceneTokens,
}

# How long subscribers may take to have the last trajectory.
_DELIVERY_S = 1.0


class DriverOutputs:
    """The node's publishers. The trajectory always goes first, the tokens last.

    Args:
        node: owner of the publishers; they speak only while it is active.
        settings: the node's.
        run_id: begins every plan id.
        checkpoint_hash: of the weights.
    """

    def __init__(self, node: LifecycleNode, settings: DriverSettings, run_id: str, checkpoint_hash: str) -> None:
        self._node = node
        self._settings = settings
        self._run_id = run_id
        self._checkpoint_hash = checkpoint_hash
        self._plans = 0
        self._last_tokens_ns: int | None = None
        self._publishers: dict[str, Any] = {
            key: node.create_lifecycle_publisher(
                kind,
                TOPICS[key].name,
                reliable_qos(),
                qos_overriding_options=overridable(),
                event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
            )
            for key, kind in _TYPES.items()
        }

    def destroy(self) -> None:
        """Takes the publishers away."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.popitem()[1])

    def update_settings(self, settings: DriverSettings) -> None:
        """Takes over settings that may change while the node runs."""
        self._settings = settings

    def tokens_wanted(self, now_ns: int) -> bool:
        """Whether somebody subscribes to the tokens, and the rate allows another message."""
        rate = self._settings.tokens_rate_hz
        if rate <= 0 or not self._wanted("scene_tokens"):
            return False
        last = self._last_tokens_ns
        return last is None or not 0 <= now_ns - last < seconds_to_ns(1 / rate)

    def publish_scene(
        self, scene: DrivingScene, degradation: Degradation, *, speed: float | None, ground: FloatArray | None
    ) -> PlannedTrajectory:
        """Publishes everything that a scene holds; all but the trajectory only while somebody subscribes.

        Args:
            speed: the vehicle's speed now, m/s, or None.
            ground: 4x4 pose of base_link in odom at the scene's stamp, or None without odometry: then path and
                markers stay in base_link.
        """
        settings = self._settings
        common = {"plan_id": self._next_id(), "frame_id": settings.base_frame}
        trajectory = conversions.planned_trajectory(
            scene, checkpoint_hash=self._checkpoint_hash, current_speed=speed, **common
        )
        self._send_trajectory(trajectory, degradation)
        self._send_perception(scene, ground, common)
        self._send_drawings(trajectory, ground)
        if scene.tokens is not None:
            self._last_tokens_ns = self._now_ns()
            tokens = conversions.scene_tokens(
                scene,
                checkpoint_hash=self._checkpoint_hash,
                min_object_score=settings.min_object_score,
                min_line_score=settings.min_line_score,
                limit=settings.max_objects,
                speed=speed,
                **common,
            )
            self._publishers["scene_tokens"].publish(tokens)
        return trajectory

    def publish_stop(
        self,
        trajectory: TrajectoryArrays,
        degradation: Degradation,
        *,
        stamp_ns: int,
        command: RouteCommand,
        ground: FloatArray | None,
    ) -> PlannedTrajectory:
        """Publishes a declared stop that starts at `stamp_ns`."""
        header = Header(stamp=to_time(stamp_ns), frame_id=self._settings.base_frame)
        message = PlannedTrajectory(
            header=header,
            plan_id=self._next_id(),
            checkpoint_hash=self._checkpoint_hash,
            command=conversions.command_message(command, Header(stamp=header.stamp)),
            points=conversions.trajectory_points(trajectory),
        )
        self._send_trajectory(message, degradation)
        self._send_drawings(message, ground)
        return message

    def await_delivery(self) -> None:
        """Waits, within bounds, until subscribers have the last trajectory: a publisher that is gone sends nothing."""
        self._publishers["trajectory"].wait_for_all_acked(Duration(seconds=_DELIVERY_S))

    def _send_trajectory(self, message: PlannedTrajectory, degradation: Degradation) -> None:
        message.degraded = int(degradation.level)
        message.degraded_reasons = list(degradation.reasons)
        message.age = to_duration(self._now_ns() - to_ns(message.header.stamp))
        self._publishers["trajectory"].publish(message)

    def _send_perception(self, scene: DrivingScene, ground: FloatArray | None, common: dict[str, str]) -> None:
        """Objects, map, and both drawn. Hundreds of small messages take longer to fill than anybody should wait for
        whom nobody listens to."""
        settings, limit = self._settings, self._settings.max_objects
        wanted = {key for key in ("objects", "map", "perception_markers") if self._wanted(key)}
        drawn = "perception_markers" in wanted
        objects = vector_map = None
        if drawn or "objects" in wanted:
            objects = conversions.predicted_objects(scene, min_score=settings.min_object_score, limit=limit, **common)
        if drawn or "map" in wanted:
            vector_map = conversions.vector_map(scene, min_score=settings.min_line_score, limit=limit, **common)
        if "objects" in wanted:
            self._publishers["objects"].publish(objects)
        if "map" in wanted:
            self._publishers["map"].publish(vector_map)
        if objects is not None and vector_map is not None and drawn:
            self._publish_markers("perception_markers", perception_markers(objects, vector_map), ground)

    def _send_drawings(self, trajectory: PlannedTrajectory, ground: FloatArray | None) -> None:
        if ground is not None and self._wanted("path"):
            path = conversions.path_message(trajectory, ground, self._settings.odom_frame)
            self._publishers["path"].publish(path)
        if self._wanted("plan_markers"):
            self._publish_markers("plan_markers", plan_markers(trajectory), ground)

    def _publish_markers(self, key: str, markers: MarkerArray, ground: FloatArray | None) -> None:
        if ground is not None:
            in_frame(markers, self._settings.odom_frame, ground)
        self._publishers[key].publish(markers)

    def _wanted(self, key: str) -> bool:
        return bool(self._publishers[key].get_subscription_count())

    def _next_id(self) -> str:
        self._plans += 1
        return f"{self._run_id}-{self._plans}"

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
