"""Golden: a point of the mirrored scene lands on the mirrored pixel of the other side's camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.map_elements import MapTargets
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.memory import can_bus_with_differences
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS, Command, EgoStatus
from aln_p3_core.geometry import invert_transform, make_transform
from aln_p3_core.training.clips import ClipDataset
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.frame_targets import frame_targets
from aln_p3_core.training.mirror import mirrored, mirrored_slots, mirrored_targets
from aln_p3_core.training.settings import DataSettings

CONFIG = small_recipe()
MIRROR = np.diag([-1.0, 1, 1, 1])


@pytest.fixture
def dataset(track_root: Path, tmp_path: Path) -> ClipDataset:
    """The test track: six cameras that look to all sides."""
    store = FrameStore.build(NuScenesDataset(track_root), CONFIG, tmp_path / "store", progress=False)
    return ClipDataset(store, range(len(store)), CONFIG, DataSettings(2, 0, fresh_start_probability=0.0))  # type: ignore[arg-type]


def test_projected_points_land_on_the_mirrored_pixel(dataset: ClipDataset) -> None:
    clip = dataset[2]
    mirror = mirrored(clip, CONFIG)
    random = np.random.default_rng(0)
    points = np.concatenate([random.uniform([-30, -30, -1], [30, 30, 3], (2000, 3)), np.ones((2000, 1))], axis=1)
    seen = 0
    for ours, theirs in zip(clip.frames, mirror.frames, strict=True):
        assert ours.pixels_NHWC is not None and theirs.pixels_NHWC is not None
        for slot, name in enumerate(CONFIG.cameras):
            side = name.replace("LEFT", "?").replace("RIGHT", "LEFT").replace("?", "RIGHT")
            other = CONFIG.cameras.index(side)
            u, v, inside = projected(ours.model2img_N44[slot], points)
            mirrored_u, mirrored_v, mirrored_inside = projected(theirs.model2img_N44[other], points @ MIRROR)
            assert (inside == mirrored_inside).all() and inside.sum() > 50
            np.testing.assert_allclose(mirrored_u[inside], 96 - u[inside], atol=1e-3)
            np.testing.assert_allclose(mirrored_v[inside], v[inside], atol=1e-3)
            # Points on the very edge of a pixel may fall to either side of it.
            clear = inside & (np.abs(u - np.round(u)) > 1e-3) & (np.abs(v - np.round(v)) > 1e-3)
            pixel = ours.pixels_NHWC[slot, v[clear].astype(int), u[clear].astype(int)]
            mirrored_pixel = theirs.pixels_NHWC[other, mirrored_v[clear].astype(int), mirrored_u[clear].astype(int)]
            assert (pixel == mirrored_pixel).all()
            seen += len(pixel)
    assert seen > 2000 and any(f.pixels_NHWC is not None and f.pixels_NHWC.std() > 10 for f in clip.frames)


def projected(model2img: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns and rows of points [n, 4], and which lie inside a picture of 64 x 96 pixels."""
    x, y, depth, _ = (points @ model2img.astype(np.float64).T).T
    depth = np.where(depth > 0.5, depth, np.nan)
    u, v = x / depth, y / depth
    inside = (u > 0) & (u < 96) & (v > 0) & (v < 64)
    return np.nan_to_num(u), np.nan_to_num(v), inside


def test_mirrored_twice_is_the_scene_itself(dataset: ClipDataset) -> None:
    clip = dataset[2]
    twice = mirrored(mirrored(clip, CONFIG), CONFIG)
    for ours, theirs in zip(clip.frames, twice.frames, strict=True):
        assert ours.pixels_NHWC is not None and theirs.pixels_NHWC is not None
        assert (ours.pixels_NHWC == theirs.pixels_NHWC).all()
        for name in ("model2img_N44", "T_prev_cur", "can_bus", "ego_status", "rows_N", "camera_valid_N"):
            np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), atol=1e-4, err_msg=name)
    for name in clip.targets.__slots__:
        ours, theirs = getattr(clip.targets, name), getattr(twice.targets, name)
        if isinstance(ours, torch.Tensor):
            torch.testing.assert_close(theirs, ours, msg=name)


def mirror_world(value: tuple[float, float, float]) -> tuple[float, float, float]:
    """An x, y and yaw in a mirror along the global x axis."""
    return value[0], -value[1], -value[2]


