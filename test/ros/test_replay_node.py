"""The replay node, listened to by another node."""

from __future__ import annotations

import pytest
from replay_helpers import wait_until

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_ros.bags.qos import publisher_qos
from aln_p3_ros.bags.reader import BagTimeline
from aln_p3_ros.bags.writer import write_bag
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.parameters import setting_infos
from aln_p3_ros.replay.nuscenes_timeline import NuScenesTimeline, ReplayContent
from aln_p3_ros.replay.replay_settings import ReplaySettings
from aln_p3_ros.resources import config_directory

CONTENT = ReplayContent(ground_truth=True, command="left", language=("scene",))
SETTINGS = {"ground_truth": True, "command": "left", "language": ["scene"]}


class Listener:
    """Takes the CDR bytes of every topic of a timeline, with the offered quality of service."""

    def __init__(self, node, timeline) -> None:
        self.received: dict[str, list[bytes]] = {topic.name: [] for topic in timeline.topics}
        self.clock: list[int] = []
        for topic in timeline.topics:
            node.create_subscription(
                message_class(topic.type),
                topic.name,
                lambda cdr, name=topic.name: self.received[name].append(bytes(cdr)),
                publisher_qos(topic.qos),
                raw=True,
            )
        node.create_subscription(message_class("rosgraph_msgs/msg/Clock"), "/clock", self._on_clock, 1000)

    def _on_clock(self, message) -> None:
        self.clock.append(message.clock.sec * 1_000_000_000 + message.clock.nanosec)

    @property
    def count(self) -> int:
        return sum(map(len, self.received.values()))


def start_replay(nodes, **parameters):
    from rclpy.parameter import Parameter

    from aln_p3_ros.replay_node import ReplayNode

    values = {"wait_for_subscribers_s": 60.0, **parameters}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return nodes.add(ReplayNode(context=nodes.context, parameter_overrides=overrides))


def by_topic(timeline) -> dict[str, list[bytes]]:
    expected: dict[str, list[bytes]] = {}
    for message in timeline.messages():
        expected.setdefault(message.topic, []).append(bytes(message.serialise()))
    return expected


def all_matched(node, timeline) -> bool:
    counts = [len(node.get_subscriptions_info_by_topic(topic.name)) for topic in timeline.topics]
    return all(counts)


def test_every_message_of_the_scene_arrives_unchanged(nodes, track_root):
    timeline = NuScenesTimeline(track_root, content=CONTENT)
    listener = Listener(nodes.node("listener"), timeline)
    replay = start_replay(nodes, root=str(track_root), **SETTINGS)
    wait_until(lambda: all_matched(replay, timeline), "the listener's subscriptions")
    replay.start()
    assert replay.finished.wait(60)
    expected = by_topic(timeline)
    wait_until(lambda: listener.received == expected, f"all messages; {listener.count} have come")


def test_a_written_bag_plays_the_same_bytes_at_the_same_times(nodes, track_root, tmp_path):
    timeline = NuScenesTimeline(track_root, content=CONTENT)
    write_bag(timeline, tmp_path / "bag")
    listener = Listener(nodes.node("listener"), timeline)
    replay = start_replay(nodes, bag=str(tmp_path / "bag"), rate=2.0)
    wait_until(lambda: all_matched(replay, timeline), "the listener's subscriptions")
    replay.start()
    assert replay.finished.wait(60)
    expected = by_topic(BagTimeline(tmp_path / "bag"))
    assert expected == by_topic(timeline)
    wait_until(lambda: listener.received == expected, f"all messages; {listener.count} have come")
    assert listener.clock
    assert min(listener.clock) >= timeline.start_ns
    assert max(listener.clock) <= timeline.end_ns


@pytest.mark.parametrize(("choice", "expected"), [("auto", {7}), ("player", {100, 200}), ("off", set())])
def test_the_clock_of_a_bag_is_its_own_unless_another_is_asked_for(nodes, tmp_path, choice, expected):
    """A recording of a simulation arrived at other times than its clock showed."""
    from rosbags.rosbag2 import Writer

    from aln_p3_ros.bags.typestore import typestore
    from aln_p3_ros.replay.messages import make, serialise, time_message

    with Writer(tmp_path / "bag", version=9) as writer:
        clock = writer.add_connection("/clock", "rosgraph_msgs/msg/Clock", typestore=typestore())
        words = writer.add_connection("/words", "std_msgs/msg/String", typestore=typestore())
        for second in (100, 200):
            writer.write(clock, second * 10**9, serialise(make("rosgraph_msgs/Clock", clock=time_message(7 * 10**9))))
            writer.write(words, second * 10**9, serialise(make("std_msgs/String", data="x")))
    seconds: set[int] = set()
    heard: list[object] = []
    node = nodes.node("listener")
    node.create_subscription(message_class("rosgraph_msgs/msg/Clock"), "/clock", lambda m: seconds.add(m.clock.sec), 99)
    node.create_subscription(message_class("std_msgs/msg/String"), "/words", heard.append, 99)
    replay = start_replay(nodes, bag=str(tmp_path / "bag"), clock=choice, rate=100.0)
    listening = ["/words"] if choice == "off" else ["/words", "/clock"]
    wait_until(lambda: all(replay.get_subscriptions_info_by_topic(t) for t in listening), "the subscriptions")
    replay.start()
    wait_until(lambda: len(heard) == 2, "both messages")
    if choice == "player":
        wait_until(lambda: max(seconds, default=0) == 200, "the clock")
        assert min(seconds) == 100
    else:
        wait_until(lambda: seconds == expected, "the clock")


