"""What the simulated vehicle's sensors say, as serialised ROS messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import ImageError
from aln_p3_core.frame import GRAVITY_MS2, CameraCalibration, RouteCommand
from aln_p3_core.geometry import FloatArray, invert_transform, make_transform, rotate_vectors, transform_points
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.render.images import RenderedView
from aln_p3_core.world.state import WorldState
from aln_p3_ros.bags.qos import offered_qos
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.replay import messages
from aln_p3_ros.replay.ground_truth import route_command
from aln_p3_ros.replay.timeline import TimelineTopic
from aln_p3_ros.topics import BASE_FRAME, MAP_FRAME, ODOM_FRAME, TOPICS

_JPEG_QUALITY = 90
_PROVENANCE_GIVEN = 0
_ENCODERS = 2
_STATE_KEYS = ("odometry", "tf", "tf_static", "imu", "route_command")

#: (topic, CDR bytes)
Serialised = tuple[str, memoryview]


class SensorMessages:
    """Builds the messages of one rig. Stamps are given by the caller: those of the simulation.

    Args:
        rig: cameras by channel.
        transport: "compressed" (JPEG) or "raw".
        ground_truth: whether `truth` will be asked for.
    """

    def __init__(
        self, rig: Mapping[str, CameraCalibration], transport: str = "compressed", *, ground_truth: bool = False
    ) -> None:
        self._rig = dict(rig)
        self._transport = transport
        self._image_key = "camera_image" if transport == "raw" else "camera_compressed"
        keys = [*_STATE_KEYS, *(["truth_objects"] if ground_truth else [])]
        topics = [(TOPICS[key].name, key) for key in keys]
        for camera in self._rig:
            topics += [(_camera_topic(key, camera), key) for key in ("camera_info", self._image_key)]
        self.topics: Sequence[TimelineTopic] = tuple(
            TimelineTopic(name, TOPICS[key].type, (offered_qos(TOPICS[key].quality),)) for name, key in topics
        )
        self.image_topics = tuple(_camera_topic(self._image_key, camera) for camera in self._rig)
        self._encoders = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="jpeg")
        for topic in self.topics:  # the first use of a type compiles its serialiser: not while time runs
            typestore().get_msgdef(topic.type)

    def close(self) -> None:
        """Ends the encoders' threads."""
        self._encoders.shutdown()

    def static(self, stamp_ns: int) -> list[Serialised]:
        """/tf_static: map to odom (the same here), base_link to every camera."""
        entries = [(stamp_ns, MAP_FRAME, ODOM_FRAME, np.eye(4))]
        entries += [(stamp_ns, BASE_FRAME, name.lower(), camera.T_ego_cam) for name, camera in self._rig.items()]
        return [_message("tf_static", messages.transforms(entries))]

    def motion(self, stamp_ns: int, ego: EgoState) -> list[Serialised]:
        """/tf, odometry and IMU of an instant."""
        T_odom_base = ego.T_world_ego
        linear, angular = np.array([ego.speed, 0.0, 0.0]), np.array([0.0, 0.0, ego.yaw_rate])
        odometry = messages.odometry(stamp_ns, ODOM_FRAME, BASE_FRAME, T_odom_base, linear, angular)
        # Not by way of the matrix: who reads the message then has the simulation's own pose, to the last bit.
        odometry.pose.pose.orientation = _orientation(ego)
        return [
            _message("tf", messages.transforms([(stamp_ns, ODOM_FRAME, BASE_FRAME, T_odom_base)])),
            _message("odometry", odometry),
            _message("imu", _imu(stamp_ns, ego)),
        ]

    def command(self, stamp_ns: int, command: RouteCommand) -> list[Serialised]:
        """The navigator's command, from the route."""
        return [_message("route_command", route_command(stamp_ns, command.command.value, _PROVENANCE_GIVEN))]

    def cameras(self, stamps_ns: Mapping[str, int], views: Mapping[str, RenderedView]) -> list[Serialised]:
        """CameraInfo and image of every camera, oldest exposure first: the newest image ends the set."""
        order = sorted(views, key=lambda name: stamps_ns[name])
        images = list(self._encoders.map(lambda name: self._image(stamps_ns[name], views[name]), order))
        result: list[Serialised] = []
        for name, image in zip(order, images, strict=True):
            camera = self._rig[name]
            info = messages.camera_info(stamps_ns[name], name.lower(), camera.intrinsic, camera.width, camera.height)
            result.append((_camera_topic("camera_info", name), messages.serialise(info)))
            result.append((_camera_topic(self._image_key, name), messages.serialise(image)))
        return result

    def truth(self, stamp_ns: int, state: WorldState, radius_m: float = 60.0) -> list[Serialised]:
        """Everybody near, as objects in base_link."""
        actors = state.actors.near(state.ego.xy, radius_m)
        T_ego_world = invert_transform(state.ego.T_world_ego)
        sizes = sizes_of(actors)
        centers = transform_points(
            T_ego_world, actors.positions + np.column_stack([np.zeros((len(actors), 2)), sizes[:, 2] / 2])
        )
        velocities = rotate_vectors(T_ego_world, actors.velocities)
        headings = actors.headings - state.ego.heading
        objects = [
            messages.make(
                "aln_p3/PredictedObject",
                class_name=_detection_name(MODELS[actors.models[row]].category),
                score=1.0,
                pose=messages.pose(_upright(centers[row], headings[row])),
                size=messages.vector(sizes[row]),
                velocity=messages.vector([*velocities[row], 0.0]),
                query_id=row,
                paths=[],
            )
            for row in range(len(actors))
        ]
        header = messages.header(stamp_ns, BASE_FRAME)
        return [
            _message(
                "truth_objects", messages.make("aln_p3/PredictedObjects", header=header, plan_id="", objects=objects)
            )
        ]

    def _image(self, stamp_ns: int, view: RenderedView) -> Any:
        frame_id = view.camera.lower()
        bgr: NDArray[np.uint8] = cv2.cvtColor(view.color, cv2.COLOR_RGB2BGR)
        if self._transport == "raw":
            return messages.raw_image(stamp_ns, frame_id, bgr)
        done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not done:
            raise ImageError(f"the picture of {view.camera} could not be compressed as JPEG")
        return messages.compressed_image(stamp_ns, frame_id, "jpeg", data.tobytes())


