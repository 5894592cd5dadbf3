"""The one table of topics: key, default name, type, quality of service, who publishes.

Nodes are written against the default names. Another naming (a simulator's, another vehicle's) is a
topic set, a YAML file in config/topics/ or anywhere else, that maps keys of this table to names; the graph
turns it into remappings. docs/topics.md explains every row.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS


class Role(Enum):
    """Which part of the graph publishes a topic."""

    SENSOR = "sensor"  # the vehicle, a simulator, or the replay
    DRIVER = "driver"
    VIEW = "view"
    EXPLAINER = "explainer"
    TRUTH = "truth"  # the replay or a simulator, on request


class Quality(Enum):
    """Quality of service that the publisher offers."""

    SENSOR = "sensor"  # reliable, keep last 10: serves best-effort and reliable subscribers alike
    STATE = "state"  # reliable, keep last 100: small and frequent
    LATCHED = "latched"  # reliable, transient local, keep last 1: late subscribers get the last one
    CLOCK = "clock"  # best effort, keep last 1: only the newest matters


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table.

    Attributes:
        key: name of the row: what topic sets, launch arguments and `aln-p3 up` call it.
        name: default name; `{camera}` stands for the lower-case camera name.
        type: ROS 2 type, as "package/msg/Name".
        role: who publishes it.
        quality: what the publisher offers.
        about: what is in it.
    """

    key: str
    name: str
    type: str
    role: Role
    quality: Quality
    about: str

    @property
    def per_camera(self) -> bool:
        """Whether there is one such topic per camera."""
        return "{camera}" in self.name


TOPICS: dict[str, Topic] = {
    topic.key: topic
    for topic in (
        Topic("camera_image", "/sensors/camera/{camera}/image", "sensor_msgs/msg/Image", Role.SENSOR, Quality.SENSOR, "raw image"),
        Topic("camera_compressed", "/sensors/camera/{camera}/image/compressed", "sensor_msgs/msg/CompressedImage", Role.SENSOR, Quality.SENSOR, "JPEG or PNG image"),
        Topic("camera_info", "/sensors/camera/{camera}/camera_info", "sensor_msgs/msg/CameraInfo", Role.SENSOR, Quality.SENSOR, "calibration of the rectified camera"),
        Topic("lidar_points", "/sensors/lidar/lidar_top/points", "sensor_msgs/msg/PointCloud2", Role.SENSOR, Quality.SENSOR, "LiDAR sweep"),
        Topic("odometry", "/localization/odometry", "nav_msgs/msg/Odometry", Role.SENSOR, Quality.STATE, "pose in odom, twist in base_link"),
        Topic("tf", "/tf", "tf2_msgs/msg/TFMessage", Role.SENSOR, Quality.STATE, "odom to base_link"),
        Topic("tf_static", "/tf_static", "tf2_msgs/msg/TFMessage", Role.SENSOR, Quality.LATCHED, "map to odom, base_link to the sensors"),
        Topic("clock", "/clock", "rosgraph_msgs/msg/Clock", Role.SENSOR, Quality.CLOCK, "time of the replay or simulator"),
        Topic("imu", "/vehicle/imu", "sensor_msgs/msg/Imu", Role.SENSOR, Quality.STATE, "acceleration and rotation rate, where recorded"),
        Topic("twist", "/vehicle/twist", "geometry_msgs/msg/TwistStamped", Role.SENSOR, Quality.STATE, "velocity from the CAN bus, where recorded"),
        Topic("can_bus", "/vehicle/can_bus", "std_msgs/msg/String", Role.SENSOR, Quality.STATE, "other CAN messages as JSON, where recorded"),
        Topic("route_command", "/planning/route_command", "aln_p3/msg/RouteCommand", Role.SENSOR, Quality.STATE, "turn right, turn left, go straight"),
        Topic("trajectory", "/planning/trajectory", "aln_p3/msg/PlannedTrajectory", Role.DRIVER, Quality.STATE, "the plan"),
        Topic("path", "/planning/path", "nav_msgs/msg/Path", Role.DRIVER, Quality.STATE, "the plan as a path in odom"),
        Topic("plan_markers", "/planning/markers", "visualization_msgs/msg/MarkerArray", Role.DRIVER, Quality.STATE, "the plan, drawn"),
        Topic("objects", "/perception/objects", "aln_p3/msg/PredictedObjects", Role.DRIVER, Quality.STATE, "objects with forecasts"),
        Topic("map", "/perception/map", "aln_p3/msg/VectorMap", Role.DRIVER, Quality.STATE, "map lines"),
        Topic("perception_markers", "/perception/markers", "visualization_msgs/msg/MarkerArray", Role.DRIVER, Quality.STATE, "objects and map, drawn"),
        Topic("scene_tokens", "/driver/scene_tokens", "aln_p3/msg/SceneTokens", Role.DRIVER, Quality.STATE, "what the explainer reads"),
        Topic("diagnostics", "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", Role.DRIVER, Quality.STATE, "health of the driver and of its inputs"),
        Topic("mosaic", "/view/mosaic", "sensor_msgs/msg/Image", Role.VIEW, Quality.SENSOR, "six cameras with boxes and plan"),
        Topic("bev", "/view/bev", "sensor_msgs/msg/Image", Role.VIEW, Quality.SENSOR, "bird's-eye view"),
        Topic("view_markers", "/view/markers", "visualization_msgs/msg/MarkerArray", Role.VIEW, Quality.STATE, "vehicle and caption for RViz"),
        Topic("explanation", "/driver/explanation", "aln_p3/msg/Explanation", Role.EXPLAINER, Quality.STATE, "what the vehicle does and why, in words"),
        Topic("truth_objects", "/ground_truth/objects", "aln_p3/msg/PredictedObjects", Role.TRUTH, Quality.STATE, "annotated objects and where they went"),
        Topic("truth_language", "/ground_truth/language", "std_msgs/msg/String", Role.TRUTH, Quality.STATE, "language annotations as JSON"),
    )
}  # fmt: skip

