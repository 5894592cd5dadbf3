"""The thirteen tables of the nuScenes schema: what is the same in every root, tokens, and the links between rows.

Every token is the MD5 of a name that says what the row is, so that the same episode gives the same tokens on
every machine, whatever was recorded before it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray, matrix_to_quaternion, virtual_T_ego_model

Row = dict[str, Any]
Table = list[Row]

#: Folder of the tables. The devkit opens the root with this version.
VERSION = "v1.0-world"
LIDAR = "LIDAR_TOP"

#: Tables whose rows belong to one scene: what a scene's part holds.
SCENE_TABLES = ("log", "scene", "sample", "sample_data", "ego_pose", "instance", "sample_annotation")

#: All categories of nuScenes; the world uses those that its actors have.
CATEGORIES = {
    "human.pedestrian.adult": "Adult on foot.",
    "human.pedestrian.child": "Child on foot.",
    "human.pedestrian.wheelchair": "Person in a wheelchair.",
    "human.pedestrian.stroller": "Stroller.",
    "human.pedestrian.personal_mobility": "Person on a small electric or self-propelled vehicle.",
    "human.pedestrian.police_officer": "Police officer.",
    "human.pedestrian.construction_worker": "Worker at a construction site.",
    "animal": "Animal.",
    "vehicle.car": "Car or van.",
    "vehicle.motorcycle": "Motorcycle, with its rider if it has one.",
    "vehicle.bicycle": "Bicycle, with its rider if it has one.",
    "vehicle.bus.bendy": "Articulated bus.",
    "vehicle.bus.rigid": "Bus without a joint.",
    "vehicle.truck": "Truck.",
    "vehicle.construction": "Vehicle for construction.",
    "vehicle.emergency.ambulance": "Ambulance.",
    "vehicle.emergency.police": "Police car.",
    "vehicle.trailer": "Trailer.",
    "movable_object.barrier": "Barrier that closes a road or a lane.",
    "movable_object.trafficcone": "Traffic cone.",
    "movable_object.pushable_pullable": "Object that people push or pull.",
    "movable_object.debris": "Object that lies on the road.",
    "static_object.bicycle_rack": "Rack for bicycles.",
}

ATTRIBUTES = {
    "vehicle.moving": "Vehicle that drives.",
    "vehicle.stopped": "Vehicle that stands with a driver in it.",
    "vehicle.parked": "Vehicle that stands without a driver.",
    "cycle.with_rider": "Somebody sits on the cycle.",
    "cycle.without_rider": "Nobody sits on the cycle.",
    "pedestrian.sitting_lying_down": "Person who sits or lies.",
    "pedestrian.standing": "Person who stands.",
    "pedestrian.moving": "Person who walks.",
}

#: Token, level, and the share of visible pixels at which the level begins.
VISIBILITY = (("1", "v0-40", 0.0), ("2", "v40-60", 0.4), ("3", "v60-80", 0.6), ("4", "v80-100", 0.8))


def make_token(*parts: object) -> str:
    """32 hex digits that name a row, the MD5 of its parts."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def visibility_token(share: float) -> str:
    """Token of the level for a share of visible pixels, 0..1."""
    return max(token for token, _, start in VISIBILITY if share >= start or start == 0.0)


def fixed_tables(rig: Mapping[str, CameraCalibration]) -> dict[str, Table]:
    """The tables that do not depend on scenes: categories, attributes, visibility, sensors, calibrations.

    LIDAR_TOP sits at `geometry.virtual_T_ego_model` (x right, y forward).
    """
    tables: dict[str, Table] = {
        "category": [{"token": category_token(n), "name": n, "description": d} for n, d in CATEGORIES.items()],
        "attribute": [{"token": attribute_token(n), "name": n, "description": d} for n, d in ATTRIBUTES.items()],
        "visibility": [
            {"token": token, "level": level, "description": f"{level[1:].replace('-', ' to ')} % of it can be seen."}
            for token, level, _ in VISIBILITY
        ],
        "sensor": [],
        "calibrated_sensor": [],
    }
    for channel, calibration in rig.items():
        _add_sensor(tables, channel, "camera", calibration.T_ego_cam, calibration.intrinsic.tolist())
    _add_sensor(tables, LIDAR, "lidar", virtual_T_ego_model(), [])
    return tables


def category_token(name: str) -> str:
    """Token of a category."""
    return make_token("category", name)


def attribute_token(name: str) -> str:
    """Token of an attribute."""
    return make_token("attribute", name)


def calibrated_token(channel: str) -> str:
    """Token of the calibrated sensor of a channel; a root has one rig."""
    return make_token("calibrated_sensor", channel)


def chain(rows: Table) -> None:
    """Fills `prev` and `next` of rows that follow each other."""
    for index, row in enumerate(rows):
        row["prev"] = rows[index - 1]["token"] if index else ""
        row["next"] = rows[index + 1]["token"] if index + 1 < len(rows) else ""


def map_table(logs: Iterable[Row]) -> Table:
    """One row a location, with the logs recorded there and its raster, in order of first appearance."""
    locations: dict[str, list[str]] = {}
    for log in logs:
        locations.setdefault(log["location"], []).append(log["token"])
    return [
        {
            "token": make_token("map", location),
            "category": "semantic_prior",
            "filename": f"maps/{location}.png",
            "log_tokens": tokens,
        }
        for location, tokens in locations.items()
    ]


def write_json(path: Path, content: object) -> None:
    """Writes JSON without superfluous blanks; the file appears complete or not at all."""
    write_bytes(path, json.dumps(content, separators=(",", ":")).encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file that appears complete or not at all, creating its folder. Two processes may write the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_bytes(data)
    temporary.replace(path)


def remove_leftovers(folder: Path) -> None:
    """Removes what writers that were killed left half-written in a folder."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def _add_sensor(tables: dict[str, Table], channel: str, modality: str, T_ego_sensor: FloatArray, k: list) -> None:
    tables["sensor"].append({"token": make_token("sensor", channel), "channel": channel, "modality": modality})
    tables["calibrated_sensor"].append(
        {
            "token": calibrated_token(channel),
            "sensor_token": make_token("sensor", channel),
            "translation": T_ego_sensor[:3, 3].tolist(),
            "rotation": matrix_to_quaternion(T_ego_sensor).tolist(),
            "camera_intrinsic": k,
        }
    )
