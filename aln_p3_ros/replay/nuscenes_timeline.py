"""A scene of a nuScenes-schema root as a timeline of ROS messages, each at its own stamp."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.records import SensorRecord, read_file
from aln_p3_core.errors import ConfigError, DataError, ImageError
from aln_p3_core.frame import Command, CommandProvenance, EgoPose, RouteCommand
from aln_p3_ros.bags.qos import offered_qos
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.replay import messages
from aln_p3_ros.replay.can_bus import can_bus_messages
from aln_p3_ros.replay.ego_motion import EgoMotion
from aln_p3_ros.replay.ground_truth import route_command, truth_objects
from aln_p3_ros.replay.language import LanguageAnnotations
from aln_p3_ros.replay.timeline import TimedMessage, TimelineTopic
from aln_p3_ros.topics import BASE_FRAME, MAP_FRAME, ODOM_FRAME, TOPICS, suggest

COMMAND_CHOICES = ("none", "ground_truth", *(command.name.lower() for command in Command))

#: Order of messages with the same stamp: whoever reads an image has its pose and calibration already.
_ORDER = {
    key: rank
    for rank, key in enumerate(
        ("tf_static", "tf", "odometry", "twist", "imu", "can_bus", "route_command", "truth_objects", "truth_language",
         "camera_info", "camera_compressed", "camera_image", "lidar_points")
    )
}  # fmt: skip

_LIDAR = "LIDAR_TOP"
#: Numbers of aln_p3/RouteCommand.
_PROVENANCES = {
    CommandProvenance.GIVEN: 0,
    CommandProvenance.DEFAULT: 1,
    CommandProvenance.GROUND_TRUTH: 2,
}


@dataclass(frozen=True)
class ReplayContent:
    """What a scene is turned into.

    Attributes:
        raw_images: decoded sensor_msgs/Image instead of the files' own JPEG bytes.
        sweeps: all records; False gives the key frames only.
        lidar: whether LiDAR sweeps are among them.
        ground_truth: annotated objects.
        command: "none", a fixed one ("left", "right", "straight": provenance given), or "ground_truth"
            (peeks at the recorded future, and says so in its provenance).
        language: files with annotations, and "scene" for the scene's description.
    """

    raw_images: bool = False
    sweeps: bool = True
    lidar: bool = True
    ground_truth: bool = False
    command: str = "none"
    language: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.command not in COMMAND_CHOICES:
            raise ConfigError(f"unknown command {self.command!r}; {suggest(self.command, COMMAND_CHOICES)}")


@dataclass(frozen=True, slots=True)
class _Entry:
    stamp_ns: int
    key: str
    topic: str
    build: Callable[[], Any]

    def order(self) -> tuple[int, int, str]:
        return self.stamp_ns, _ORDER[self.key], self.topic


class NuScenesTimeline:
    """A `Timeline` over one scene.

    Ego poses of all records go to /tf and odometry, six cameras and the LiDAR to /tf_static. Frame `odom`
    starts at the scene's first pose (see `EgoMotion`), `map` is the data set's global frame.

    Args:
        root: nuScenes-schema root.
        scene: name of the scene; empty: the first.
        version: version folder; None: detected.
        content: what to publish.

    Raises:
        DataError: when the data set or the scene is not there. ConfigError: for an impossible content.
    """

    def __init__(
        self,
        root: str | Path,
        scene: str = "",
        version: str | None = None,
        content: ReplayContent = ReplayContent(),
    ) -> None:
        from aln_p3_core.datasets.nuscenes import NuScenesDataset

        self._dataset = NuScenesDataset(root, version=version)
        self._root = self._dataset.root
        self._content = content
        self._language = LanguageAnnotations(content.language)
        scenes = list(self._dataset.scenes)
        self.scene = scene or scenes[0]
        if self.scene not in scenes:
            raise DataError(f"{root} has no scene {self.scene!r}; {suggest(self.scene, scenes)}")
        records = [r for r in self._dataset.sensor_records(self.scene) if r.is_key_frame or content.sweeps]
        if not records:
            raise DataError(f"scene {self.scene} of {root} has no camera or LiDAR data")
        self._motion = EgoMotion([EgoPose(r.stamp_ns, r.T_global_ego) for r in records])
        self.start_ns = records[0].stamp_ns
        self.end_ns = records[-1].stamp_ns
        self._samples = _key_frames(records)
        self.steps_ns = sorted(max(r.stamp_ns for r in group) for group in self._samples.values())
        self._entries = sorted(self._all_entries(records), key=_Entry.order)
        self._stamps = [entry.stamp_ns for entry in self._entries]
        keys = {entry.topic: entry.key for entry in self._entries}
        self.topics = tuple(
            TimelineTopic(topic, TOPICS[key].type, (offered_qos(TOPICS[key].quality),))
            for topic, key in sorted(keys.items())
        )
        for kind in self.topics:  # the first use of a type compiles its serialiser: not while time runs
            typestore().get_msgdef(kind.type)
        image_key = "camera_image" if content.raw_images else "camera_compressed"
        self.image_topics = tuple(topic for topic, key in sorted(keys.items()) if key == image_key)

    def messages(self, start_ns: int | None = None) -> Iterator[TimedMessage]:
        """Messages in order of time, from `start_ns` on; the static transforms always come first."""
        first = 0 if start_ns is None else bisect_left(self._stamps, start_ns)
        for index, entry in enumerate(self._entries):
            if index >= first or entry.key == "tf_static":
                yield TimedMessage(entry.stamp_ns, entry.topic, partial(_serialise, entry))

    def _all_entries(self, records: list[SensorRecord]) -> Iterator[_Entry]:
        yield self._entry(self.start_ns, "tf_static", partial(self._static_transforms, records))
        for stamp in self._motion.stamps_ns:
            yield self._entry(stamp, "tf", partial(self._transform, stamp))
            yield self._entry(stamp, "odometry", partial(self._odometry, stamp))
        for record in records:
            yield from self._sensor_entries(record)
        for stamp, key, message in can_bus_messages(self._root, self.scene):
            if self.start_ns <= stamp <= self.end_ns:
                yield self._entry(stamp, key, partial(_same, message))
        for token, group in self._samples.items():
            yield from self._key_frame_entries(token, group)

    def _entry(self, stamp_ns: int, key: str, build: Callable[[], Any], camera: str = "") -> _Entry:
        return _Entry(stamp_ns, key, TOPICS[key].name.replace("{camera}", camera), build)

    def _sensor_entries(self, record: SensorRecord) -> Iterator[_Entry]:
        frame = record.channel.lower()
        if record.intrinsic is not None:
            info = partial(messages.camera_info, record.stamp_ns, frame, record.intrinsic, record.width, record.height)
            yield self._entry(record.stamp_ns, "camera_info", info, frame)
            if self._content.raw_images:
                yield self._entry(record.stamp_ns, "camera_image", partial(_raw_image, record), frame)
            else:
                yield self._entry(record.stamp_ns, "camera_compressed", partial(_compressed_image, record), frame)
        elif record.channel == _LIDAR and self._content.lidar:
            yield self._entry(record.stamp_ns, "lidar_points", partial(self._point_cloud, record))

    def _key_frame_entries(self, token: str, group: list[SensorRecord]) -> Iterator[_Entry]:
        first = min(record.stamp_ns for record in group)
        lidar = next((record for record in group if record.channel == _LIDAR), group[-1])
        choice = self._content.command
        if choice == "ground_truth":
            yield self._entry(first, "route_command", partial(self._true_command, token, first))
        elif choice != "none":
            given = RouteCommand(Command[choice.upper()], CommandProvenance.GIVEN)
            yield self._entry(first, "route_command", partial(_command_message, first, given))
        if self._content.ground_truth:
            nusc = self._dataset.nusc
            build = partial(truth_objects, nusc, token, lidar.stamp_ns, lidar.T_global_ego)
            yield self._entry(lidar.stamp_ns, "truth_objects", build)
        if self._content.language:
            text = self._language_text(token)
            if text is not None:
                yield self._entry(
                    lidar.stamp_ns, "truth_language", partial(messages.make, "std_msgs/String", data=text)
                )

    def _language_text(self, token: str) -> str | None:
        sample = self._dataset.nusc.get("sample", token)
        scene = self._dataset.nusc.get("scene", sample["scene_token"])
        return self._language.text(token, sample["anns"], scene["description"])

    def _static_transforms(self, records: list[SensorRecord]) -> Any:
        sensors = {record.channel: record.T_ego_sensor for record in records}
        entries = [(self.start_ns, MAP_FRAME, ODOM_FRAME, self._motion.T_map_odom)]
        entries += [(self.start_ns, BASE_FRAME, name.lower(), T) for name, T in sorted(sensors.items())]
        return messages.transforms(entries)

    def _transform(self, stamp_ns: int) -> Any:
        return messages.transforms([(stamp_ns, ODOM_FRAME, BASE_FRAME, self._motion.T_odom_ego(stamp_ns))])

    def _odometry(self, stamp_ns: int) -> Any:
        linear, angular = self._motion.twist(stamp_ns)
        T_odom_ego = self._motion.T_odom_ego(stamp_ns)
        return messages.odometry(stamp_ns, ODOM_FRAME, BASE_FRAME, T_odom_ego, linear, angular)

    def _true_command(self, token: str, stamp_ns: int) -> Any:
        from aln_p3_core.datasets.targets import ground_truth_command

        return _command_message(stamp_ns, ground_truth_command(self._dataset, token))

    def _point_cloud(self, record: SensorRecord) -> Any:
        return messages.point_cloud(record.stamp_ns, record.channel.lower(), self._dataset.lidar_points(record))


def _command_message(stamp_ns: int, command: RouteCommand) -> Any:
    return route_command(stamp_ns, command.command.value, _PROVENANCES[command.provenance])


def _same(message: Any) -> Any:
    return message


def _serialise(entry: _Entry) -> memoryview:
    return messages.serialise(entry.build())


def _key_frames(records: list[SensorRecord]) -> dict[str, list[SensorRecord]]:
    groups: dict[str, list[SensorRecord]] = {}
    for record in records:
        if record.is_key_frame:
            groups.setdefault(record.sample_token, []).append(record)
    return groups


def _compressed_image(record: SensorRecord) -> Any:
    image_format = "png" if str(record.path).lower().endswith(".png") else "jpeg"
    return messages.compressed_image(record.stamp_ns, record.channel.lower(), image_format, read_file(record.path))


def _raw_image(record: SensorRecord) -> Any:
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(read_file(record.path), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f"{record.path} is no image that OpenCV can decode")
    return messages.raw_image(record.stamp_ns, record.channel.lower(), np.asarray(image, dtype=np.uint8))
