"""Rig calibration files: the cameras of a vehicle as JSON or YAML.

One entry a sensor, by channel name (nuScenes' conventions)::

    CAM_FRONT:
      translation: [1.70, 0.02, 1.51]            # m, sensor origin in the ego frame
      rotation: [0.4998, -0.5030, 0.4998, -0.4974]   # w, x, y, z; sensor frame to ego frame
      camera_intrinsic: [[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]]
      width: 1600                                 # pixels of the image that the intrinsics speak of
      height: 900

Ego: x forward, y left, z up, origin at the middle of the rear axle on the ground. Camera: x right, y down,
z forward. An entry whose `camera_intrinsic` is empty is no camera (a LiDAR) and is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.errors import CalibrationError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import make_transform, matrix_to_quaternion
from aln_p3_core.whole_files import write_text

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

_KEYS = ("translation", "rotation", "camera_intrinsic", "width", "height")


def load_calibration(path: str | Path, cameras: Iterable[str] | None = None) -> dict[str, CameraCalibration]:
    """Reads a rig file (`.json`, `.yaml`, `.yml`).

    Args:
        path: the file.
        cameras: the cameras that are needed, in the order of the result; all cameras of the file when None.

    Raises:
        CalibrationError: naming the file, the camera and the field, for a file that is missing or broken, a
            missing camera, a missing or unknown key, or a value that cannot be.
    """
    path = Path(path)
    content = _read(path)
    rig = {}
    for channel, entry in content.items():
        calibration = _camera(entry, f"{path}: {channel}")
        if calibration is not None:
            rig[str(channel)] = calibration
    if not rig:
        raise CalibrationError(f"{path} holds no camera (an entry with camera_intrinsic, width and height)")
    if cameras is None:
        return rig
    wanted = list(cameras)
    missing = [name for name in wanted if name not in rig]
    if missing:
        raise CalibrationError(f"{path} has no camera {', '.join(missing)}; it has {', '.join(rig)}")
    return {name: rig[name] for name in wanted}


def save_calibration(path: str | Path, rig: Mapping[str, CameraCalibration]) -> None:
    """Writes a rig file; JSON or YAML by the suffix. What is read back has the same matrices to 1e-12.

    Raises:
        CalibrationError: for another suffix.
    """
    path = Path(path)
    content = {
        channel: {
            "translation": calibration.T_ego_cam[:3, 3].tolist(),
            "rotation": matrix_to_quaternion(calibration.T_ego_cam).tolist(),
            "camera_intrinsic": calibration.intrinsic.tolist(),
            "width": calibration.width,
            "height": calibration.height,
        }
        for channel, calibration in rig.items()
    }
    if is_yaml(path):
        import yaml

        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
    else:
        text = json.dumps(content, indent=1) + "\n"
    write_text(path, text)


def calibration_of_scene(dataset: NuScenesDataset, scene_name: str | None = None) -> dict[str, CameraCalibration]:
    """The cameras of a scene (the first one when None) of a nuScenes-schema data set, in the rig's order.

    A camera is taken from the first sample that has it.

    Raises:
        DataError: for a scene that is not there.
    """
    scene_name = dataset.scenes[0] if scene_name is None else scene_name
    missing = list(dataset.cameras_of(scene_name))
    found: dict[str, CameraCalibration] = {}
    for token in dataset.scene_tokens(scene_name):
        records = dataset.records_of_sample(token)
        found |= {name: dataset.camera_calibration(records[name]) for name in missing if name in records}
        missing = [name for name in missing if name not in found]
        if not missing:
            break
    return {name: found[name] for name in dataset.cameras_of(scene_name)}


def is_yaml(path: Path) -> bool:
    """Whether a rig file is YAML, by its ending; else it is JSON. Raises CalibrationError for another ending."""
    if path.suffix in (".yaml", ".yml"):
        return True
    if path.suffix == ".json":
        return False
    raise CalibrationError(f"{path}: a calibration file ends in .json, .yaml or .yml")


def _read(path: Path) -> Mapping[str, Any]:
    import yaml

    as_yaml = is_yaml(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path} cannot be read: {error}") from error
    try:
        content = yaml.safe_load(text) if as_yaml else json.loads(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise CalibrationError(f"{path} is no {'YAML' if as_yaml else 'JSON'} file: {error}") from error
    if not isinstance(content, dict) or not content:
        raise CalibrationError(f"{path} must hold one entry a camera (name: translation, rotation, ...)")
    return content


def _camera(entry: Any, where: str) -> CameraCalibration | None:
    """The calibration of one entry, None for a sensor that is no camera."""
    if not isinstance(entry, dict):
        raise CalibrationError(f"{where}: must hold {', '.join(_KEYS)}, got {entry!r}")
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise CalibrationError(f"{where}: unknown keys {unknown}; there are {', '.join(_KEYS)}")
    if "camera_intrinsic" in entry and not entry["camera_intrinsic"]:
        return None
    missing = [key for key in _KEYS if key not in entry]
    if missing:
        raise CalibrationError(f"{where}: missing {', '.join(missing)}")
    for key in ("width", "height"):
        if not isinstance(entry[key], int) or isinstance(entry[key], bool) or entry[key] <= 0:
            raise CalibrationError(f"{where}: {key} must be a positive whole number of pixels, got {entry[key]!r}")
    translation = _numbers(entry["translation"], (3,), f"{where}: translation")
    rotation = _numbers(entry["rotation"], (4,), f"{where}: rotation")
    intrinsic = _numbers(entry["camera_intrinsic"], (3, 3), f"{where}: camera_intrinsic")
    try:
        return CameraCalibration(intrinsic, make_transform(rotation, translation), entry["width"], entry["height"])
    except ValueError as error:  # CalibrationError is one, too
        raise CalibrationError(f"{where}: {error}") from error


def _numbers(value: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        raise CalibrationError(f"{where} must be {' x '.join(map(str, shape))} finite numbers, got {value!r}")
    return array