def _camera_topic(key: str, camera: str) -> str:
    return TOPICS[key].name.replace("{camera}", camera.lower())


def _message(key: str, message: Any) -> Serialised:
    return TOPICS[key].name, messages.serialise(message)


def _detection_name(category: str) -> str:
    from nuscenes.eval.detection.utils import category_to_detection_name

    return category_to_detection_name(category) or category


def _upright(place: FloatArray, heading: float) -> FloatArray:
    return make_transform([np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)], place)


def _orientation(ego: EgoState) -> Any:
    """geometry_msgs/Quaternion of the ego's heading, as `EgoState.T_world_ego` makes it."""
    half = ego.heading / 2
    return messages.make("geometry_msgs/Quaternion", x=0.0, y=0.0, z=float(np.sin(half)), w=float(np.cos(half)))


def _imu(stamp_ns: int, ego: EgoState) -> Any:
    """sensor_msgs/Imu at base_link: gravity included, as a real one measures it."""
    unknown = np.zeros(9)
    return messages.make(
        "sensor_msgs/Imu",
        header=messages.header(stamp_ns, BASE_FRAME),
        orientation=_orientation(ego),
        orientation_covariance=unknown,
        angular_velocity=messages.vector([0.0, 0.0, ego.yaw_rate]),
        angular_velocity_covariance=unknown,
        linear_acceleration=messages.vector([ego.acceleration, ego.speed * ego.yaw_rate, GRAVITY_MS2]),
        linear_acceleration_covariance=unknown,
    )
