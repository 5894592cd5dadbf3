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
    CLOCK = "clock"  # reliable, keep last 1: only the newest matters


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


def _rows(role: Role, quality: Quality, *rows: tuple[str, str, str, str]) -> list[Topic]:
    return [Topic(key, name, kind.replace("/", "/msg/"), role, quality, about) for key, name, kind, about in rows]


_TABLE = (
    *_rows(
        Role.SENSOR,
        Quality.SENSOR,
        ("camera_image", "/sensors/camera/{camera}/image", "sensor_msgs/Image", "raw image"),
        (
            "camera_compressed",
            "/sensors/camera/{camera}/image/compressed",
            "sensor_msgs/CompressedImage",
            "JPEG or PNG",
        ),
        (
            "camera_info",
            "/sensors/camera/{camera}/camera_info",
            "sensor_msgs/CameraInfo",
            "calibration, rectified",
        ),
        ("lidar_points", "/sensors/lidar/lidar_top/points", "sensor_msgs/PointCloud2", "LiDAR sweep"),
    ),
    *_rows(
        Role.SENSOR,
        Quality.STATE,
        ("odometry", "/localization/odometry", "nav_msgs/Odometry", "pose in odom, twist in base_link"),
        ("tf", "/tf", "tf2_msgs/TFMessage", "odom to base_link"),
    ),
    *_rows(
        Role.SENSOR,
        Quality.LATCHED,
        ("tf_static", "/tf_static", "tf2_msgs/TFMessage", "map to odom, base_link to the sensors"),
    ),
    *_rows(
        Role.SENSOR,
        Quality.CLOCK,
        ("clock", "/clock", "rosgraph_msgs/Clock", "time of the replay or simulator"),
    ),
    *_rows(
        Role.SENSOR,
        Quality.STATE,
        ("imu", "/vehicle/imu", "sensor_msgs/Imu", "acceleration and rotation rate, where recorded"),
        ("twist", "/vehicle/twist", "geometry_msgs/TwistStamped", "velocity from the CAN bus, where recorded"),
        ("can_bus", "/vehicle/can_bus", "std_msgs/String", "other CAN messages as JSON, where recorded"),
        ("route_command", "/planning/route_command", "aln_p3/RouteCommand", "turn right, turn left, go straight"),
    ),
    *_rows(
        Role.DRIVER,
        Quality.STATE,
        ("trajectory", "/planning/trajectory", "aln_p3/PlannedTrajectory", "the plan"),
        ("path", "/planning/path", "nav_msgs/Path", "the plan as a path in odom"),
        ("plan_markers", "/planning/markers", "visualization_msgs/MarkerArray", "the plan, drawn"),
        ("objects", "/perception/objects", "aln_p3/PredictedObjects", "objects with forecasts"),
        ("map", "/perception/map", "aln_p3/VectorMap", "map lines"),
        ("perception_markers", "/perception/markers", "visualization_msgs/MarkerArray", "objects and map, drawn"),
        ("scene_tokens", "/driver/scene_tokens", "aln_p3/SceneTokens", "what the explainer reads"),
        ("diagnostics", "/diagnostics", "diagnostic_msgs/DiagnosticArray", "health of the driver and of its inputs"),
    ),
    *_rows(
        Role.VIEW,
        Quality.SENSOR,
        ("mosaic", "/view/mosaic", "sensor_msgs/Image", "six cameras with boxes and plan"),
        ("bev", "/view/bev", "sensor_msgs/Image", "bird's-eye view"),
    ),
    *_rows(
        Role.VIEW,
        Quality.STATE,
        ("view_markers", "/view/markers", "visualization_msgs/MarkerArray", "vehicle and caption for RViz"),
    ),
    *_rows(
        Role.EXPLAINER,
        Quality.STATE,
        ("explanation", "/driver/explanation", "aln_p3/Explanation", "what the vehicle does and why, in words"),
    ),
    *_rows(
        Role.TRUTH,
        Quality.STATE,
        ("truth_objects", "/ground_truth/objects", "aln_p3/PredictedObjects", "annotated objects and where they went"),
        ("truth_language", "/ground_truth/language", "std_msgs/String", "language annotations as JSON"),
    ),
    *_rows(
        Role.TRUTH,
        Quality.LATCHED,
        ("drive_result", "/simulator/result", "std_msgs/String", "how a drive in the world went, as JSON"),
    ),
)

TOPICS: dict[str, Topic] = {topic.key: topic for topic in _TABLE}

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
        parameters: what driver, view and adapter must know beside names: frames and axes of this source.
        description: what the set is for.
    """

    cameras: Mapping[str, str] = field(default_factory=lambda: {name: name.lower() for name in NUSCENES_CAMERAS})
    transport: str = "compressed"
    names: Mapping[str, str] = field(default_factory=lambda: {key: topic.name for key, topic in TOPICS.items()})
    parameters: Mapping[str, Any] = field(default_factory=dict)
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
    keys = ("description", "transport", "cameras", "topics", "parameters")
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
    parameters = tree.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"{source}: parameters must map names of parameters of driver, view and adapter to values")
    return TopicSet(dict(cameras), transport, names, dict(parameters), str(tree.get("description", "")).strip())
