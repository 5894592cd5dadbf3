"""Rig calibration files: what is read is what was written, and every mistake is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from aln_p3_core.calibration import calibration_of_scene, load_calibration, save_calibration
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import CalibrationError, DataError
from aln_p3_core.frame import NUSCENES_CAMERAS


def entry(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "translation": [1.7, 0.0, 1.5],
        "rotation": [0.5, -0.5, 0.5, -0.5],
        "camera_intrinsic": [[1266.0, 0, 800], [0, 1266.0, 450], [0, 0, 1]],
        "width": 1600,
        "height": 900,
    }
    return {k: v for k, v in (values | changes).items() if v is not None}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_camera_that_looks_forward(tmp_path: Path) -> None:
    rig = load_calibration(write(tmp_path / "rig.json", {"CAM_FRONT": entry()}))
    optical_axis = rig["CAM_FRONT"].T_ego_cam[:3, 2]
    np.testing.assert_allclose(optical_axis, [1, 0, 0], atol=1e-12)
    assert (rig["CAM_FRONT"].width, rig["CAM_FRONT"].height) == (1600, 900)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
@pytest.mark.parametrize("name", ["n015_set1", "n008_set1", "dgp_set1"])
def test_real_rigs_survive_writing_and_reading(shared_dir: Path, tmp_path: Path, name: str, suffix: str) -> None:
    rig = load_calibration(shared_dir / "data" / "calibration" / f"{name}.json", NUSCENES_CAMERAS)
    assert tuple(rig) == NUSCENES_CAMERAS  # the LiDAR's entry is no camera, the order is the one asked for
    save_calibration(tmp_path / f"rig{suffix}", rig)
    again = load_calibration(tmp_path / f"rig{suffix}")
    assert tuple(again) == tuple(rig)
    for camera, calibration in rig.items():
        np.testing.assert_allclose(again[camera].T_ego_cam, calibration.T_ego_cam, atol=1e-12)
        np.testing.assert_array_equal(again[camera].intrinsic, calibration.intrinsic)
        assert (again[camera].width, again[camera].height) == (calibration.width, calibration.height)


def test_the_rig_of_a_scene_is_the_published_one(keyframe_root: Path, shared_dir: Path) -> None:
    dataset = NuScenesDataset(keyframe_root)
    rig = calibration_of_scene(dataset)
    published = load_calibration(shared_dir / "data" / "calibration" / "n015_set1.json")
    assert tuple(rig) == NUSCENES_CAMERAS
    for camera, calibration in rig.items():
        np.testing.assert_allclose(calibration.T_ego_cam, published[camera].T_ego_cam, atol=1e-6)
        np.testing.assert_allclose(calibration.intrinsic, published[camera].intrinsic, atol=1e-6)
    with pytest.raises(DataError, match="no scene 'nowhere'"):
        calibration_of_scene(dataset, "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "one entry a camera"),
        ([1, 2], "one entry a camera"),
        ({"CAM_FRONT": 3}, "CAM_FRONT: must hold translation"),
        ({"CAM_FRONT": entry(focal_length=3)}, r"CAM_FRONT: unknown keys \['focal_length'\]"),
        ({"CAM_FRONT": entry(rotation=None)}, "CAM_FRONT: missing rotation"),
        ({"CAM_FRONT": entry(width=0)}, "CAM_FRONT: width must be a positive whole number of pixels, got 0"),
        ({"CAM_FRONT": entry(height="900")}, "CAM_FRONT: height must be"),
        ({"CAM_FRONT": entry(translation=[1, 2])}, "CAM_FRONT: translation must be 3 finite numbers"),
        ({"CAM_FRONT": entry(translation=[1, 2, float("nan")])}, "translation must be 3 finite numbers"),
        ({"CAM_FRONT": entry(rotation=[2, 0, 0, 0])}, "CAM_FRONT: a rotation quaternion must have norm 1"),
        ({"CAM_FRONT": entry(camera_intrinsic=[[1, 2], [3]])}, "camera_intrinsic must be 3 x 3"),
        ({"CAM_FRONT": entry(camera_intrinsic=[[0, 0, 0]] * 3)}, "focal lengths must be positive"),
        ({"LIDAR_TOP": entry(camera_intrinsic=[], width=0, height=0)}, "holds no camera"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, content: object, message: str) -> None:
    path = write(tmp_path / "rig.json", content)
    with pytest.raises(CalibrationError, match=message) as error:
        load_calibration(path)
    assert str(path) in str(error.value)


def test_a_needed_camera_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "rig.json", {"CAM_FRONT": entry()})
    with pytest.raises(CalibrationError, match="has no camera CAM_BACK; it has CAM_FRONT"):
        load_calibration(path, ["CAM_FRONT", "CAM_BACK"])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(tmp_path / "rig.json")
    with pytest.raises(CalibrationError, match=r"ends in \.json, \.yaml or \.yml"):
        load_calibration(tmp_path / "rig.txt")
    (tmp_path / "rig.json").write_text("{")
    with pytest.raises(CalibrationError, match="no JSON file"):
        load_calibration(tmp_path / "rig.json")
    (tmp_path / "rig.yaml").write_text("a: [1")
    with pytest.raises(CalibrationError, match="no YAML file"):
        load_calibration(tmp_path / "rig.yaml")


def test_yaml_may_be_written_by_hand(tmp_path: Path) -> None:
    (tmp_path / "rig.yaml").write_text("# my rig\n" + yaml.safe_dump({"CAM_FRONT": entry()}))
    assert list(load_calibration(tmp_path / "rig.yaml")) == ["CAM_FRONT"]
