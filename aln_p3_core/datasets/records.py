"""What the data set says about one sensor reading: `SensorRecord`, and the points of a LiDAR file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SensorRecord:
    """One file of one sensor, key frame or sweep.

    Attributes:
        token: of the sample_data row.
        channel: sensor name, e.g. "CAM_FRONT".
        modality: "camera", "lidar" or "radar".
        stamp_ns: time of exposure (cameras) or of the end of the sweep (LiDAR), nanoseconds.
        path: the file.
        T_ego_sensor: 4x4, sensor frame to ego frame.
        T_global_ego: 4x4, ego pose at `stamp_ns`.
        intrinsic: 3x3 in pixels for cameras, else None.
        width, height: pixels; 0 for other sensors.
        is_key_frame: whether it belongs to an annotated sample.
        sample_token: of that sample; for a sweep, of the sample that it is listed under.
    """

    token: str
    channel: str
    modality: str
    stamp_ns: int
    path: Path
    T_ego_sensor: FloatArray
    T_global_ego: FloatArray
    intrinsic: FloatArray | None
    width: int
    height: int
    is_key_frame: bool
    sample_token: str


def read_file(path: Path) -> bytes:
    """Bytes of a data file.

    Raises:
        DataError: naming the file when it is missing or empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); the archive that holds it is not there or was "
            "extracted in part"
        ) from error
    if not data:
        raise DataError(f"{path} is empty; extract or copy it again")
    return data


def read_lidar_points(path: Path) -> NDArray[np.float32]:
    """Points [n, 5] of a `.pcd.bin` file: x, y, z in metres in the sensor frame, intensity, ring.

    Raises:
        DataError: when the file is missing or its length is no multiple of five floats.
    """
    data = read_file(path)
    if len(data) % 20:
        raise DataError(f"{path} holds {len(data)} bytes, no multiple of 20 (five floats a point); copy it again")
    return np.frombuffer(data, dtype="<f4").reshape(-1, 5)