#: Frames of the graph. Sensor frames are the lower-case channel names.
MAP_FRAME = "map"
ODOM_FRAME = "odom"
BASE_FRAME = "base_link"

_VALID_NAME = re.compile(r"/?([A-Za-z_~{][A-Za-z0-9_{}]*/)*[A-Za-z_{][A-Za-z0-9_{}]*")


@dataclass(frozen=True)
class TopicSet:
    """Names of all topics for one rig, simulator or recording.

    Attributes:
        cameras: channel of the driver's rig (CAM_FRONT) -> what stands for `{camera}` in topic names.
        transport: "compressed" or "raw": which of the two camera topics carries the images.
        names: key -> topic name, for every row of the table.
        driver_parameters: what the driver must know beside names: frames and axes of this source.
        description: what the set is for.
    """

    cameras: Mapping[str, str] = field(default_factory=lambda: {name: name.lower() for name in NUSCENES_CAMERAS})
    transport: str = "compressed"
    names: Mapping[str, str] = field(default_factory=lambda: {key: topic.name for key, topic in TOPICS.items()})
    driver_parameters: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    def name(self, key: str, channel: str | None = None) -> str:
        """Topic name of a row, for per-camera rows of the camera with this channel name."""
        name = self.names[key]
        return name if channel is None else name.replace("{camera}", self.cameras.get(channel, channel.lower()))

    def remappings(self) -> list[tuple[str, str]]:
        """(default name, name in this set) of every topic that is called otherwise here."""
        pairs: list[tuple[str, str]] = []
        for key, topic in TOPICS.items():
            if not topic.per_camera:
                pairs.append((topic.name, self.names[key]))
                continue
            pairs += [(topic.name.format(camera=c.lower()), self.name(key, c)) for c in self.cameras]
        return [(default, name) for default, name in pairs if default != name]

    def with_names(self, overrides: Mapping[str, str]) -> TopicSet:
        """The same set with some topics renamed.

        Raises:
            ConfigError: for a key that is not in the table, or a name that ROS does not accept.
        """
        names = {**self.names, **checked_names(overrides, "the arguments")}
        return replace(self, names=names)


def checked_names(names: Mapping[str, Any], source: str) -> dict[str, str]:
    """Checks keys and names of topics. Raises ConfigError that names `source` and suggests a key."""
    for key, name in names.items():
        if key not in TOPICS:
            raise ConfigError(f"{source}: there is no topic {key!r}; {suggest(key, TOPICS)}")
        if not isinstance(name, str) or not _VALID_NAME.fullmatch(name):
            raise ConfigError(f"{source}: {key}: {name!r} is not a topic name; write it like {TOPICS[key].name}")
        if TOPICS[key].per_camera != ("{camera}" in name):
            hint = "must contain {camera}" if TOPICS[key].per_camera else "must not contain {camera}"
            raise ConfigError(f"{source}: {key}: {name!r} {hint}")
    return dict(names)


def suggest(word: str, choices: Iterable[str]) -> str:
    """ "did you mean ..." or the list of choices."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(choices)}"


def load_topic_set(name_or_path: str | os.PathLike[str]) -> TopicSet:
    """Reads a topic set.

    Args:
        name_or_path: name of a set in config/topics/ (`nuscenes_replay`), or the path of a YAML file.

    Raises:
        ConfigError: when it does not exist, is no YAML, or has unknown keys.
    """
    import yaml

    from aln_p3_ros.resources import config_directory

    text = os.fspath(name_or_path)
    folder = config_directory() / "topics"
    path = Path(text) if text.endswith((".yaml", ".yml")) else folder / f"{text}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ConfigError(f"no topic set {text!r}: {suggest(text, known)}; or give the path of a .yaml file")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {error}") from error
    return _parse(tree, str(path))


def _parse(tree: Any, source: str) -> TopicSet:
    keys = ("description", "transport", "cameras", "topics", "driver_parameters")
    if not isinstance(tree, dict):
        raise ConfigError(f"{source} must be a mapping with the keys {', '.join(keys)}")
    for key in tree:
        if key not in keys:
            raise ConfigError(f"{source}: unknown key {key!r}; {suggest(str(key), keys)}")
    default = TopicSet()
    transport = tree.get("transport", default.transport)
    if transport not in ("compressed", "raw"):
        raise ConfigError(f"{source}: transport must be compressed or raw, got {transport!r}")
    cameras = tree.get("cameras", default.cameras)
    if not isinstance(cameras, Mapping) or not all(isinstance(v, str) for pair in cameras.items() for v in pair):
        raise ConfigError(f"{source}: cameras must map channels to names in topics, like CAM_FRONT: cam_front")
    topics = tree.get("topics") or {}
    if not isinstance(topics, Mapping):
        raise ConfigError(f"{source}: topics must map keys to topic names")
    names = {**default.names, **checked_names(topics, source)}
    parameters = tree.get("driver_parameters") or {}
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"{source}: driver_parameters must map names of the driver's parameters to values")
    return TopicSet(dict(cameras), transport, names, dict(parameters), str(tree.get("description", "")).strip())
