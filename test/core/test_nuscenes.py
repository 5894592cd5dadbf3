"""The data set class on real samples, on made-up ones, and on everything that can be broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import ConfigError, DataError, ImageError
from aln_p3_core.frame import NUSCENES_CAMERAS, Command, CommandProvenance, EncodedImage
from aln_p3_core.geometry import invert_transform, transform_points, virtual_T_ego_model

MakeRoot = Callable[..., Path]


def copy_of(root: Path, target: Path) -> Path:
    """Tables are copied, so that a test can break them; pictures are linked."""
    for item in root.iterdir():
        target.mkdir(exist_ok=True)
        if item.name.startswith("v1.0-"):
            shutil.copytree(item, target / item.name, copy_function=shutil.copyfile)
            (target / item.name).chmod(0o755)
        else:
            (target / item.name).symlink_to(item)
    return target


class TestRealData:
    def test_key_frame(self, keyframe_root: Path) -> None:
        dataset = NuScenesDataset(keyframe_root)
        assert dataset.version == "v1.0-sample" and dataset.scenes == ("scene-0061",) and len(dataset) == 1
        frame = dataset.frame(dataset.tokens[0])
        assert frame.cameras == NUSCENES_CAMERAS and not frame.missing_cameras
        assert frame.reference_stamp_ns == 1532402927647951000
        assert frame.token == "ca9a282c9e77460f8360f564131a8af5"
        behind_ms = [(frame.reference_stamp_ns - view.stamp_ns) / 1e6 for view in frame.views.values()]
        assert 0.5 < min(behind_ms) < 0.6 and 43 < max(behind_ms) < 43.2
        # The model frame is nuScenes' LIDAR_TOP: y forward, z up, above the rear axle.
        np.testing.assert_allclose(frame.T_ego_model[:3, 1], [1, 0, 0], atol=0.03)
        assert frame.ego_status is None and frame.past_poses == ()
        assert frame.command.provenance is CommandProvenance.DEFAULT

    def test_each_camera_keeps_its_own_pose(self, keyframe_root: Path) -> None:
        dataset = NuScenesDataset(keyframe_root)
        frame = dataset.frame(dataset.tokens[0])
        moved = [np.linalg.norm((v.T_global_ego - frame.T_global_ego)[:3, 3]) for v in frame.views.values()]
        assert 0.2 < max(moved) < 0.6  # 43 ms at 9 m/s

    def test_reference_rules(self, keyframe_root: Path) -> None:
        road = NuScenesDataset(keyframe_root, reference="newest_image")
        frame = road.frame(road.tokens[0])
        assert frame.reference_stamp_ns == frame.newest_image_stamp_ns == 1532402927647951000 - 528000
        np.testing.assert_array_equal(frame.T_global_ego, frame.views["CAM_BACK_LEFT"].T_global_ego)

    def test_surround_clip(self, surround_root: Path) -> None:
        dataset = NuScenesDataset(surround_root)
        frames = list(dataset)
        assert [f.reference_stamp_ns for f in frames] == sorted(f.reference_stamp_ns for f in frames)
        # Its LiDAR is x forward, so the model frame is the virtual one.
        np.testing.assert_array_equal(frames[0].T_ego_model, virtual_T_ego_model())
        assert [len(f.past_poses) for f in frames] == [0, 1, 2]
        assert frames[0].ego_status is None
        assert frames[2].ego_status is not None and frames[2].ego_status.source == "poses"
        np.testing.assert_allclose(frames[2].ego_status.velocity, [12.7, 0, 0], atol=0.1)
        assert len({f.drive_id for f in frames}) == 1
        assert dataset.index_of(dataset.tokens[2]) == 2 and dataset.scene_tokens("scene-dgp-02") == dataset.tokens
        with pytest.raises(DataError, match="y axis is not forward"):
            NuScenesDataset(surround_root, model_frame="lidar_top").frame(dataset.tokens[0])

    def test_sensor_records(self, surround_root: Path) -> None:
        dataset = NuScenesDataset(surround_root)
        records = dataset.sensor_records("scene-dgp-02")
        assert len(records) == 21 and [r.stamp_ns for r in records] == sorted(r.stamp_ns for r in records)
        lidar = next(r for r in records if r.modality == "lidar")
        camera = next(r for r in records if r.channel == "CAM_BACK")
        assert (
            lidar.intrinsic is None and camera.intrinsic is not None and (camera.width, camera.height) == (1600, 1005)
        )
        points = dataset.lidar_points(lidar)
        assert points.dtype == np.float32 and points.shape[1] == 5 and 40_000 < len(points) < 60_000
        with pytest.raises(DataError, match="not a LiDAR"):
            dataset.lidar_points(camera)

    def test_decoded_images_are_bgr_arrays(self, surround_root: Path) -> None:
        dataset = NuScenesDataset(surround_root, encoded=False)
        view = dataset.frame(dataset.tokens[0]).views["CAM_FRONT"]
        assert isinstance(view.image, np.ndarray) and view.image.shape == (1005, 1600, 3) and view.color == "bgr"

    def test_all_files_are_there(self, keyframe_root: Path) -> None:
        NuScenesDataset(keyframe_root).check_files()


class TestMadeUpData:
    def test_past_poses_and_velocity_by_differences(self, make_root: MakeRoot) -> None:
        dataset = NuScenesDataset(make_root(), past_seconds=1.2)
        frame = dataset.frame("sample-5")
        assert [(frame.reference_stamp_ns - p.stamp_ns) / 1e9 for p in frame.past_poses] == [1.0, 0.5]
        assert frame.ego_status is not None
        np.testing.assert_allclose(frame.ego_status.velocity, [10, 0, 0], atol=1e-5)
        np.testing.assert_allclose(frame.ego_status.acceleration, 0, atol=1e-4)

    def test_can_bus_is_preferred_and_never_from_the_future(self, make_root: MakeRoot) -> None:
        root = make_root()
        (root / "can_bus").mkdir()
        reference_us = 1_600_000_000_000_000 + 1_000_000
        message = {
            "accel": [0.1, 0.2, 9.8],
            "rotation_rate": [0, 0, 0.3],
            "orientation": [1, 0, 0, 0],
            "pos": [0, 0, 0],
        }
        messages = [
            message | {"utime": reference_us + 5_000, "vel": [99, 0, 0]},
            message | {"utime": reference_us - 5_000, "vel": [9.5, 0, 0]},
        ]
        (root / "can_bus" / "scene-0001_pose.json").write_text(json.dumps(messages))
        dataset = NuScenesDataset(root)
        status = dataset.frame("sample-2").ego_status
        assert status is not None and status.source == "can_bus"
        assert status.velocity.tolist() == [9.5, 0, 0] and status.rotation_rate[2] == 0.3
        later = dataset.frame("sample-8").ego_status  # the messages are seconds old: the poses know better
        assert later is not None and later.source == "poses"
        assert dataset.frame("sample-0").ego_status is None

    @pytest.mark.parametrize(
        "content",
        [
            '[{"utime": 3}]',
            '[{"utime": 3, "vel": [1, 0], "accel": [0, 0, 0], "rotation_rate": [0, 0, 0]}]',
            '[{"utime": 3, "vel": [1, 0, NaN], "accel": [0, 0, 0], "rotation_rate": [0, 0, 0]}]',
            '[{"utime": 3, "vel": "fast", "accel": [0, 0, 0], "rotation_rate": [0, 0, 0]}]',
            "{}[",
        ],
    )
    def test_a_broken_can_bus_file_is_named(self, make_root: MakeRoot, content: str) -> None:
        root = make_root()
        (root / "can_bus").mkdir()
        (root / "can_bus" / "scene-0001_pose.json").write_text(content)
        with pytest.raises(DataError, match=r"scene-0001_pose\.json is no list of CAN bus pose messages"):
            NuScenesDataset(root).frame("sample-2")

    def test_the_command_does_not_peek_unless_asked(self, make_root: MakeRoot) -> None:
        root = make_root(ego=lambda t: (20 * np.sin(t / 4), 20 * (1 - np.cos(t / 4)), t / 4))  # a turn to the left
        honest = NuScenesDataset(root).frame("sample-0").command
        assert (honest.command, honest.provenance) == (Command.STRAIGHT, CommandProvenance.DEFAULT)
        peeking = NuScenesDataset(root, command="ground_truth")
        command = peeking.frame("sample-0").command
        assert (command.command, command.provenance) == (Command.LEFT, CommandProvenance.GROUND_TRUTH)
        assert peeking.frame("sample-8").command.provenance is CommandProvenance.DEFAULT  # no future is left

    def test_a_camera_without_an_image_is_lost(self, make_root: MakeRoot) -> None:
        dataset = NuScenesDataset(make_root(lost=((1, "CAM_BACK"),)))
        assert dataset.frame("sample-1").missing_cameras == ("CAM_BACK",)
        assert dataset.frame("sample-2").missing_cameras == ()

    def test_a_rig_without_lidar(self, make_root: MakeRoot) -> None:
        root = make_root(lidar=None, cameras=("CAM_FRONT", "WIDE", "CAM_BACK", "ARM"))
        with pytest.raises(DataError, match="has no LIDAR_TOP: use reference='newest_image'"):
            NuScenesDataset(root)
        dataset = NuScenesDataset(root, reference="newest_image")
        frame = dataset.frame("sample-3")
        assert frame.cameras == ("CAM_FRONT", "CAM_BACK", "ARM", "WIDE")
        np.testing.assert_array_equal(frame.T_ego_model, virtual_T_ego_model())
        assert len(frame.past_poses) == 3

    def test_model_frame_choices(self, make_root: MakeRoot) -> None:
        root = make_root(lidar="forward_x")
        with pytest.raises(ConfigError, match="model_frame must be one of"):
            NuScenesDataset(root, model_frame="lidar")  # type: ignore[arg-type]
        frame = NuScenesDataset(root, model_frame="virtual").frame("sample-0")
        ahead = transform_points(invert_transform(frame.T_ego_model), [10.94, 0, 1.84])
        np.testing.assert_allclose(ahead, [0, 10, 0], atol=1e-12)

    def test_encoded_images_name_their_file(self, make_root: MakeRoot) -> None:
        view = NuScenesDataset(make_root()).frame("sample-0").views["CAM_FRONT"]
        assert isinstance(view.image, EncodedImage) and view.image.source.endswith("samples/CAM_FRONT-0.jpg")


class TestBrokenData:
    def test_no_root_and_no_version(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is no folder"):
            NuScenesDataset(tmp_path / "nowhere")
        with pytest.raises(DataError, match=r"holds no v1\.0-\* folder"):
            NuScenesDataset(tmp_path)

    def test_several_versions_must_be_chosen_from(self, make_root: MakeRoot) -> None:
        root = make_root()
        shutil.copytree(root / "v1.0-mini", root / "v1.0-trainval")
        with pytest.raises(DataError, match=r"several versions, v1\.0-mini, v1\.0-trainval"):
            NuScenesDataset(root)
        assert NuScenesDataset(root, "v1.0-trainval").version == "v1.0-trainval"
        # Everywhere a root is named, the folder of its tables says which ones.
        named = NuScenesDataset(root / "v1.0-trainval")
        assert (named.root, named.version) == (root, "v1.0-trainval") and named.frame(named.tokens[0]).views
        with pytest.raises(DataError, match=r"has no version 'v1\.0-test'"):
            NuScenesDataset(root, "v1.0-test")

    def test_a_missing_table_is_named(self, keyframe_root: Path, tmp_path: Path) -> None:
        root = copy_of(keyframe_root, tmp_path / "copy")
        (root / "v1.0-sample" / "ego_pose.json").unlink()
        with pytest.raises(DataError, match=r"missing tables: .*v1\.0-sample/ego_pose\.json; extract"):
            NuScenesDataset(root)

    def test_a_table_cut_short_is_named(self, keyframe_root: Path, tmp_path: Path) -> None:
        root = copy_of(keyframe_root, tmp_path / "copy")
        table = root / "v1.0-sample" / "sample_data.json"
        text = table.read_text()
        table.unlink()
        table.write_text(text[: len(text) // 2])
        with pytest.raises(DataError, match=r"sample_data\.json is no complete JSON file"):
            NuScenesDataset(root)

    @pytest.mark.parametrize(
        ("table", "field", "value", "message"),
        [
            ("sample_data", "ego_pose_token", "lost", r"sample_data\.json: row .* points to 'lost' \(ego_pose_token\)"),
            ("sample_data", "calibrated_sensor_token", "lost", r"sample_data\.json: row .* points to 'lost'"),
            ("sample_annotation", "instance_token", "lost", r"sample_annotation\.json: row .* points to 'lost'"),
            ("sample", "scene_token", "lost", r"sample\.json: row .* points to 'lost'"),
            ("sample_annotation", "next", "lost", r"sample_annotation\.json: row .* points to 'lost' \(next\)"),
            ("sample_data", "filename", None, r"sample_data\.json: row .* has no field 'filename'"),
            ("ego_pose", "rotation", None, r"ego_pose\.json: row .* has no field 'rotation'"),
            ("map", "filename", "maps/lost.png", r"maps/lost\.png is missing"),
        ],
    )
    def test_links_that_lead_nowhere(
        self, make_root: MakeRoot, table: str, field: str, value: str | None, message: str
    ) -> None:
        root = make_root(objects=[("vehicle.car", lambda t: (120.0, 50.0, 0.0), range(9))])
        path = root / "v1.0-mini" / f"{table}.json"
        rows = json.loads(path.read_text())
        rows[0].pop(field)
        if value is not None:
            rows[0][field] = value
        path.write_text(json.dumps(rows))
        with pytest.raises(DataError, match=message):
            NuScenesDataset(root)

    def test_an_impossible_rotation_is_named(self, make_root: MakeRoot) -> None:
        root = make_root()
        path = root / "v1.0-mini" / "ego_pose.json"
        rows = json.loads(path.read_text())
        for row in rows:
            row["rotation"] = [0, 0, 0, 0]
        path.write_text(json.dumps(rows))
        with pytest.raises(DataError, match=r"ego_pose\.json: row .* norm 1"):
            NuScenesDataset(root).frame("sample-0")

    def test_a_missing_picture_is_named_when_read_and_when_checked(self, make_root: MakeRoot) -> None:
        root = make_root()
        (root / "samples" / "CAM_BACK-3.jpg").unlink()
        (root / "samples" / "CAM_FRONT-4.jpg").write_bytes(b"")
        dataset = NuScenesDataset(root)
        dataset.frame("sample-0")
        with pytest.raises(DataError, match=r"CAM_BACK-3\.jpg cannot be read"):
            dataset.frame("sample-3")
        with pytest.raises(DataError, match=r"CAM_FRONT-4\.jpg is empty"):
            dataset.frame("sample-4")
        with pytest.raises(DataError, match=r"2 of 63 files are missing or empty.*CAM_BACK-3\.jpg.*CAM_FRONT-4\.jpg"):
            dataset.check_files()

    def test_a_wrong_or_corrupt_picture_is_named_when_decoded(self, make_root: MakeRoot) -> None:
        root = make_root()
        shutil.copyfile(root / "maps" / "blank.png", root / "samples" / "CAM_FRONT-0.jpg")
        (root / "samples" / "CAM_FRONT-1.jpg").write_bytes(b"no picture")
        dataset = NuScenesDataset(root, encoded=False)
        with pytest.raises(ImageError, match=r"CAM_FRONT-0\.jpg has 4x4 pixels, sample_data\.json says 160x90"):
            dataset.frame("sample-0")
        with pytest.raises(ImageError, match=r"CAM_FRONT-1\.jpg cannot be decoded"):
            dataset.frame("sample-1")

    def test_a_lidar_file_cut_short_is_named(self, make_root: MakeRoot) -> None:
        root = make_root()
        (root / "samples" / "LIDAR_TOP-0.pcd.bin").write_bytes(bytes(33))
        dataset = NuScenesDataset(root)
        record = dataset.records_of_sample("sample-0")["LIDAR_TOP"]
        with pytest.raises(DataError, match=r"LIDAR_TOP-0\.pcd\.bin holds 33 bytes, no multiple of 20"):
            dataset.lidar_points(record)

    def test_unknown_names_are_refused(self, make_root: MakeRoot) -> None:
        dataset = NuScenesDataset(make_root())
        with pytest.raises(DataError, match="no sample 'x'"):
            dataset.frame("x")
        with pytest.raises(DataError, match="no scene 'x'"):
            dataset.sensor_records("x")
