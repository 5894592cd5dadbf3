"""The test track: nuscenes-devkit loads it, and what it annotates is where it is painted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes

from aln_p3_core.errors import DataError
from aln_p3_core.synthetic import track
from aln_p3_core.synthetic.root import VERSION, write_root


@pytest.fixture(scope="module")
def nusc(track_root: Path) -> NuScenes:
    return NuScenes(VERSION, str(track_root), verbose=False)


def test_devkit_finds_key_frames_and_sweeps(nusc):
    assert len(nusc.sample) == 4
    assert {len(sample["anns"]) for sample in nusc.sample} == {len(track.ACTORS)}
    data = nusc.get("sample_data", nusc.sample[0]["data"]["CAM_BACK"])
    assert not nusc.get("sample_data", data["next"])["is_key_frame"]
    assert data["timestamp"] < nusc.sample[0]["timestamp"]


def test_annotated_speed_is_the_painted_one(nusc):
    speeds = [np.linalg.norm(nusc.box_velocity(token)[:2]) for token in nusc.sample[1]["anns"]]
    np.testing.assert_allclose(speeds, [actor.speed for actor in track.ACTORS], atol=1e-6)


def test_lead_car_is_painted_where_the_devkit_projects_it(nusc):
    sample = nusc.sample[2]
    path, boxes, intrinsic = nusc.get_sample_data(sample["data"]["CAM_FRONT"])
    picture = cv2.imread(path)[..., ::-1]
    lead = min((box for box in boxes if box.name == "vehicle.car"), key=lambda box: box.center[2])
    # The middle of its rear face: half a length nearer than the centre.
    u, v, depth = intrinsic @ (lead.center - [0, 0, lead.wlh[1] / 2])
    color = picture[int(v / depth), int(u / depth)].astype(int)
    assert color[0] > 1.8 * color[1] and color[0] > 1.8 * color[2], "the lead car is red"


def test_lidar_hits_the_boxes(nusc):
    counts = {
        nusc.get("sample_annotation", token)["category_name"]: nusc.get("sample_annotation", token)["num_lidar_pts"]
        for token in nusc.sample[0]["anns"]
    }
    assert counts["vehicle.bus.rigid"] > 100


def test_same_drive_same_bytes(track_root, tmp_path):
    write_root(tmp_path / "again", seconds=0.1, size=(400, 225))
    pictures = list((tmp_path / "again" / "samples").rglob("*.jpg"))
    assert len(pictures) == 6
    for path in pictures:
        assert path.read_bytes() == (track_root / path.relative_to(tmp_path / "again")).read_bytes()


def test_refuses_a_used_folder(track_root):
    with pytest.raises(DataError, match="not empty"):
        write_root(track_root)
