"""Makes the recorded clip that ships with the package: one short scene of the world, thinned out.

Usage: python scripts/make_clip.py [--number N] [--seconds S] [--quality Q]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "aln_p3_core" / "world" / "clip" / "clip.zip"
VERSION = "v1.0-world"
#: One LiDAR point of so many is kept: enough to be seen in a picture.
_EVERY_POINT = 24
_NO_DATE = (1980, 1, 1, 0, 0, 0)

Row = dict[str, Any]


def main() -> int:
    """Records, thins out, packs. The same source gives the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1, help="which scene of the split mini")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--quality", type=int, default=70, help="of the JPEG files")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "root"
        command = [sys.executable, "-m", "aln_p3_core", "world", "record", "--out", str(root), "--split", "mini"]
        command += ["--scenes", str(chosen.number + 1), "--seconds", str(chosen.seconds), "--jobs", "1"]
        command += ["--quality", str(chosen.quality), "--no-language", "--no-perturb"]
        subprocess.run(command, check=True, cwd=REPOSITORY)
        tables = {path.stem: json.loads(path.read_text()) for path in sorted((root / VERSION).glob("*.json"))}
        pack(root, thinned(tables, chosen.number))
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB")
    return 0


def thinned(tables: dict[str, Any], number: int) -> dict[str, Any]:
    """One scene's rows."""
    scene = tables["scene"][number]
    samples = [row for row in tables["sample"] if row["scene_token"] == scene["token"]]
    tokens = {row["token"] for row in samples}
    data = [row for row in tables["sample_data"] if row["sample_token"] in tokens]
    used = {row["calibrated_sensor_token"] for row in data}
    boxes = [row for row in tables["sample_annotation"] if row["sample_token"] in tokens]
    instances = {row["instance_token"] for row in boxes}
    poses = {row["ego_pose_token"] for row in data}
    logs = [row for row in tables["log"] if row["token"] == scene["log_token"]]
    return {
        **tables,
        "scene": [scene],
        "sample": samples,
        "calibrated_sensor": [row for row in tables["calibrated_sensor"] if row["token"] in used],
        "sample_data": data,
        "sample_annotation": boxes,
        "instance": [row for row in tables["instance"] if row["token"] in instances],
        "ego_pose": [row for row in tables["ego_pose"] if row["token"] in poses],
        "log": logs,
        "map": [row for row in tables["map"] if scene["log_token"] in row["log_tokens"]],
        "splits": {name: [s for s in scenes if s == scene["name"]] for name, scenes in tables["splits"].items()},
    }


def pack(root: Path, tables: dict[str, Any]) -> None:
    """Writes the archive: tables, pictures, a part of the LiDAR's points; in place of the map's raster, which is large
    and not needed to replay, an empty one."""
    empty = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    files = sorted(row["filename"] for row in tables["sample_data"])
    with zipfile.ZipFile(TARGET, "w") as archive:
        for name, rows in sorted(tables.items()):
            text = json.dumps(rows, separators=(",", ":"))
            archive.writestr(_entry(f"{VERSION}/{name}.json"), text, zipfile.ZIP_DEFLATED, 9)
        for row in tables["map"]:
            archive.writestr(_entry(row["filename"]), empty, zipfile.ZIP_STORED)
        for name in files:
            content = (root / name).read_bytes()
            if name.endswith(".bin"):
                content = np.frombuffer(content, np.float32).reshape(-1, 5)[::_EVERY_POINT].tobytes()
            packing = zipfile.ZIP_DEFLATED if name.endswith(".bin") else zipfile.ZIP_STORED
            archive.writestr(_entry(name), content, packing, 9)


def _entry(name: str) -> zipfile.ZipInfo:
    """Without the time of writing, so that equal content gives an equal archive."""
    entry = zipfile.ZipInfo(name, _NO_DATE)
    entry.external_attr = 0o644 << 16
    return entry


if __name__ == "__main__":
    sys.exit(main())
