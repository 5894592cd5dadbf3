"""Bags as timelines, whole and cut off."""

from __future__ import annotations

import shutil

import pytest
from rosbags.rosbag2 import Writer

from aln_p3_core.errors import DataError
from aln_p3_ros.bags.reader import BagTimeline, bag_summary, open_bag
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.bags.writer import STORAGES, write_bag
from aln_p3_ros.replay.messages import make, serialise
from aln_p3_ros.replay.nuscenes_timeline import NuScenesTimeline, ReplayContent


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def written(request, track_root, tmp_path_factory):
    timeline = NuScenesTimeline(track_root)
    bag = tmp_path_factory.mktemp(request.param) / "bag"
    write_bag(timeline, bag, storage=request.param)
    return timeline, bag


def content(timeline, start_ns=None):
    return [(m.stamp_ns, m.topic, bytes(m.serialise())) for m in timeline.messages(start_ns)]


def test_a_bag_plays_the_bytes_it_was_made_from(written):
    timeline, bag = written
    played = BagTimeline(bag)
    assert sorted(content(played)) == sorted(content(timeline))
    assert (played.start_ns, played.end_ns) == (timeline.start_ns, timeline.end_ns)
    assert {t.name: (t.type, t.qos) for t in played.topics} == {t.name: (t.type, t.qos) for t in timeline.topics}
    assert set(played.image_topics) == set(timeline.image_topics)


def test_a_later_start_gives_the_latched_messages_first(written):
    timeline, bag = written
    start = timeline.steps_ns[1]
    played = content(BagTimeline(bag), start)
    assert played[0][1] == "/tf_static"
    assert sorted(played) == sorted(content(timeline, start))


def test_topics_can_be_chosen_and_left_out(written):
    _, bag = written
    assert [t.name for t in BagTimeline(bag, topics=["/tf"]).topics] == ["/tf"]
    assert "/tf" not in [t.name for t in BagTimeline(bag, exclude=["/tf"]).topics]
    with pytest.raises(DataError, match="did you mean"):
        BagTimeline(bag, topics=["/tff"])


def test_a_summary_counts(written):
    timeline, bag = written
    summary = bag_summary(bag)
    assert summary.whole
    assert sum(count for *_, count in summary.counts) == len(content(timeline))
    assert (summary.start_ns, summary.end_ns) == (timeline.start_ns, timeline.end_ns)


def test_a_cut_off_recording_is_read_as_far_as_it_goes(track_root, tmp_path):
    timeline = NuScenesTimeline(track_root, content=ReplayContent(raw_images=True))
    write_bag(timeline, tmp_path / "bag")
    data = (tmp_path / "bag" / "bag.mcap").read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "cut.mcap").write_bytes(data[: len(data) * 2 // 3])
    whole, part = content(timeline), content(BagTimeline(cut))
    assert not bag_summary(cut).whole
    assert len(whole) / 3 < len(part) < len(whole)
    assert set(part) <= set(whole)


def test_a_recording_that_was_killed_before_its_metadata_is_read(written, tmp_path):
    timeline, bag = written
    copy = tmp_path / "copy"
    shutil.copytree(bag, copy)
    (copy / "metadata.yaml").unlink()
    if next(copy.iterdir()).suffix == ".db3":
        with pytest.raises(DataError, match="cannot be read"):
            BagTimeline(copy)
    else:
        assert sorted(content(BagTimeline(copy))) == sorted(content(timeline))


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE"])
def test_compressed_bags_are_read(tmp_path, mode):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer

    writer = Writer(tmp_path / "bag", version=9)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    cdr = bytes(serialise(make("std_msgs/String", data="hello")))
    with writer:
        connection = writer.add_connection("/words", "std_msgs/msg/String", typestore=typestore())
        writer.write(connection, 5, cdr)
    assert content(BagTimeline(tmp_path / "bag")) == [(5, "/words", cdr)]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_damaged_bag_is_read_or_named(tmp_path, storage):
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=STORAGES[storage])
    with writer:
        connection = writer.add_connection("/words", "std_msgs/msg/String", typestore=typestore())
        for number in range(6):
            writer.write(connection, 10**9 + number, bytes(serialise(make("std_msgs/String", data=f"word {number}"))))
    (file,) = (path for path in (tmp_path / "bag").iterdir() if path.suffix != ".yaml")
    whole = file.read_bytes()
    damages = [whole[:at] + b"\xff" * 8 + whole[at + 8 :] for at in range(0, len(whole), len(whole) // 150)]
    damages += [whole[:at] for at in range(0, len(whole), len(whole) // 20)]
    named = 0
    for damaged in damages:
        file.write_bytes(damaged)
        try:
            bag_summary(tmp_path / "bag")
            content(BagTimeline(tmp_path / "bag"))
        except DataError as error:
            named += str(tmp_path) in str(error)
    assert named, "nothing was damaged"
    file.write_bytes(whole)
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: nine}")
    if storage == "mcap":
        assert not bag_summary(tmp_path / "bag").whole
    else:
        with pytest.raises(DataError, match="cannot be read"):
            bag_summary(tmp_path / "bag")


def test_what_a_reader_does_to_a_bag_is_no_damage_of_it(written):
    """An error of whoever reads comes out as it is."""
    with pytest.raises(FileNotFoundError, match="mine"), open_bag(written[1]):
        raise FileNotFoundError("mine")


def test_a_single_file_is_a_bag_too(written):
    timeline, bag = written
    file = next(path for path in bag.iterdir() if path.suffix != ".yaml")
    assert sorted(content(BagTimeline(file))) == sorted(content(timeline))


def test_what_is_no_bag_is_named(tmp_path):
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(DataError, match="bag"):
            BagTimeline(path)
    (tmp_path / "odd.mcap").write_bytes(b"not an mcap file")
    with pytest.raises(DataError, match=r"odd\.mcap"):
        BagTimeline(tmp_path / "odd.mcap")
