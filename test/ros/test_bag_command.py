"""`aln-p3 bag` and `aln-p3 up` on the command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from replay_helpers import wait_until

from aln_p3_core.cli import make_cli
from aln_p3_ros.cli import ROS_COMMANDS
from aln_p3_ros.messages.interfaces import message_class


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(make_cli(ROS_COMMANDS), [str(a) for a in arguments])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_is_written_and_listed(run, track_root, tmp_path, storage):
    bag = tmp_path / "bag"
    written = run("bag", "from-nuscenes", track_root, "--scene", "scene-track", "--out", bag, "--storage", storage,
                  "--ground-truth", "--language", "scene", "--command", "right")  # fmt: skip
    assert written.exit_code == 0, written.output
    listed = run("bag", "info", bag)
    assert listed.exit_code == 0
    assert "/ground_truth/objects" in listed.output
    assert "tf2_msgs/msg/TFMessage" in listed.output


def test_options_leave_parts_out(run, track_root, tmp_path):
    bag = tmp_path / "bag"
    run("bag", "from-nuscenes", track_root, "--out", bag, "--no-lidar", "--key-frames-only", "--raw")
    listed = run("bag", "info", bag).output
    assert "/sensors/lidar" not in listed
    assert "sensor_msgs/msg/Image " in listed
    assert "CompressedImage" not in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bag", "from-nuscenes", "/nowhere", "--out", "{tmp}/bag"), "/nowhere"),
        (("bag", "from-nuscenes", "{root}", "--scene", "scene-trak", "--out", "{tmp}/bag"), "did you mean scene-track"),
        (("bag", "info", "/nowhere"), "there is no bag at /nowhere"),
        (("bag", "play", "/nowhere"), "there is no bag at /nowhere"),
        (("bag", "from-nuscenes", "{root}", "--out", "{root}"), "exists and is no bag"),
        (("up", "repaly"), "did you mean replay"),
        (("up", "driver", "device=cpu"), "NAME:=VALUE"),
        (("up", "replay", "rot:=x"), "did you mean root"),
    ],
)
def test_mistakes_are_explained(run, track_root, tmp_path, arguments, message):
    result = run(*(a.format(root=track_root, tmp=tmp_path) for a in arguments))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert message in result.output


@pytest.mark.parametrize("command", [["bag", "from-nuscenes", "{root}"], ["record"], ["demo"]])
def test_a_place_that_cannot_be_written_is_told_before_the_work(run, track_root, tmp_path, command):
    (tmp_path / "file").write_text("kept")
    result = run(*(part.format(root=track_root) for part in command), "--out", tmp_path / "file" / "out")
    assert result.exit_code == 2 and f"{tmp_path / 'file'} is no folder" in " ".join(result.output.split())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_a_bag_in_the_way_is_kept(run, track_root, tmp_path):
    arguments = ("bag", "from-nuscenes", track_root, "--out", tmp_path / "bag")
    assert run(*arguments).exit_code == 0
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "--force" in refused.output
    assert run(*arguments, "--force").exit_code == 0


def test_up_lists_graphs_and_arguments(run):
    assert "replay:" in run("up").output
    listed = run("up", "replay", "--show-args")
    assert listed.exit_code == 0
    assert "odometry_topic" in listed.output


def test_play_publishes_a_bag_in_another_process(run, nodes, track_root, tmp_path):
    run("bag", "from-nuscenes", track_root, "--out", tmp_path / "bag")
    heard: list[object] = []
    node = nodes.node("listener")
    node.create_subscription(message_class("nav_msgs/msg/Odometry"), "/localization/odometry", heard.append, 100)
    child = subprocess.Popen(
        [sys.executable, "-m", "aln_p3_ros", "bag", "play", str(tmp_path / "bag"), "--rate", "3", "--loop", "--topics",
         "/localization/odometry"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
    )  # fmt: skip
    try:
        wait_until(lambda: len(heard) > 3, "odometry from the bag")
        names = {name for name, _ in node.get_topic_names_and_types()}
        assert "/clock" in names
        assert "/tf" not in names
    finally:
        child.terminate()
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 0, output
