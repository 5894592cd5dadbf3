"""Whether what a root holds is what its tables say: whole pictures of their sizes, possible calibrations and poses."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.records import read_file
from aln_p3_core.errors import AlnP3Error, DataError, ImageError
from aln_p3_core.frame import CameraCalibration, EncodedImage
from aln_p3_core.geometry import make_transform, transform_problem
from aln_p3_core.image_files import check_encoded

# Problems that a message tells; the first ones are enough to see what is wrong.
_TOLD = 10
# Of a sweep, only so much is read from each end: the header with the size, and the marker of the end.
_HEAD_BYTES, _TAIL_BYTES = 65536, 4096
# Pictures that wait for a thread: all of a large data set would take gigabytes.
_AT_A_TIME = 1024


def check_pictures(dataset: NuScenesDataset, progress: bool = False) -> None:
    """Decodes every picture of a key frame, and looks at both ends of those between.

    Args:
        dataset: whose files are all there.
        progress: show a bar.

    Raises:
        DataError: with the number of pictures that are not whole, no pictures, or of another size than their row says,
            and the first ten of them.
    """
    from tqdm import tqdm

    rows = [row for row in dataset.nusc.sample_data if row["sensor_modality"] == "camera"]
    looked_at = tqdm(_picture_problems(dataset.root, rows), "pictures", len(rows), disable=not progress)
    problems = [problem for problem in looked_at if problem]
    _require_none(problems, f"of {len(rows)} pictures are damaged; extract or copy them again")


def check_geometry(dataset: NuScenesDataset) -> None:
    """
    Raises:
        DataError: with the number of rows of calibrated_sensor.json and ego_pose.json that cannot be (numbers that are
            not finite, quaternions not of unit length, intrinsics that project nothing), and the first ten of them.
    """
    nusc = dataset.nusc
    problems = [*_calibration_problems(dataset), *_pose_problems(nusc.ego_pose)]
    count = len(nusc.calibrated_sensor) + len(nusc.ego_pose)
    _require_none(problems, f"of {count} calibrations and poses cannot be; get the tables again, or mend these rows")


def _require_none(problems: Sequence[str], told: str) -> None:
    if problems:
        more = "; ..." if len(problems) > _TOLD else ""
        raise DataError(f"{len(problems)} {told}. {'; '.join(problems[:_TOLD])}{more}")


def _picture_problems(root: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[str | None]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for start in range(0, len(rows), _AT_A_TIME):
            yield from pool.map(partial(_picture_problem, root), rows[start : start + _AT_A_TIME])


def _picture_problem(root: Path, row: Mapping[str, Any]) -> str | None:
    import cv2

    path = root / row["filename"]
    try:
        data = read_file(path) if row["is_key_frame"] else _ends(path)
        check_encoded(EncodedImage(data, str(path)), int(row["width"]), int(row["height"]))
        reduced = cv2.IMREAD_REDUCED_GRAYSCALE_8
        if row["is_key_frame"] and cv2.imdecode(np.frombuffer(data, np.uint8), reduced) is None:
            raise ImageError(f"{path} cannot be decoded; its file is damaged")
    except AlnP3Error as error:
        return str(error)
    return None


def _ends(path: Path) -> bytes:
    """Both ends of a file, or all of a small one."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(file.tell(), path.stat().st_size - _TAIL_BYTES))
        return head + file.read()


def _calibration_problems(dataset: NuScenesDataset) -> list[str]:
    sizes: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for row in dataset.nusc.sample_data:
        sizes[row["calibrated_sensor_token"]].add((int(row["width"]), int(row["height"])))
    problems = []
    for row in dataset.nusc.calibrated_sensor:
        sensor = dataset.nusc.get("sensor", row["sensor_token"])
        try:
            T_ego_sensor = make_transform(row["rotation"], row["translation"])
            if problem := transform_problem(T_ego_sensor):
                raise DataError(problem)
            for width, height in sorted(sizes[row["token"]]) if sensor["modality"] == "camera" else ():
                intrinsic = np.array(row["camera_intrinsic"], dtype=np.float64)
                CameraCalibration(intrinsic, T_ego_sensor, width, height)
                if np.linalg.det(intrinsic) <= 0:
                    raise DataError(f"the intrinsic matrix is singular: {intrinsic.tolist()}")
        except (AlnP3Error, TypeError, ValueError) as error:
            problems.append(f"calibrated_sensor.json: row {row['token']!r} ({sensor['channel']}): {error}")
    return problems


def _pose_problems(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Millions of rows: looked at together, and one by one only where something is wrong."""
    try:
        rotations = np.array([row["rotation"] for row in rows], dtype=np.float64).reshape(len(rows), 4)
        translations = np.array([row["translation"] for row in rows], dtype=np.float64).reshape(len(rows), 3)
        good = np.isfinite(translations).all(axis=1) & (np.abs(np.linalg.norm(rotations, axis=1) - 1.0) < 1e-2)
        doubtful = [rows[place] for place in np.flatnonzero(~good)]
    except (TypeError, ValueError):
        doubtful = list(rows)
    problems = []
    for row in doubtful:
        try:
            problem = transform_problem(make_transform(row["rotation"], row["translation"]))
        except (TypeError, ValueError) as error:
            problem = str(error)
        if problem:
            problems.append(f"ego_pose.json: row {row['token']!r}: {problem}")
    return problems
