"""Opening a nuScenes-schema root: which version it holds, and errors that name the file that is at fault."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aln_p3_core.errors import DataError

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

Row = Mapping[str, Any]

TABLES = (
    "category",
    "attribute",
    "visibility",
    "instance",
    "sensor",
    "calibrated_sensor",
    "ego_pose",
    "log",
    "scene",
    "sample",
    "sample_data",
    "sample_annotation",
    "map",
)

# Every field that this package follows to another table. An empty link (first or last of a chain) is fine only
# for the fields named "prev" and "next".
_LINKS = (
    ("instance", "category_token", "category"),
    ("calibrated_sensor", "sensor_token", "sensor"),
    ("scene", "log_token", "log"),
    ("sample", "scene_token", "scene"),
    ("sample_data", "sample_token", "sample"),
    ("sample_data", "ego_pose_token", "ego_pose"),
    ("sample_data", "calibrated_sensor_token", "calibrated_sensor"),
    ("sample_annotation", "sample_token", "sample"),
    ("sample_annotation", "instance_token", "instance"),
    ("sample_annotation", "prev", "sample_annotation"),
    ("sample_annotation", "next", "sample_annotation"),
)

# Fields that are read as they are.
_FIELDS = {
    "category": ("name",),
    "sensor": ("channel", "modality"),
    "calibrated_sensor": ("translation", "rotation", "camera_intrinsic"),
    "ego_pose": ("translation", "rotation"),
    "log": ("location",),
    "scene": ("name",),
    "sample": ("timestamp",),
    "sample_data": ("timestamp", "filename", "is_key_frame", "width", "height"),
    "sample_annotation": ("translation", "size", "rotation", "num_lidar_pts", "num_radar_pts"),
    "map": ("filename", "log_tokens"),
}

_EXTRACT = "extract the archives again (a half-extracted one leaves files out), or give another root"


def find_tables(root: Path, version: str | None = None) -> tuple[Path, str]:
    """Root and table folder of what somebody names: a root, or one of its table folders (`nuscenes/v1.0-mini`), where a
    root has several.

    Raises:
        DataError: as `find_version`.
    """
    if version is None and root.name.startswith("v1.0-") and (root / "scene.json").is_file():
        return root.parent, root.name
    return root, find_version(root, version)


def find_version(root: Path, version: str | None = None) -> str:
    """Name of the table folder in `root`: `version` when it is there, else the only `v1.0-*` folder.

    Raises:
        DataError: when there is none, or several and none was asked for.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; give the folder that holds v1.0-*/, samples/ and maps/")
    found = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name.startswith("v1.0-"))
    if version is not None:
        if not (root / version).is_dir():
            raise DataError(f"{root} has no version {version!r}; it has {found or 'no v1.0-* folder'}")
        return version
    if not found:
        raise DataError(f"{root} holds no v1.0-* folder of tables; give the folder that holds v1.0-*/ and samples/")
    if len(found) > 1:
        raise DataError(
            f"{root} holds several versions, {', '.join(found)}: name the folder of one in place of the root, such as "
            f"{root / found[0]}"
        )
    return found[0]


def open_tables(root: Path, version: str) -> NuScenes:
    """Loads all tables through nuscenes-devkit and checks every link that this package follows.

    Raises:
        DataError: naming the missing or broken file, or the table, row and field that lead nowhere.
    """
    from nuscenes.nuscenes import NuScenes

    missing = [name for name in TABLES if not (root / version / f"{name}.json").is_file()]
    if missing:
        files = ", ".join(str(root / version / f"{name}.json") for name in missing)
        raise DataError(f"missing tables: {files}; {_EXTRACT}")
    try:
        nusc = NuScenes(version=version, dataroot=str(root), verbose=False)
    except Exception as error:
        # The devkit fails with whatever its code stumbles over; the tables are read once more to say what is wrong.
        tables = {name: _read_table(root / version / f"{name}.json") for name in TABLES}
        _check_tables(root, version, tables)
        raise DataError(f"nuscenes-devkit cannot load {root / version}: {type(error).__name__}: {error}") from error
    _check_tables(root, version, {name: getattr(nusc, name) for name in TABLES})
    return nusc


def _read_table(path: Path) -> list[Row]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no complete JSON file ({error}); {_EXTRACT}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} does not hold a list of rows; {_EXTRACT}")
    return rows


def _check_tables(root: Path, version: str, tables: Mapping[str, Sequence[Row]]) -> None:
    """Checks fields, links and map files. Raises DataError at the first thing that is wrong."""

    def column(table: str, field: str) -> list[Any]:
        try:
            return [row[field] for row in tables[table]]
        except KeyError:
            row = next(row for row in tables[table] if field not in row)
            where = root / version / f"{table}.json"
            raise DataError(f"{where}: row {row.get('token', row)!r} has no field {field!r}; {_EXTRACT}") from None

    for table, fields in _FIELDS.items():
        for field in fields:
            column(table, field)
    tokens = {name: set(column(name, "token")) for name in TABLES}
    for table, field, target in _LINKS:
        ends = {""} if field in ("prev", "next") else set()
        lost = set(column(table, field)) - tokens[target] - ends
        if lost:
            row = next(row for row in tables[table] if row[field] in lost)
            raise DataError(
                f"{root / version / table}.json: row {row['token']!r} points to {row[field]!r} ({field}), which "
                f"{target}.json does not have; the tables belong to different versions, or a file is cut short"
            )
    for row in tables["map"]:
        if not (root / row["filename"]).is_file():
            raise DataError(f"{root / row['filename']} is missing (named in {version}/map.json); {_EXTRACT}")