def test_a_mirrored_world_gives_the_mirrored_targets_and_ego_motion(
    make_root: Callable[..., Path], tmp_path: Path
) -> None:
    def ego(t: float) -> tuple[float, float, float]:
        return 100 + 4 * t + t * t, 50 + 0.3 * t * t, 0.1 * t

    def car(t: float) -> tuple[float, float, float]:
        return 112 + 3 * t, 53 - t, 0.4

    root = write_scenes(make_root, 1, samples=8, ego=ego, objects=[("vehicle.car", car, range(8))])
    other_root = tmp_path / "other"
    from made_up_root import MadeUpRoot

    MadeUpRoot(
        samples=8,
        ego=lambda t: mirror_world(ego(t)),
        objects=[("vehicle.car", lambda t: mirror_world(car(t)), range(8))],
    ).write(other_root)

    def clip_of(folder: Path, name: str) -> tuple[ClipDataset, FrameStore]:
        dataset = NuScenesDataset(folder, command="ground_truth")
        store = FrameStore.build(dataset, CONFIG, tmp_path / name, progress=False)
        return ClipDataset(store, range(len(store)), CONFIG, DataSettings(2, 0, fresh_start_probability=0.0)), store  # type: ignore[arg-type]

    ours, _ = clip_of(root, "store")
    theirs, _ = clip_of(other_root, "other store")
    for index in (1, 4):
        mirror, direct = mirrored(ours[index], CONFIG), theirs[index]
        for a, b in zip(mirror.frames, direct.frames, strict=True):
            np.testing.assert_allclose(a.T_prev_cur, b.T_prev_cur, atol=1e-9)
            np.testing.assert_allclose(a.can_bus, b.can_bus, atol=1e-9)
            np.testing.assert_allclose(a.ego_status, b.ego_status, atol=1e-9)
        for name in ("agent_boxes_A10", "agent_offsets_AT2", "plan_offsets_T2", "plan_mask_T", "command"):
            torch.testing.assert_close(getattr(mirror.targets, name), getattr(direct.targets, name), atol=1e-4, rtol=0)
    assert int(ours[1].targets.command) == Command.LEFT.value
    assert int(mirrored(ours[1], CONFIG).targets.command) == Command.RIGHT.value


def test_outlines_keep_their_turning_sense() -> None:
    from test_frame_targets import circle, made_targets

    line = np.stack([np.linspace(2, 8, 20), np.linspace(-10, 10, 20)], axis=-1)
    codes = frame_targets(made_targets(lines=MapTargets(np.stack([circle(), line]), np.array([2, 0]))), CONFIG)
    mirror = mirrored_targets(codes)

    def area(points: torch.Tensor) -> float:
        x, y = (points * torch.tensor([30.0, 60.0])).unbind(-1)
        return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)

    for order in range(9):
        assert area(mirror.map_orders_GOP2[0, order]) == pytest.approx(area(codes.map_orders_GOP2[0, order]), rel=1e-4)
    assert area(codes.map_orders_GOP2[0, 0]) > 50
    np.testing.assert_allclose(mirror.map_orders_GOP2[1, 1] * torch.tensor([30.0, 60.0]) - torch.tensor([15.0, 30.0]),
                               [[-x, y] for x, y in np.stack([np.linspace(2, 8, 10), np.linspace(-10, 10, 10)], -1)],
                               atol=1e-4)  # fmt: skip
    assert not mirror.map_orders_GOP2[1, 2:].any()


def test_measured_motion_is_mirrored_as_vectors_and_turns() -> None:
    """The CAN vector of a mirrored drive, from poses and an ego status that are mirrored by hand."""
    from aln_p3_core.frame import DrivingFrame
    from aln_p3_core.geometry import matrix_to_quaternion
    from aln_p3_core.preprocess import can_bus_vector
    from aln_p3_core.training.mirror import _mirrored_can_bus

    across = np.diag([1.0, -1, 1, 1])
    axis = np.array([0.2, 0.3, 0.9]) / np.linalg.norm([0.2, 0.3, 0.9])
    poses = [make_transform([np.cos(a), *(np.sin(a) * axis)], [10 + a, 5 + 2 * a, 1]) for a in (0.3, 0.35)]
    assert np.allclose(invert_transform(poses[0]) @ poses[0], np.eye(4))

    def vector(pose: np.ndarray, flip: bool) -> np.ndarray:
        polar, axial = (np.array([1.0, -1, 1]), np.array([-1.0, 1, -1])) if flip else (np.ones(3), np.ones(3))
        status = EgoStatus(polar * [5, 0.5, 0.1], polar * [1, 2, 9.8], axial * [0.1, 0.2, 0.3], "can_bus")
        pose = across @ pose @ across if flip else pose
        assert matrix_to_quaternion(pose)[0] > 0
        return can_bus_vector(
            DrivingFrame(("CAM_FRONT",), {}, 1, T_global_ego=pose, T_ego_model=np.eye(4), ego_status=status)
        )

    ours = can_bus_with_differences(vector(poses[1], False), vector(poses[0], False))
    theirs = can_bus_with_differences(vector(poses[1], True), vector(poses[0], True))
    np.testing.assert_allclose(_mirrored_can_bus(ours), theirs, atol=1e-9)


def test_rigs_and_ranges_without_a_mirror_image_are_refused(dataset: ClipDataset) -> None:
    assert [NUSCENES_CAMERAS[i] for i in mirrored_slots(NUSCENES_CAMERAS)] == [
        "CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_RIGHT", "CAM_BACK_LEFT",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="CAM_LEFT"):
        mirrored_slots(("CAM_FRONT", "CAM_LEFT"))
    with pytest.raises(ConfigError, match="point_cloud_range"):
        mirrored(dataset[0], small_recipe(point_cloud_range=(-10.0, -30.0, -2.0, 15.0, 30.0, 2.0)))
