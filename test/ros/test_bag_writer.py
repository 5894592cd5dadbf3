"""Bags made from data sets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.geometry import invert_transform, make_transform, project_points, transform_points
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.bags.writer import write_bag
from aln_p3_ros.replay.nuscenes_timeline import NuScenesTimeline, ReplayContent

STORAGES = ["mcap", "sqlite3"]
CONTENT = ReplayContent(ground_truth=True, command="straight", language=("scene",))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def read_all(folder: Path) -> list[tuple[str, int, object]]:
    with Reader(folder) as reader:
        return [
            (connection.topic, stamp, typestore().deserialize_cdr(data, connection.msgtype))
            for connection, stamp, data in reader.messages(reader.connections)
        ]


@pytest.mark.parametrize("storage", STORAGES)
def test_the_same_input_gives_the_same_bytes(track_root, tmp_path, storage):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        write_bag(NuScenesTimeline(track_root, content=CONTENT), tmp_path / place / "bag", storage=storage)
    first, second = digests(tmp_path / "a" / "bag"), digests(tmp_path / "b" / "bag")
    assert first == second
    assert len(first) == 2


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_holds_exactly_the_messages_of_the_timeline(track_root, tmp_path, storage):
    timeline = NuScenesTimeline(track_root, content=CONTENT)
    count = write_bag(timeline, tmp_path / "bag", storage=storage)
    with Reader(tmp_path / "bag") as reader:
        written = [(c.topic, stamp, bytes(data)) for c, stamp, data in reader.messages(reader.connections)]
    expected = [(m.topic, m.stamp_ns, bytes(m.serialise())) for m in timeline.messages()]
    assert count == len(expected)
    assert sorted(written) == sorted(expected)


@pytest.mark.parametrize("storage", STORAGES)
def test_latched_topics_are_offered_as_such(track_root, tmp_path, storage):
    write_bag(NuScenesTimeline(track_root), tmp_path / "bag", storage=storage)
    with Reader(tmp_path / "bag") as reader:
        offers = {connection.topic: connection.ext.offered_qos_profiles for connection in reader.connections}
    assert [qos.durability for qos in offers["/tf_static"]] == [QosDurability.TRANSIENT_LOCAL]
    assert [qos.durability for qos in offers["/tf"]] == [QosDurability.VOLATILE]


def matrix(transform) -> np.ndarray:
    t, q = transform.translation, transform.rotation
    return make_transform([q.w, q.x, q.y, q.z], [t.x, t.y, t.z])


def reference_pixels(root: Path, camera: str) -> np.ndarray:
    """Centres of all annotations that the devkit sees in a camera of the key frame: [n, 2] pixels."""
    from nuscenes.nuscenes import NuScenes
    from nuscenes.utils.data_classes import Box
    from nuscenes.utils.geometry_utils import view_points

    nusc = NuScenes(version="v1.0-sample", dataroot=str(root), verbose=False)
    token = nusc.sample[0]["data"][camera]
    _, boxes, intrinsic = nusc.get_sample_data(token)
    assert all(isinstance(box, Box) for box in boxes)
    corners = np.concatenate([box.corners() for box in boxes], axis=1)
    return view_points(corners, intrinsic, normalize=True)[:2].T.reshape(-1, 8, 2)


@pytest.mark.parametrize("camera", ["CAM_FRONT", "CAM_BACK_LEFT", "CAM_FRONT_RIGHT"])
def test_boxes_read_back_from_the_bag_project_to_the_pixels_of_the_devkit(keyframe_root, tmp_path, camera):
    """Nothing but the bag: object at the LiDAR's stamp -> odom -> base_link at the exposure -> camera -> pixel."""
    write_bag(NuScenesTimeline(keyframe_root, content=CONTENT), tmp_path / "bag")
    messages = read_all(tmp_path / "bag")
    poses = {stamp: matrix(m.transforms[0].transform) for topic, stamp, m in messages if topic == "/tf"}
    static = next(m for topic, _, m in messages if topic == "/tf_static")
    mounting = {t.child_frame_id: matrix(t.transform) for t in static.transforms}
    name = camera.lower()
    info = next(m for topic, _, m in messages if topic == f"/sensors/camera/{name}/camera_info")
    [(exposure, image)] = [(s, m) for topic, s, m in messages if topic == f"/sensors/camera/{name}/image/compressed"]
    [(lidar_stamp, truth)] = [(s, m) for topic, s, m in messages if topic == "/ground_truth/objects"]
    assert (info.header.frame_id, image.header.frame_id, truth.header.frame_id) == (name, name, "base_link")

    T_cam_base = invert_transform(poses[exposure] @ mounting[name]) @ poses[lidar_stamp]
    signs = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)]) / 2
    found = []
    for one in truth.objects:
        p, q = one.pose.position, one.pose.orientation
        size = np.array([one.size.x, one.size.y, one.size.z])
        corners = transform_points(T_cam_base @ make_transform([q.w, q.x, q.y, q.z], [p.x, p.y, p.z]), signs * size)
        pixels, depth = project_points(corners, info.p.reshape(3, 4)[:, :3])
        if (depth > 0.1).all():
            found.append(pixels.mean(axis=0))
    reference = reference_pixels(keyframe_root, camera).mean(axis=1)
    # Every box that the devkit shows and that has a detection class is among ours, at the same place.
    errors = np.array([min(np.linalg.norm(np.array(found) - pixel, axis=1)) for pixel in reference])
    assert len(reference) > 1
    assert np.count_nonzero(errors < 1e-3) >= len(reference) - 1  # one object of the scene has no detection class
    assert np.median(errors) < 1e-6


def test_a_bag_is_replaced_only_when_asked(track_root, tmp_path):
    timeline = NuScenesTimeline(track_root)
    write_bag(timeline, tmp_path / "bag")
    with pytest.raises(ConfigError, match="--force"):
        write_bag(timeline, tmp_path / "bag", storage="sqlite3")
    write_bag(timeline, tmp_path / "bag", storage="sqlite3", force=True)
    assert sorted(path.name for path in (tmp_path / "bag").iterdir()) == ["bag.db3", "metadata.yaml"]


def test_what_is_no_bag_is_never_replaced(track_root, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="no bag"):
        write_bag(NuScenesTimeline(track_root), tmp_path / "work", force=True)
    assert (tmp_path / "work" / "thesis.tex").exists()


def test_a_failed_write_leaves_nothing_behind(track_root, tmp_path):
    timeline = NuScenesTimeline(track_root)
    broken = next(m for m in reversed(list(timeline.messages())) if "compressed" in m.topic)

    class Broken:
        topics, start_ns, end_ns = timeline.topics, timeline.start_ns, timeline.end_ns
        steps_ns, image_topics = timeline.steps_ns, timeline.image_topics

        def messages(self, start_ns=None):
            for message in timeline.messages(start_ns):
                if message.stamp_ns == broken.stamp_ns and message.topic == broken.topic:
                    raise DataError("samples/CAM_FRONT/5.jpg cannot be read")
                yield message

    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"5\.jpg"):
        write_bag(Broken(), tmp_path / "out" / "bag")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_storage_is_refused(track_root, tmp_path):
    with pytest.raises(ConfigError, match="mcap"):
        write_bag(NuScenesTimeline(track_root), tmp_path / "bag", storage="mcp")
