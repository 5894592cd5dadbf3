"""Writes the test track as a nuScenes-schema root that nuscenes-devkit loads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import (
    FloatArray,
    invert_transform,
    matrix_to_quaternion,
    rotate_vectors,
    transform_points,
    virtual_T_ego_model,
)
from aln_p3_core.synthetic import track

VERSION = "v1.0-track"
SCENE_NAME = "scene-track"
SWEEP_HZ = 10
SWEEPS_PER_KEY_FRAME = 5
_START_US = 1_600_000_000_000_000

# Exposure before the LiDAR's stamp, microseconds: the cameras of a real car do not fire together either.
_EXPOSURE_LEAD_US = {
    "CAM_FRONT": 36_000,
    "CAM_FRONT_RIGHT": 28_000,
    "CAM_FRONT_LEFT": 43_000,
    "CAM_BACK": 10_000,
    "CAM_BACK_LEFT": 1_000,
    "CAM_BACK_RIGHT": 20_000,
}

Table = list[dict[str, Any]]


def write_root(
    root: Path, seconds: float = 6.0, size: tuple[int, int] = (800, 450), *, progress: bool = False
) -> dict[str, Table]:
    """Paints and writes one drive: 10 Hz sweeps, every fifth a key frame, with boxes, poses and LiDAR.

    Args:
        root: folder to create; it must be empty or absent.
        seconds: length of the drive.
        size: width and height of the pictures.
        progress: show a progress bar.

    Returns:
        The 13 tables as written.

    Raises:
        DataError: when `root` holds something already.
    """
    if root.exists() and any(root.iterdir()):
        raise DataError(f"{root} is not empty; name a new folder")
    tables = _static_tables(size)
    steps = round(seconds * SWEEP_HZ)
    for step in tqdm(range(steps), desc="painting", unit="sweep", disable=not progress):
        _add_sweep(root, tables, step, size)
    _link(tables)
    folder = root / VERSION
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (root / "maps").mkdir()
    cv2.imwrite(str(root / "maps" / "track.png"), np.zeros((8, 8), np.uint8))
    return tables


def _token(*parts: object) -> str:
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def _static_tables(size: tuple[int, int]) -> dict[str, Table]:
    categories = sorted({actor.category for actor in track.ACTORS})
    tables: dict[str, Table] = {
        "category": [{"token": _token("category", c), "name": c, "description": ""} for c in categories],
        "attribute": [],
        "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
        "sensor": [],
        "calibrated_sensor": [],
        "log": [
            {
                "token": _token("log"),
                "logfile": "track",
                "vehicle": "track",
                "date_captured": "2020-09-13",
                "location": "track",
            }
        ],
        "map": [
            {
                "token": _token("map"),
                "log_tokens": [_token("log")],
                "category": "semantic_prior",
                "filename": "maps/track.png",
            }
        ],
        "scene": [],
        "sample": [],
        "sample_data": [],
        "ego_pose": [],
        "instance": [
            {"token": _token("instance", i), "category_token": _token("category", actor.category)}
            for i, actor in enumerate(track.ACTORS)
        ],
        "sample_annotation": [],
    }
    for channel, calibration in track.rig(*size).items():
        _add_sensor(tables, channel, "camera", calibration.T_ego_cam, calibration.intrinsic.tolist())
    _add_sensor(tables, "LIDAR_TOP", "lidar", virtual_T_ego_model(), [])
    return tables


def _add_sensor(tables: dict[str, Table], channel: str, modality: str, T_ego_sensor: FloatArray, k: list) -> None:
    tables["sensor"].append({"token": _token("sensor", channel), "channel": channel, "modality": modality})
    tables["calibrated_sensor"].append(
        {
            "token": _token("calibrated", channel),
            "sensor_token": _token("sensor", channel),
            "translation": T_ego_sensor[:3, 3].tolist(),
            "rotation": matrix_to_quaternion(T_ego_sensor).tolist(),
            "camera_intrinsic": k,
        }
    )


def _add_sweep(root: Path, tables: dict[str, Table], step: int, size: tuple[int, int]) -> None:
    is_key = step % SWEEPS_PER_KEY_FRAME == 0
    # A sweep belongs to the key frame that comes next, as in nuScenes (the last ones to the last).
    key_step = -(-step // SWEEPS_PER_KEY_FRAME) * SWEEPS_PER_KEY_FRAME
    lidar_us = _START_US + step * 1_000_000 // SWEEP_HZ
    folder = "samples" if is_key else "sweeps"
    points_lidar = scan_lidar((lidar_us - _START_US) * 1e-6)
    if is_key:
        tables["sample"].append(
            {"token": _token("sample", step), "timestamp": lidar_us, "scene_token": _token("scene"), "step": step}
        )
        _add_annotations(tables, step, points_lidar)
    for channel, calibration in track.rig(*size).items():
        stamp_us = lidar_us - _EXPOSURE_LEAD_US[channel]
        seconds = (stamp_us - _START_US) * 1e-6
        path = f"{folder}/{channel}/track__{channel}__{stamp_us}.jpg"
        picture = track.paint(calibration, track.ego_pose(seconds), seconds)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        _add_sample_data(tables, channel, stamp_us, key_step, path, is_key, size)
    path = f"{folder}/LIDAR_TOP/track__LIDAR_TOP__{lidar_us}.pcd.bin"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    points_lidar.tofile(root / path)
    _add_sample_data(tables, "LIDAR_TOP", lidar_us, key_step, path, is_key, (0, 0))


def _add_sample_data(
    tables: dict[str, Table],
    channel: str,
    stamp_us: int,
    key_step: int,
    path: str,
    is_key: bool,
    size: tuple[int, int],
) -> None:
    token = _token("data", channel, stamp_us)
    T_global_ego = track.ego_pose((stamp_us - _START_US) * 1e-6)
    tables["ego_pose"].append(
        {
            "token": token,
            "timestamp": stamp_us,
            "rotation": matrix_to_quaternion(T_global_ego).tolist(),
            "translation": T_global_ego[:3, 3].tolist(),
        }
    )
    tables["sample_data"].append(
        {
            "token": token,
            "sample_token": _token("sample", key_step),
            "ego_pose_token": token,
            "calibrated_sensor_token": _token("calibrated", channel),
            "timestamp": stamp_us,
            "fileformat": "jpg" if size[0] else "pcd",
            "is_key_frame": is_key,
            "width": size[0],
            "height": size[1],
            "filename": path,
            "channel": channel,
        }
    )


def _add_annotations(tables: dict[str, Table], step: int, points_lidar: NDArray[np.float32]) -> None:
    seconds = step / SWEEP_HZ
    points_global = transform_points(track.ego_pose(seconds) @ virtual_T_ego_model(), points_lidar[:, :3])
    for index, actor in enumerate(track.ACTORS):
        length, width, height = actor.size_lwh
        half = actor.heading / 2
        tables["sample_annotation"].append(
            {
                "token": _token("annotation", index, step),
                "sample_token": _token("sample", step),
                "instance_token": _token("instance", index),
                "visibility_token": "4",
                "attribute_tokens": [],
                "translation": actor.center(seconds).tolist(),
                "size": [width, length, height],
                "rotation": [float(np.cos(half)), 0.0, 0.0, float(np.sin(half))],
                "num_lidar_pts": int(_inside(points_global, actor, seconds).sum()),
                "num_radar_pts": 0,
            }
        )


def _inside(points_global: FloatArray, actor: track.Actor, seconds: float) -> NDArray[np.bool_]:
    offset = points_global - actor.center(seconds)
    cos, sin = np.cos(actor.heading), np.sin(actor.heading)
    local = np.stack([cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0], offset[:, 2]])
    return (np.abs(local) <= np.array(actor.size_lwh)[:, None] / 2 + 0.01).all(axis=0)


def scan_lidar(seconds: float, rings: int = 32, columns: int = 720, reach: float = 80.0) -> NDArray[np.float32]:
    """[n, 5] sweep in the LiDAR frame (x right, y forward): x, y, z, intensity, ring. Ground and boxes, exact."""
    T_global_lidar = track.ego_pose(seconds) @ virtual_T_ego_model()
    elevation = np.radians(np.linspace(-30.0, 10.0, rings))[:, None]
    azimuth = np.radians(np.linspace(0.0, 360.0, columns, endpoint=False))[None]
    rays = np.stack(np.broadcast_arrays(np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
                                        np.sin(elevation)), axis=-1).reshape(-1, 3)  # fmt: skip
    rays_global = rotate_vectors(T_global_lidar, rays)
    origin = T_global_lidar[:3, 3]
    with np.errstate(divide="ignore"):
        nearest = np.where(rays_global[:, 2] < 0, -origin[2] / rays_global[:, 2], np.inf)
    for actor in (*track.ACTORS, *track.SCENERY):
        nearest = np.minimum(nearest, _box_distance(origin, rays_global, actor, seconds))
    hit = nearest < reach
    ring = np.repeat(np.arange(rings), columns)[hit]
    points = transform_points(invert_transform(T_global_lidar), origin + rays_global[hit] * nearest[hit, None])
    return np.column_stack([points, np.full(len(points), 40.0), ring]).astype(np.float32)


def _box_distance(origin: FloatArray, rays: FloatArray, actor: track.Actor, seconds: float) -> FloatArray:
    """Distance along each ray to a box, infinite where it misses (slab test in the box's own axes)."""
    cos, sin = np.cos(actor.heading), np.sin(actor.heading)
    to_box = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    start = to_box @ (origin - actor.center(seconds))
    direction = rays @ to_box.T
    half = np.array(actor.size_lwh) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (-half - start) / direction
        second = (half - start) / direction
    enter = np.nanmax(np.minimum(first, second), axis=1)
    leave = np.nanmin(np.maximum(first, second), axis=1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def _link(tables: dict[str, Table]) -> None:
    """Fills prev and next, and the counts and ends that the schema keeps twice."""
    samples = tables["sample"]
    _chain(samples)
    tables["scene"].append(
        {
            "token": _token("scene"),
            "log_token": _token("log"),
            "nbr_samples": len(samples),
            "first_sample_token": samples[0]["token"],
            "last_sample_token": samples[-1]["token"],
            "name": SCENE_NAME,
            "description": "Procedural test track: straight road, lead car, oncoming truck and bus.",
        }
    )
    known = {sample["token"] for sample in samples}
    for row in tables["sample_data"]:
        if row["sample_token"] not in known:
            row["sample_token"] = samples[-1]["token"]
    for channel in {row["channel"] for row in tables["sample_data"]}:
        _chain([row for row in tables["sample_data"] if row["channel"] == channel])
    for instance in tables["instance"]:
        rows = [row for row in tables["sample_annotation"] if row["instance_token"] == instance["token"]]
        _chain(rows)
        instance["nbr_annotations"] = len(rows)
        instance["first_annotation_token"] = rows[0]["token"]
        instance["last_annotation_token"] = rows[-1]["token"]
    for row in samples:
        del row["step"]
    for row in tables["sample_data"]:
        del row["channel"]


def _chain(rows: Table) -> None:
    for index, row in enumerate(rows):
        row["prev"] = rows[index - 1]["token"] if index else ""
        row["next"] = rows[index + 1]["token"] if index + 1 < len(rows) else ""
