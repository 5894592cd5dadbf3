"""A small made-up data set in the nuScenes schema, for what the real samples do not hold: futures, gaps, turns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.geometry import matrix_to_quaternion, virtual_T_ego_model

START_US = 1_600_000_000_000_000
Motion = Callable[[float], tuple[float, float, float]]


@dataclass
class MadeUpRoot:
    """What to write: a scene of `samples` key frames, `step_s` apart, with an ego motion (x, y, yaw of seconds).

    The LiDAR is nuScenes-like ("forward_y"), in the vehicle frame ("forward_x") or missing (None). Each object
    has a category, a motion and the key frames in which it is annotated. Cameras fire 20 ms before the LiDAR.
    """

    samples: int = 9
    step_s: float = 0.5
    ego: Motion = lambda t: (100 + 10 * t, 50.0, 0.0)
    objects: list[tuple[str, Motion, range]] = field(default_factory=list)
    lidar: str | None = "forward_y"
    cameras: tuple[str, ...] = NUSCENES_CAMERAS
    location: str = "singapore-onenorth"
    lost: tuple[tuple[int, str], ...] = ()

    def write(self, root: Path) -> Path:
        for folder in ("v1.0-mini", "maps", "samples"):
            (root / folder).mkdir(parents=True)
        cv2.imwrite(str(root / "maps" / "blank.png"), np.zeros((4, 4), np.uint8))
        tables = self._fixed_tables() | {name: [] for name in ("ego_pose", "sample", "sample_data")}
        for index in range(self.samples):
            self._write_sample(root, tables, index)
        tables["instance"], tables["sample_annotation"] = self._annotations()
        for name, rows in tables.items():
            (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
        return root

    def _fixed_tables(self) -> dict[str, list[dict[str, Any]]]:
        channels = [(name, "camera") for name in self.cameras] + ([("LIDAR_TOP", "lidar")] if self.lidar else [])
        mounting = {"forward_y": virtual_T_ego_model(), "forward_x": np.eye(4), None: np.eye(4)}[self.lidar]
        camera = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        calibrated = []
        for channel, modality in channels:
            is_camera = modality == "camera"
            calibrated.append(
                {
                    "token": f"cal-{channel}",
                    "sensor_token": f"sensor-{channel}",
                    "translation": [1.5, 0, 1.5] if is_camera else mounting[:3, 3].tolist(),
                    "rotation": matrix_to_quaternion(camera if is_camera else mounting).tolist(),
                    "camera_intrinsic": [[120.0, 0, 80], [0, 120, 45], [0, 0, 1]] if is_camera else [],
                }
            )
        return {
            "category": [{"token": f"cat-{c}", "name": c, "description": ""} for c in {c for c, *_ in self.objects}],
            "attribute": [],
            "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
            "sensor": [{"token": f"sensor-{c}", "channel": c, "modality": m} for c, m in channels],
            "calibrated_sensor": calibrated,
            "log": [
                {"token": "log", "logfile": "made-up", "vehicle": "v", "date_captured": "", "location": self.location}
            ],
            "scene": [
                {
                    "token": "scene",
                    "log_token": "log",
                    "nbr_samples": self.samples,
                    "first_sample_token": "sample-0",
                    "last_sample_token": f"sample-{self.samples - 1}",
                    "name": "scene-0001",
                    "description": "made up",
                }
            ],
            "map": [
                {"token": "map", "category": "semantic_prior", "filename": "maps/blank.png", "log_tokens": ["log"]}
            ],
        }

    def _write_sample(self, root: Path, tables: dict[str, list[dict[str, Any]]], index: int) -> None:
        seconds = index * self.step_s
        tables["sample"].append(
            {
                "token": f"sample-{index}",
                "timestamp": START_US + round(seconds * 1e6),
                "prev": f"sample-{index - 1}" if index else "",
                "next": f"sample-{index + 1}" if index + 1 < self.samples else "",
                "scene_token": "scene",
            }
        )
        channels = [c for c in self.cameras if (index, c) not in self.lost] + (["LIDAR_TOP"] if self.lidar else [])
        for channel in channels:
            is_camera = channel != "LIDAR_TOP"
            at = seconds - (0.02 if is_camera else 0.0)
            token = f"{channel}-{index}"
            name = f"samples/{token}" + (".jpg" if is_camera else ".pcd.bin")
            if is_camera:
                image = np.full((90, 160, 3), 40 + 10 * index, np.uint8)
                cv2.imwrite(str(root / name), image)
            else:
                np.arange(15, dtype=np.float32).tofile(root / name)
            x, y, yaw = self.ego(at)
            stamp = START_US + round(at * 1e6)
            pose = {"translation": [x, y, 0.0], "rotation": [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]}
            tables["ego_pose"].append({"token": token, "timestamp": stamp, **pose})
            tables["sample_data"].append(
                {
                    "token": token,
                    "sample_token": f"sample-{index}",
                    "ego_pose_token": token,
                    "calibrated_sensor_token": f"cal-{channel}",
                    "timestamp": stamp,
                    "fileformat": "jpg" if is_camera else "pcd",
                    "is_key_frame": True,
                    "height": 90 if is_camera else 0,
                    "width": 160 if is_camera else 0,
                    "filename": name,
                    "prev": "",
                    "next": "",
                }
            )

    def _annotations(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        instances, annotations = [], []
        for number, (category, motion, frames) in enumerate(self.objects):
            tokens = [f"ann-{number}-{index}" for index in frames]
            instances.append(
                {
                    "token": f"instance-{number}",
                    "category_token": f"cat-{category}",
                    "nbr_annotations": len(tokens),
                    "first_annotation_token": tokens[0],
                    "last_annotation_token": tokens[-1],
                }
            )
            for place, index in enumerate(frames):
                x, y, yaw = motion(index * self.step_s)
                annotations.append(
                    {
                        "token": tokens[place],
                        "sample_token": f"sample-{index}",
                        "instance_token": f"instance-{number}",
                        "visibility_token": "4",
                        "attribute_tokens": [],
                        "translation": [x, y, 0.8],
                        "size": [1.9, 4.5, 1.6],
                        "rotation": [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)],
                        "prev": tokens[place - 1] if place else "",
                        "next": tokens[place + 1] if place + 1 < len(tokens) else "",
                        "num_lidar_pts": 5 - number,
                        "num_radar_pts": 0,
                    }
                )
        return instances, annotations
