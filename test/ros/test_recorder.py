"""Recording topics to MCAP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.parameter import Parameter
from replay_helpers import wait_until
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from rosgraph_msgs.msg import Clock

from aln_p3_core.errors import ConfigError
from aln_p3_ros.bags.qos import offered_qos, publisher_qos
from aln_p3_ros.bags.reader import BagTimeline, bag_summary
from aln_p3_ros.bags.salvage import salvage
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.topics import Quality

STRING = "std_msgs/msg/String"


@pytest.fixture
def recorder(nodes, tmp_path):
    from aln_p3_ros.bags.recorder import Recorder

    node = nodes.node("recorder")

    def start(**kwargs) -> Recorder:
        return Recorder(node, tmp_path / "bag", **kwargs)

    return start


def publisher(node, topic, quality=Quality.STATE):
    return node.create_publisher(message_class(STRING), topic, publisher_qos([offered_qos(quality)]))


def say(out, *texts) -> None:
    for text in texts:
        out.publish(message_class(STRING)(data=text))


def test_what_was_published_can_be_read_back(nodes, recorder, tmp_path):
    from aln_p3.msg import RouteCommand

    talker = nodes.node("talker")
    words = publisher(talker, "/words")
    commands = talker.create_publisher(RouteCommand, "/planning/route_command", 10)
    recording = recorder()
    wait_until(lambda: words.get_subscription_count() and commands.get_subscription_count(), "the recorder")
    say(words, "one", "two")
    commands.publish(RouteCommand(command=RouteCommand.LEFT))
    wait_until(lambda: (recording.counts["/words"], recording.counts["/planning/route_command"]) == (2, 1), "messages")
    nodes.close()
    recording.close()
    counts = {topic: (kind, count) for topic, kind, count in bag_summary(tmp_path / "bag").counts}
    assert counts["/words"] == (STRING, 2)
    assert counts["/planning/route_command"] == ("aln_p3/msg/RouteCommand", 1)
    played = [bytes(m.serialise()) for m in BagTimeline(tmp_path / "bag", ["/words"]).messages()]
    assert [text for text in ("one", "two") if any(text.encode() in cdr for cdr in played)] == ["one", "two"]


def test_topics_that_appear_later_and_latched_ones_are_recorded(nodes, recorder, tmp_path):
    talker = nodes.node("talker")
    latched = publisher(talker, "/latched", Quality.LATCHED)
    say(latched, "said before anybody listened")
    recording = recorder()
    wait_until(lambda: recording.counts.get("/latched") == 1, "the latched message")
    late = publisher(talker, "/late")
    wait_until(lambda: late.get_subscription_count() == 1, "the recorder on the late topic")
    say(late, "here I am")
    wait_until(lambda: recording.counts.get("/late") == 1, "the late message")
    nodes.close()
    recording.close()
    with Reader(tmp_path / "bag") as reader:
        offers = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert [qos.durability for qos in offers["/latched"]] == [QosDurability.TRANSIENT_LOCAL]


def test_before_simulated_time_begins_messages_wait_for_it(nodes, tmp_path):
    from aln_p3_ros.bags.recorder import Recorder

    node = nodes.add(
        Node("recorder", context=nodes.context, parameter_overrides=[Parameter("use_sim_time", value=True)])
    )
    talker = nodes.node("talker")
    words, clock = publisher(talker, "/words"), talker.create_publisher(Clock, "/clock", 10)
    recording = Recorder(node, tmp_path / "bag", topics=["/words"])
    wait_until(lambda: words.get_subscription_count() and clock.get_subscription_count(), "the recorder")
    say(words, "early")
    wait_until(lambda: recording.counts["/words"] == 1, "the early message")
    begin = Time(sec=1_700_000_000)
    clock.publish(Clock(clock=begin))
    wait_until(lambda: node.get_clock().now().nanoseconds > 0, "simulated time")
    say(words, "late")
    wait_until(lambda: recording.counts["/words"] == 2, "the late message")
    nodes.close()
    recording.close()
    summary = bag_summary(tmp_path / "bag")
    assert summary.counts == (("/words", STRING, 2),) and summary.start_ns == 1_700_000_000 * 10**9


@pytest.mark.parametrize("share", [0.6, 0.71, 0.9])
def test_a_bag_that_is_cut_anywhere_is_read_as_far_as_it_goes(nodes, recorder, tmp_path, share):
    words = publisher(nodes.node("talker"), "/words")
    recording = recorder()
    wait_until(lambda: words.get_subscription_count() == 1, "the recorder")
    for number in range(40):
        say(words, f"{number} " + "x" * number)
    wait_until(lambda: recording.counts["/words"] == 40, "messages")
    nodes.close()
    recording.close()
    whole = (tmp_path / "bag" / "bag.mcap").read_bytes()
    cut = tmp_path / "cut.mcap"
    for end in range(round(len(whole) * share), round(len(whole) * share) + 24):
        cut.write_bytes(whole[:end])
        with salvage(cut) as left:
            assert left.is_file()


def test_only_the_topics_asked_for_are_recorded(nodes, recorder):
    talker = nodes.node("talker")
    wanted, other = publisher(talker, "/wanted"), publisher(talker, "/other")
    recording = recorder(topics=["/wanted", "/never"])
    wait_until(lambda: wanted.get_subscription_count() == 1, "the recorder")
    say(other, "x")
    say(wanted, "y")
    wait_until(lambda: recording.counts == {"/wanted": 1}, "the wanted message")
    assert recording.missing == ["/never"]
    nodes.close()
    recording.close()


def test_a_bag_that_is_there_is_not_overwritten(recorder, tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "bag.mcap").write_bytes(b"precious")
    with pytest.raises(ConfigError, match="--force"):
        recorder()
    assert (tmp_path / "bag" / "bag.mcap").read_bytes() == b"precious"


def start_command(out: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aln_p3_ros", "record", "--out", str(out), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
    )


def test_a_killed_recording_is_still_readable(nodes, tmp_path):
    words = publisher(nodes.node("talker"), "/words")
    child = start_command(tmp_path / "bag", "--topics", "/words")
    try:
        wait_until(lambda: words.get_subscription_count() == 1, "the recorder")
        say(words, *map(str, range(20)))
        file = tmp_path / "bag" / "bag.mcap"
        wait_until(lambda: file.stat().st_size > 20 * 20, "the messages on disk")
    finally:
        child.kill()
        child.communicate()
    summary = bag_summary(tmp_path / "bag")
    assert not summary.whole
    assert summary.counts == (("/words", STRING, 20),)


@pytest.mark.parametrize("how", ["--for", signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_a_whole_bag(nodes, tmp_path, how):
    words = publisher(nodes.node("talker"), "/words")
    child = start_command(tmp_path / "bag", *(["--for", "4"] if how == "--for" else []))
    try:
        wait_until(lambda: words.get_subscription_count() == 1, "the recorder")
        say(words, "a", "b")
        file = tmp_path / "bag" / "bag.mcap"
        wait_until(lambda: b"b\x00" in file.read_bytes(), "the messages on disk")
        if how != "--for":
            child.send_signal(how)
        output, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, output
    summary = bag_summary(tmp_path / "bag")
    assert summary.whole
    assert Counter({topic: count for topic, _, count in summary.counts})["/words"] == 2
    assert "/words" in output
