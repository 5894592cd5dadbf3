"""Damaged pictures and impossible calibrations are found before somebody drives on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_helpers import run

from aln_p3_core.datasets.content_check import check_geometry, check_pictures
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError

MakeRoot = Callable[..., Path]


def _change(root: Path, table: str, token: str, **fields: Any) -> NuScenesDataset:
    path = root / "v1.0-mini" / f"{table}.json"
    rows = json.loads(path.read_text())
    next(row for row in rows if row["token"] == token).update(fields)
    path.write_text(json.dumps(rows))
    return NuScenesDataset(root)


def test_a_whole_root_is_fine(make_root: MakeRoot) -> None:
    dataset = NuScenesDataset(make_root(samples=2))
    check_pictures(dataset)
    check_geometry(dataset)


def test_damaged_pictures_are_told_with_what_is_wrong(make_root: MakeRoot) -> None:
    root = make_root(samples=3)
    pictures = root / "samples"
    cut = pictures / "CAM_FRONT-0.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    shutil.copyfile(root / "maps" / "blank.png", pictures / "CAM_FRONT-1.jpg")
    (pictures / "CAM_BACK-1.jpg").write_bytes(b"<html>")
    (pictures / "CAM_BACK-2.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"^4 of 18 pictures are damaged") as caught:
        check_pictures(NuScenesDataset(root))
    for message in (
        "CAM_FRONT-0.jpg is truncated",
        "CAM_FRONT-1.jpg has 4x4 pixels",
        "CAM_BACK-1.jpg is neither a JPEG",
        "CAM_BACK-2.jpg is empty",
    ):
        assert message in str(caught.value)


def test_a_picture_with_both_ends_and_nothing_between_is_found_in_a_key_frame_only(make_root: MakeRoot) -> None:
    root = make_root(samples=1)
    path = root / "samples" / "CAM_FRONT-0.jpg"
    path.write_bytes(path.read_bytes()[:200] + b"\xff\xc0\x00\x11\x08\x00\x5a\x00\xa0" + b"\xff\xd9")
    if cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE) is not None:
        pytest.fail("this is a picture")
    with pytest.raises(DataError, match=r"CAM_FRONT-0\.jpg"):
        check_pictures(NuScenesDataset(root))
    check_pictures(_change(root, "sample_data", "CAM_FRONT-0", is_key_frame=False))


@pytest.mark.parametrize(
    ("table", "token", "fields", "message"),
    [
        ("calibrated_sensor", "cal-CAM_BACK", {"rotation": [0.5, 0.5, 0.5, 0.6]}, r"\(CAM_BACK\): .* norm 1"),
        ("calibrated_sensor", "cal-CAM_BACK", {"rotation": [1, 0, 0]}, r"\(CAM_BACK\)"),
        ("calibrated_sensor", "cal-LIDAR_TOP", {"translation": [float("nan"), 0, 0]}, r"\(LIDAR_TOP\): it holds NaN"),
        ("calibrated_sensor", "cal-CAM_BACK", {"camera_intrinsic": []}, "must be 3x3 and finite"),
        (
            "calibrated_sensor",
            "cal-CAM_BACK",
            {"camera_intrinsic": [[100, float("inf"), 80], [0, 100, 45], [0, 0, 1]]},
            "3x3 and finite",
        ),
        ("calibrated_sensor", "cal-CAM_BACK", {"camera_intrinsic": [[0, 0, 0]] * 3}, "focal lengths must be positive"),
        (
            "calibrated_sensor",
            "cal-CAM_BACK",
            {"camera_intrinsic": [[100, 100, 80], [100, 100, 45], [0, 0, 1]]},
            "intrinsic matrix is singular",
        ),
        ("ego_pose", "CAM_BACK-1", {"rotation": [2, 0, 0, 0]}, r"ego_pose\.json: row 'CAM_BACK-1': .* norm 1"),
        (
            "ego_pose",
            "CAM_BACK-1",
            {"translation": [1e400, 0, 0]},
            r"row 'CAM_BACK-1': it holds NaN or",
        ),
        ("ego_pose", "CAM_BACK-1", {"translation": [0, 0]}, r"^1 of 21 .*ego_pose\.json: row 'CAM_BACK-1'"),
    ],
)
def test_geometry_that_cannot_be(
    make_root: MakeRoot, table: str, token: str, fields: dict[str, Any], message: str
) -> None:
    dataset = _change(make_root(samples=2), table, token, **fields)
    with pytest.raises(DataError, match=message):
        check_geometry(dataset)


def test_the_command_opens_pictures(track_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(track_root, root)
    whole = run("check", root)
    assert whole.exit_code == 0 and "every picture is whole, every calibration and pose is possible" in whole.output
    picture = next((root / "samples" / "CAM_BACK").iterdir())
    picture.write_bytes(picture.read_bytes()[:3000])
    damaged = run("check", root)
    assert damaged.exit_code == 1 and f"{picture} is truncated" in damaged.output