def test_it_waits_for_the_nodes_that_it_is_told_to_wait_for(nodes, track_root):
    timeline = NuScenesTimeline(track_root)
    early = Listener(nodes.node("recorder"), timeline)
    replay = start_replay(nodes, root=str(track_root), wait_for_nodes=["driver_node"], rate=5.0)
    wait_until(lambda: all_matched(replay, timeline), "the early listener's subscriptions")
    replay.start()
    late = Listener(nodes.node("driver_node"), timeline)
    assert replay.finished.wait(60)
    images = timeline.image_topics
    expected = by_topic(timeline)
    for listener in (early, late):
        wait_until(
            lambda one=listener: all(one.received[topic] == expected[topic] for topic in images),
            "all images from the first on",
        )


def call(nodes, client, **fields):
    from aln_p3.srv import ReplayControl

    future = client.call_async(ReplayControl.Request(**fields))
    wait_until(future.done, "an answer of ~/control")
    return future.result()


def test_the_service_steps_seeks_and_says_where_it_is(nodes, track_root):
    from aln_p3.srv import ReplayControl

    timeline = NuScenesTimeline(track_root)
    listener = Listener(nodes.node("listener"), timeline)
    replay = start_replay(nodes, root=str(track_root), start_paused=True, at_end="idle", rate=5.0)
    client = nodes.node("remote").create_client(ReplayControl, "/replay_node/control")
    wait_until(client.service_is_ready, "the service")
    wait_until(lambda: all_matched(replay, timeline), "the listener's subscriptions")
    replay.start()
    image = "/sensors/camera/cam_front/image/compressed"
    stamps = [m.stamp_ns for m in timeline.messages() if m.topic == image]
    wait_until(lambda: len(listener.received["/tf_static"]) == 1, "the static transforms")

    frames_to = [sum(stamp <= step for stamp in stamps) for step in timeline.steps_ns]
    for frames in frames_to[:2]:
        assert call(nodes, client, action=ReplayControl.Request.STEP).success
        wait_until(lambda frames=frames: len(listener.received[image]) == frames, f"{frames} images")
        wait_until(
            lambda: "paused" in call(nodes, client, action=ReplayControl.Request.SET_RATE, rate=5.0).message,
            "the end of the step",
        )

    answer = call(nodes, client, action=ReplayControl.Request.SEEK, start_offset=0.0)
    assert (answer.success, answer.message) == (True, "paused at 0.000 s")
    call(nodes, client, action=ReplayControl.Request.STEP)
    wait_until(lambda: len(listener.received[image]) == frames_to[1] + frames_to[0], "the first images again")

    beyond = call(nodes, client, action=ReplayControl.Request.SEEK, start_offset=99.0)
    assert not beyond.success
    assert "offset" in beyond.message
    assert not call(nodes, client, action=ReplayControl.Request.SET_RATE, rate=0.0).success
    assert not call(nodes, client, action=77).success


def test_types_that_are_not_installed_are_left_out_by_name(nodes, track_root, tmp_path, capfd):
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("int32 value", "foreign_msgs/msg/Thing"))
    text = store.types["std_msgs/msg/String"](data="hello")
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        foreign = writer.add_connection("/thing", "foreign_msgs/msg/Thing", typestore=store)
        known = writer.add_connection("/hello", "std_msgs/msg/String", typestore=store)
        for stamp in range(3):
            thing = store.types["foreign_msgs/msg/Thing"](value=stamp)
            writer.write(foreign, stamp, store.serialize_cdr(thing, "foreign_msgs/msg/Thing"))
            writer.write(known, stamp, store.serialize_cdr(text, "std_msgs/msg/String"))
    heard = []
    node = nodes.node("listener")
    node.create_subscription(message_class("std_msgs/msg/String"), "/hello", lambda m: heard.append(m.data), 10)
    replay = start_replay(nodes, bag=str(tmp_path / "bag"))
    wait_until(lambda: replay.get_subscriptions_info_by_topic("/hello"), "the subscription")
    replay.start()
    wait_until(lambda: heard == ["hello"] * 3, "the messages whose type is known")
    assert "/thing is left out: its type foreign_msgs/msg/Thing is not installed" in capfd.readouterr().err


def test_the_rate_is_a_live_parameter_within_its_range(nodes, track_root):
    from rclpy.parameter import Parameter

    replay = start_replay(nodes, root=str(track_root), start_paused=True)
    assert replay.set_parameters([Parameter("rate", value=4.0)])[0].successful
    assert not replay.set_parameters([Parameter("rate", value=1000.0)])[0].successful
    refused = replay.set_parameters([Parameter("scene", value="another")])[0]
    assert not refused.successful


@pytest.mark.parametrize(
    ("parameters", "error"),
    [({}, ConfigError), ({"root": "/nowhere"}, DataError), ({"bag": "/nowhere"}, DataError)],
)
def test_it_does_not_start_without_data(nodes, parameters, error):
    with pytest.raises(error):
        start_replay(nodes, **parameters)


def test_the_parameter_file_repeats_the_defaults():
    import yaml

    tree = yaml.safe_load((config_directory() / "replay.yaml").read_text())
    values = tree["/**"]["ros__parameters"]
    infos = setting_infos(ReplaySettings)
    assert list(values) == list(infos)
    for name, (default, _) in infos.items():
        assert values[name] == ((list(default) or [""]) if isinstance(default, tuple) else default), name
