"""What a stored frame depends on: a key of the settings, and a fingerprint of every scene's own data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aln_p3_core.cache import cache_folder as cache_folder
from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.expansion_files import can_bus_file, map_file
from aln_p3_core.datasets.nuscenes import NuScenesDataset

#: Raised whenever the layout or the meaning of what is stored changes (ego status and CAN vector included): older
#: stores are built anew.
STORE_VERSION = 1


def store_settings(dataset: NuScenesDataset, config: DriverConfig) -> dict[str, Any]:
    """Everything but the data itself that stored frames depend on, JSON-ready."""
    return json.loads(
        json.dumps(
            {
                "store_version": STORE_VERSION,
                "data_version": dataset.version,
                "data_choices": dataset.choices,
                "cameras": config.cameras,
                "image": asdict(config.image),
                "point_cloud_range": config.point_cloud_range,
                "points_per_line": config.map.points_per_line,
                "agent_classes": config.agents.classes,
                "map_classes": config.map.classes,
                "steps": [config.planner.steps, config.planner.step_s],
            }
        )
    )


def settings_key(settings: dict[str, Any]) -> str:
    """Short name of settings: equal settings, equal key."""
    return digest(json.dumps(settings, sort_keys=True).encode())


def digest(*parts: bytes) -> str:
    """16 hex digits of SHA-256 over the parts."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()[:16]


def scene_fingerprints(dataset: NuScenesDataset, scenes: Sequence[str]) -> dict[str, str]:
    """Fingerprint of each scene's own data: table rows, stored plans and commands, map, CAN bus, picture sizes.

    Pictures themselves are not read; one that was replaced by another of equal length is not noticed.
    """
    files: dict[Path, bytes] = {}
    return {scene: _fingerprint(dataset, scene, files) for scene in scenes}


def _fingerprint(dataset: NuScenesDataset, scene: str, files: dict[Path, bytes]) -> str:
    nusc = dataset.nusc
    state = hashlib.sha256(scene.encode())
    for row in dataset.rows_of(scene):
        calibration = nusc.get("calibrated_sensor", row["calibrated_sensor_token"])
        state.update(repr((row, calibration, nusc.get("ego_pose", row["ego_pose_token"]))).encode())
        if row["is_key_frame"] and row["sensor_modality"] == "camera":
            path = dataset.root / row["filename"]
            state.update(str(path.stat().st_size if path.is_file() else -1).encode())
    for token in dataset.scene_tokens(scene):
        annotations = [nusc.get("sample_annotation", a) for a in nusc.get("sample", token)["anns"]]
        state.update(repr((token, annotations, dataset.stored_command(token))).encode())
        plan = dataset.stored_plan(token)
        if plan is not None:
            for array in (plan.times_s, plan.points_ego, plan.headings_ego):
                state.update(array.tobytes())
    location = dataset.location_of(scene)
    # Stored CAN vectors of scenes without CAN bus once held differences of poses: those are built anew.
    for path, without in ((map_file(dataset.root, location), b""), (can_bus_file(dataset.root, scene), b"zeros")):
        if path not in files:
            files[path] = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else without
        state.update(files[path])
    return state.hexdigest()[:16]
