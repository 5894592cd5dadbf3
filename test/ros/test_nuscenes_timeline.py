"""Scenes as timelines of messages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.replay.nuscenes_timeline import NuScenesTimeline, ReplayContent


def decode(timeline, message):
    kinds = {topic.name: topic.type for topic in timeline.topics}
    return typestore().deserialize_cdr(message.serialise(), kinds[message.topic])


def on(timeline, topic):
    return [(m.stamp_ns, decode(timeline, m)) for m in timeline.messages() if m.topic == topic]


def stamp_of(header) -> int:
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


@pytest.fixture(scope="module")
def track(track_root) -> NuScenesTimeline:
    return NuScenesTimeline(track_root, content=ReplayContent(ground_truth=True, command="ground_truth"))


def test_messages_come_in_order_of_time_and_poses_before_images(track):
    messages = list(track.messages())
    stamps = [m.stamp_ns for m in messages]
    assert stamps == sorted(stamps)
    assert (stamps[0], stamps[-1]) == (track.start_ns, track.end_ns)
    assert messages[0].topic == "/tf_static"
    known = set()
    for message in messages:
        if message.topic == "/tf":
            known.add(message.stamp_ns)
        if "/image" in message.topic:
            assert message.stamp_ns in known


def test_every_header_bears_the_stamp_of_its_message(track):
    for message in track.messages():
        decoded = decode(track, message)
        if hasattr(decoded, "header"):
            assert stamp_of(decoded.header) == message.stamp_ns


def test_images_are_the_bytes_of_the_files_at_their_exposure(track, track_root):
    records = [r for r in NuScenesDataset(track_root).sensor_records(track.scene) if r.channel == "CAM_FRONT"]
    published = on(track, "/sensors/camera/cam_front/image/compressed")
    assert [stamp for stamp, _ in published] == [r.stamp_ns for r in records]
    assert len(records) > 3  # sweeps too
    for (_, image), record in zip(published, records, strict=True):
        assert bytes(image.data) == record.path.read_bytes()
        assert (image.format, image.header.frame_id) == ("jpeg", "cam_front")


def test_key_frames_only_leaves_the_sweeps_out(track, track_root):
    timeline = NuScenesTimeline(track_root, content=ReplayContent(sweeps=False))
    assert len(on(timeline, "/sensors/camera/cam_front/image/compressed")) == len(timeline.steps_ns)
    assert list(timeline.steps_ns) == list(track.steps_ns)


def test_camera_info_is_that_of_a_rectified_camera(track, track_root):
    record = next(r for r in NuScenesDataset(track_root).sensor_records(track.scene) if r.channel == "CAM_BACK")
    _, info = on(track, "/sensors/camera/cam_back/camera_info")[0]
    np.testing.assert_array_equal(info.k.reshape(3, 3), record.intrinsic)
    np.testing.assert_array_equal(info.p.reshape(3, 4), np.hstack([record.intrinsic, np.zeros((3, 1))]))
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    assert (info.distortion_model, info.d.tolist()) == ("plumb_bob", [0.0] * 5)
    assert (info.width, info.height, info.header.frame_id) == (160, 90, "cam_back")


def test_static_transforms_name_all_sensors(track):
    [(_, static)] = on(track, "/tf_static")
    edges = {(t.header.frame_id, t.child_frame_id) for t in static.transforms}
    sensors = {name.lower() for name in NUSCENES_CAMERAS} | {"lidar_top"}
    assert edges == {("map", "odom")} | {("base_link", name) for name in sensors}


def test_raw_images_are_decoded(track_root):
    timeline = NuScenesTimeline(track_root, content=ReplayContent(raw_images=True))
    _, image = on(timeline, "/sensors/camera/cam_front/image")[0]
    assert (image.width, image.height, image.step, image.encoding) == (160, 90, 480, "bgr8")
    assert len(image.data) == 480 * 90
    assert image.data.std() > 1


def test_point_clouds_hold_the_points_of_the_file(track, track_root):
    dataset = NuScenesDataset(track_root)
    record = next(r for r in dataset.sensor_records(track.scene) if r.channel == "LIDAR_TOP")
    stamp, cloud = on(track, "/sensors/lidar/lidar_top/points")[0]
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "intensity", "ring"]
    layout = np.dtype({"names": [f.name for f in cloud.fields], "formats": ["<f4"] * 4 + ["<u2"],
                       "offsets": [f.offset for f in cloud.fields], "itemsize": cloud.point_step})  # fmt: skip
    points = np.frombuffer(cloud.data.tobytes(), layout)
    expected = dataset.lidar_points(record)
    np.testing.assert_array_equal(np.stack([points[n].astype("f4") for n in layout.names], axis=1), expected)
    assert stamp == record.stamp_ns


def test_the_command_is_published_as_asked_and_says_where_it_is_from(track, track_root):
    assert {command.provenance for _, command in on(track, "/planning/route_command")} <= {1, 2}
    fixed = NuScenesTimeline(track_root, content=ReplayContent(command="left"))
    commands = on(fixed, "/planning/route_command")
    assert len(commands) == len(fixed.steps_ns)
    assert {(c.command, c.provenance) for _, c in commands} == {(1, 0)}
    silent = NuScenesTimeline(track_root)
    assert "/planning/route_command" not in {topic.name for topic in silent.topics}


def test_ground_truth_is_published_only_on_request(track, track_root):
    assert on(track, "/ground_truth/objects")[0][1].objects
    assert not any("ground_truth" in topic.name for topic in NuScenesTimeline(track_root).topics)


def test_true_paths_lead_where_the_object_is_annotated_next(track):
    """The first point of a path is the next key frame's box, seen from this one."""
    first, second = (message for _, message in on(track, "/ground_truth/objects")[:2])
    poses = {stamp: odometry.pose.pose for stamp, odometry in on(track, "/localization/odometry")}
    here, there = (poses[stamp_of(m.header)] for m in (first, second))
    travelled = there.position.x - here.position.x  # the track is straight: odom and base_link stay parallel
    moving = [o for o in first.objects if o.paths]
    assert moving
    for one in moving:
        match = [p for p in second.objects if abs(p.pose.position.x + travelled - one.paths[0].points[0].x) < 1e-3]
        assert any(abs(p.pose.position.y - one.paths[0].points[0].y) < 1e-3 for p in match)


