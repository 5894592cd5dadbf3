"""Targets of forty real contiguous key frames (boxes, poses, no images) against what the recording itself says."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from run_complete import shared_data

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.frame import Command
from aln_p3_core.geometry import invert_transform, make_transform, rotate_vectors, transform_points
from aln_p3_core.scene import AGENT_CLASSES


@pytest.fixture(scope="module")
def recording(shared_dir: Path) -> dict[str, Any]:
    path = shared_data(shared_dir / "data" / "mini_val_boxes" / "scene-0103.json.gz")
    return json.loads(gzip.decompress(path.read_bytes()))


@pytest.fixture(scope="module")
def dataset(recording: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> NuScenesDataset:
    """The recording as the thirteen tables that the devkit reads."""
    root = tmp_path_factory.mktemp("recorded")
    (root / "v1.0-mini").mkdir()
    (root / "maps").mkdir()
    cv2.imwrite(str(root / "maps" / "blank.png"), np.zeros((4, 4), np.uint8))
    frames = recording["frames"]
    tokens = [f["sample_token"] for f in frames]
    lidar = recording["calibration"]["LIDAR_TOP"]
    tracks: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for index, f in enumerate(frames):
        for box in f["boxes"]:
            tracks[box["instance_token"]].append((index, box))
    annotations, instances = [], []
    for instance, boxes in tracks.items():
        names = [f"{instance}-{index}" for index, _ in boxes]
        instances.append(
            {
                "token": instance,
                "category_token": boxes[0][1]["category"],
                "nbr_annotations": len(names),
                "first_annotation_token": names[0],
                "last_annotation_token": names[-1],
            }
        )
        for place, (index, box) in enumerate(boxes):
            annotations.append(
                {
                    "token": names[place],
                    "sample_token": tokens[index],
                    "instance_token": instance,
                    "visibility_token": "4",
                    "attribute_tokens": [],
                    "translation": box["translation"],
                    "size": box["size_wlh"],
                    "rotation": [np.cos(box["yaw"] / 2), 0, 0, np.sin(box["yaw"] / 2)],
                    "prev": names[place - 1] if place else "",
                    "next": names[place + 1] if place + 1 < len(names) else "",
                    "num_lidar_pts": box["num_lidar_pts"],
                    "num_radar_pts": box["num_radar_pts"],
                }
            )
    log = {"token": "log", "logfile": "", "vehicle": "", "date_captured": "", "location": recording["location"]}
    tables = {
        "category": [{"token": c, "name": c, "description": ""} for c in {i["category_token"] for i in instances}],
        "attribute": [],
        "visibility": [],
        "instance": instances,
        "sensor": [{"token": "lidar", "channel": "LIDAR_TOP", "modality": "lidar"}],
        "calibrated_sensor": [{"token": "lidar", "sensor_token": "lidar", **lidar}],
        "ego_pose": [
            {
                "token": f["sample_token"],
                "timestamp": f["timestamp_us"],
                "translation": f["ego_translation"],
                "rotation": f["ego_rotation"],
            }
            for f in frames
        ],
        "log": [log],
        "scene": [{"token": "scene", "name": "scene-0103", "log_token": "log", "description": ""}],
        "sample": [
            {"token": t, "timestamp": f["timestamp_us"], "scene_token": "scene"}
            for t, f in zip(tokens, frames, strict=True)
        ],
        "sample_data": [
            {
                "token": f["sample_token"],
                "sample_token": f["sample_token"],
                "ego_pose_token": f["sample_token"],
                "calibrated_sensor_token": "lidar",
                "timestamp": f["timestamp_us"],
                "filename": "none.pcd.bin",
                "is_key_frame": True,
                "width": 0,
                "height": 0,
            }
            for f in frames
        ],
        "sample_annotation": annotations,
        "map": [{"token": "map", "category": "", "filename": "maps/blank.png", "log_tokens": ["log"]}],
    }
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
    return NuScenesDataset(root)


def T_global_model(recording: dict[str, Any], index: int) -> np.ndarray:
    f, lidar = recording["frames"][index], recording["calibration"]["LIDAR_TOP"]
    T_global_ego = make_transform(f["ego_rotation"], f["ego_translation"])
    return T_global_ego @ make_transform(lidar["rotation"], lidar["translation"])


def test_velocities_are_nuscenes_own(dataset: NuScenesDataset, recording: dict[str, Any]) -> None:
    compared = 0
    for index, f in enumerate(recording["frames"]):
        known = {b["instance_token"]: b["velocity_xy"] for b in f["boxes"]}
        targets = dataset.targets(f["sample_token"])
        T = T_global_model(recording, index)
        for i, instance in enumerate(targets.instance_tokens):
            published = known[instance]
            assert targets.velocity_valid[i] == (published is not None)
            if published is not None:
                expected = rotate_vectors(invert_transform(T), [*published, 0.0])[:2]
                # The published values are up to 1 % smaller than the differences of the annotated places.
                np.testing.assert_allclose(targets.velocities_model[i], expected, rtol=0.01, atol=0.01)
                compared += 1
    assert compared > 1500


def test_classes_and_points_are_the_published_ones(dataset: NuScenesDataset, recording: dict[str, Any]) -> None:
    for f in recording["frames"]:
        known = {b["instance_token"]: b for b in f["boxes"] if b["name"] in AGENT_CLASSES}
        targets = dataset.targets(f["sample_token"])
        assert set(targets.instance_tokens) == set(known)
        for i, instance in enumerate(targets.instance_tokens):
            assert AGENT_CLASSES[targets.class_ids[i]] == known[instance]["name"]
            assert bool(targets.valid[i]) == known[instance]["valid"]


def test_futures_are_the_later_boxes(dataset: NuScenesDataset, recording: dict[str, Any]) -> None:
    frames = recording["frames"]
    compared = 0
    for index in range(0, len(frames), 5):
        targets = dataset.targets(frames[index]["sample_token"])
        T_model_global = invert_transform(T_global_model(recording, index))
        for k in range(6):
            if index + 1 + k >= len(frames):
                assert not targets.future_mask[:, k].any() and not targets.ego_future_mask[k]
                continue
            later = {b["instance_token"]: b["translation"] for b in frames[index + 1 + k]["boxes"]}
            for i in np.flatnonzero(targets.future_mask[:, k]):
                expected = transform_points(T_model_global, later[targets.instance_tokens[i]])[:2]
                np.testing.assert_allclose(targets.futures_model[i, k], expected, atol=1e-9)
                compared += 1
            origin = transform_points(T_model_global, T_global_model(recording, index + 1 + k)[:3, 3])
            np.testing.assert_allclose(targets.ego_future_model[k], origin[:2], atol=1e-9)
    assert compared > 1000


def test_the_drive_goes_forward_and_straight(dataset: NuScenesDataset) -> None:
    commands = []
    for token in dataset.tokens[:-6]:
        targets = dataset.targets(token)
        assert targets.future_valid and (targets.ego_future_offsets[:, 1] > -0.05).all()
        commands.append(targets.command.command)
    assert commands.count(Command.STRAIGHT) > 0.6 * len(commands)


def test_lidar_in_the_model_frame_fills_the_annotated_boxes(keyframe_root: Path) -> None:
    dataset = NuScenesDataset(keyframe_root)
    token = dataset.tokens[0]
    points, targets = dataset.lidar_in_model(token), dataset.targets(token)
    assert points is not None
    counted = []
    for center, size, heading in zip(targets.centers_model, targets.sizes_lwh, targets.headings_model, strict=True):
        offset = points - center
        along = np.cos(heading) * offset[:, 0] + np.sin(heading) * offset[:, 1]
        across = np.cos(heading) * offset[:, 1] - np.sin(heading) * offset[:, 0]
        local = np.stack([along, across, offset[:, 2]], axis=1)
        counted.append(int((np.abs(local) <= size / 2).all(axis=1).sum()))
    # Boxes are upright in the model frame, which leans a little: single points at their faces change sides.
    assert abs(sum(counted) - targets.num_lidar_points.sum()) <= 0.03 * targets.num_lidar_points.sum()
