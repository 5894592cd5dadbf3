"""Fixed tables, tokens and links."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.recorder.tables import (
    CATEGORIES,
    Row,
    chain,
    fixed_tables,
    make_token,
    map_table,
    visibility_token,
    write_json,
)
from aln_p3_core.world.rig import world_rig


def test_tokens_are_names_and_do_not_depend_on_the_process() -> None:
    assert make_token("scene", 1) == "605304651eedbb16ebd7fc6212f104e6"
    assert make_token("scene", 1) == make_token("scene", "1") != make_token("scene", 2)


def test_every_model_has_its_category() -> None:
    assert {model.category for model in MODELS} <= set(CATEGORIES)


def test_fixed_tables() -> None:
    tables = fixed_tables(world_rig())
    assert [row["channel"] for row in tables["sensor"]] == [*NUSCENES_CAMERAS, "LIDAR_TOP"]
    sensors = {row["token"] for row in tables["sensor"]}
    assert {row["sensor_token"] for row in tables["calibrated_sensor"]} == sensors
    assert len(tables["category"]) == 23 and len(tables["attribute"]) == 8
    assert [row["level"] for row in tables["visibility"]] == ["v0-40", "v40-60", "v60-80", "v80-100"]
    json.dumps(tables)


@pytest.mark.parametrize(
    ("share", "token"), [(0.0, "1"), (0.39, "1"), (0.4, "2"), (0.6, "3"), (0.79, "3"), (0.8, "4"), (1.0, "4")]
)
def test_visibility_levels(share: float, token: str) -> None:
    assert visibility_token(share) == token


def test_chain() -> None:
    rows: list[Row] = [{"token": "a"}, {"token": "b"}, {"token": "c"}]
    chain(rows)
    assert [(row["prev"], row["next"]) for row in rows] == [("", "b"), ("a", "c"), ("b", "")]


def test_one_map_a_location() -> None:
    logs: list[Row] = [{"token": str(i), "location": place} for i, place in enumerate(["b", "a", "b"])]
    rows = map_table(logs)
    assert [(row["filename"], row["log_tokens"]) for row in rows] == [("maps/b.png", ["0", "2"]), ("maps/a.png", ["1"])]


def test_files_appear_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "file.json", {"a": [1, 2]})
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.json"]
    assert json.loads((tmp_path / "new" / "file.json").read_text()) == {"a": [1, 2]}