def test_language_comes_from_the_files_that_are_given(track_root, tmp_path: Path):
    dataset = NuScenesDataset(track_root)
    token = dataset.tokens[1]
    path = tmp_path / "nu_x.json"
    path.write_text(json.dumps({token: {"narration": "the car goes straight", "reasoning": "the road is clear"}}))
    timeline = NuScenesTimeline(track_root, content=ReplayContent(language=(str(path),)))
    [(_, text)] = on(timeline, "/ground_truth/language")
    assert json.loads(text.data)["nu_x"]["narration"] == "the car goes straight"
    everything = NuScenesTimeline(track_root, content=ReplayContent(language=(str(path), "scene")))
    assert len(on(everything, "/ground_truth/language")) == len(everything.steps_ns)


def test_a_later_start_still_gives_the_static_transforms(track):
    start = track.steps_ns[1]
    messages = list(track.messages(start))
    assert messages[0].topic == "/tf_static"
    assert all(m.stamp_ns >= start for m in messages[1:])


def test_scenes_and_commands_that_do_not_exist_are_refused(track_root):
    with pytest.raises(DataError, match="scene-track"):
        NuScenesTimeline(track_root, scene="scene-trak")
    with pytest.raises(ConfigError, match="straight"):
        ReplayContent(command="strait")


def test_real_clip(surround_root):
    timeline = NuScenesTimeline(surround_root)
    images = on(timeline, "/sensors/camera/cam_front/image/compressed")
    assert len(images) == 3
    _, info = on(timeline, "/sensors/camera/cam_front/camera_info")[0]
    assert (info.width, info.height) == (1600, 1005)
    # About 12.7 m/s, as the data set's notes say.
    speeds = [odometry.twist.twist.linear.x for _, odometry in on(timeline, "/localization/odometry")]
    assert np.allclose(speeds, 12.7, atol=0.5)
