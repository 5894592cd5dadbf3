"""The table of topics and the topic sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_ros.adapter.adapter_settings import AdapterSettings
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.parameters import setting_infos
from aln_p3_ros.resources import config_directory, share_path
from aln_p3_ros.topics import TOPICS, TopicSet, load_topic_set
from aln_p3_ros.view.view_settings import ViewSettings

SETS = sorted(path.stem for path in (config_directory() / "topics").glob("*.yaml"))


@pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS)
def test_every_type_can_be_published_and_written(topic):
    assert message_class(topic.type) is not None
    assert topic.type in typestore().fielddefs


def test_names_differ():
    assert len({topic.name for topic in TOPICS.values()}) == len(TOPICS)


def test_the_shipped_sets_are_those_that_the_documentation_names():
    assert SETS == ["awsim_autoware", "carla_ros_bridge", "nuscenes_replay"]


@pytest.mark.parametrize("name", SETS)
def test_a_shipped_set_names_every_camera_of_the_rig(name):
    topics = load_topic_set(name)
    assert tuple(topics.cameras) == NUSCENES_CAMERAS
    images = {topics.name("camera_image", camera) for camera in NUSCENES_CAMERAS}
    assert len(images) == 6
    assert not any("{" in image for image in images)


@pytest.mark.parametrize("name", SETS)
def test_the_parameters_of_a_shipped_set_are_those_of_the_nodes(name):
    parameters = load_topic_set(name).parameters
    known = [setting_infos(kind) for kind in (DriverSettings, ViewSettings, AdapterSettings)]
    assert all(any(key in infos for infos in known) for key in parameters)
    driver = DriverSettings(**{key: value for key, value in parameters.items() if key in known[0]})
    # The bridge's vehicle has its origin in its middle.
    assert driver.vehicle().middle_m == (0.0 if name == "carla_ros_bridge" else 1.39)


def test_the_default_set_renames_nothing():
    assert load_topic_set("nuscenes_replay").remappings() == []


def test_a_set_renames_images_of_every_camera():
    pairs = dict(load_topic_set("carla_ros_bridge").remappings())
    assert pairs["/sensors/camera/cam_back_left/image"] == "/carla/ego_vehicle/rgb_back_left/image"
    assert pairs["/localization/odometry"] == "/carla/ego_vehicle/odometry"


def test_single_names_can_be_overridden():
    topics = TopicSet().with_names({"odometry": "/odom", "camera_info": "/{camera}/info"})
    pairs = dict(topics.remappings())
    assert pairs["/localization/odometry"] == "/odom"
    assert pairs["/sensors/camera/cam_front/camera_info"] == "/cam_front/info"


def test_an_unknown_set_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match="carla_ros_bridge"):
        load_topic_set("carla_ros_brige")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("topic: {}", "did you mean topics"),
        ("topics: {odometri: /odom}", "did you mean odometry"),
        ("topics: {odometry: 'my odometry'}", "not a topic name"),
        ("topics: {camera_info: /camera_info}", "must contain {camera}"),
        ("topics: {odometry: '/{camera}/odometry'}", "must not contain {camera}"),
        ("transport: jpeg", "compressed or raw"),
        ("cameras: [CAM_FRONT]", "must map channels"),
        ("topics: [", "no valid YAML"),
        ("- topics", "must be a mapping"),
    ],
)
def test_a_wrong_set_is_refused_and_says_why(tmp_path: Path, content: str, message: str):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as error:
        load_topic_set(path)
    assert str(path) in str(error.value)


def test_the_documentation_lists_every_topic_with_its_name_and_type():
    text = share_path("docs", "topics.md").read_text(encoding="utf-8")
    for topic in TOPICS.values():
        row = f"| `{topic.key}` | `{topic.name}` | `{topic.type.replace('/msg/', '/')}` |"
        assert row in text, row
