"""Which files are missing that somebody is about to read, and which others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from aln_p3_core.datasets.file_check import missing_files
from aln_p3_core.datasets.nuscenes import NuScenesDataset


def test_pictures_are_told_one_by_one_and_all_else_by_folder(make_root: Callable[..., Path]) -> None:
    root = make_root(samples=3)
    table = root / "v1.0-mini" / "sample_data.json"
    rows = json.loads(table.read_text())
    sweep = next(row for row in rows if row["token"] == "CAM_BACK-1")
    rows.append(sweep | {"token": "sweep", "filename": "sweeps/CAM_BACK/1.jpg", "is_key_frame": False})
    table.write_text(json.dumps(rows))
    dataset = NuScenesDataset(root)
    found = missing_files(dataset, dataset.scenes)
    assert (found.pictures, found.looked_at, found.others) == ((), 18, {"sweeps/CAM_BACK": 1})
    lost, empty = root / "samples" / "CAM_FRONT-0.jpg", root / "samples" / "CAM_BACK-2.jpg"
    lost.unlink()
    empty.write_bytes(b"")
    (root / "samples" / "LIDAR_TOP-1.pcd.bin").unlink()
    found = missing_files(dataset, dataset.scenes)
    assert set(found.pictures) == {lost, empty} and found.others == {"samples": 1, "sweeps/CAM_BACK": 1}
    # Nobody reads these pictures: the folder is looked at, the files are not.
    found = missing_files(dataset, ())
    assert (found.pictures, found.looked_at) == ((), 0) and found.others == {"samples": 2, "sweeps/CAM_BACK": 1}
