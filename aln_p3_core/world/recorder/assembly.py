"""Makes a root of its scenes' parts: thirteen tables, splits, plans, commands and language files.

The same parts give the same bytes, in whatever order the scenes were recorded.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.stored_plans import COMMAND_FILE, PLAN_FILE
from aln_p3_core.datasets.stored_signals import SIGNAL_FILE
from aln_p3_core.datasets.tables import TABLES
from aln_p3_core.errors import DataError
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.recorder.map_expansion import expansion_of
from aln_p3_core.world.recorder.map_raster import encoded_raster
from aln_p3_core.world.recorder.scene_writer import PARTS
from aln_p3_core.world.recorder.settings import root_rig
from aln_p3_core.world.recorder.tables import (
    SCENE_TABLES,
    VERSION,
    Row,
    Table,
    fixed_tables,
    map_table,
    remove_leftovers,
    write_bytes,
    write_json,
)

SCENES_FILE = "scenes.json"
LANGUAGE = "language"
#: File names of the real benchmarks; those of one split each have its name in them.
NU_X_FILE = "Nu_X_{split}.json"
TOD3CAP_FILE = "final_caption_bbox_token.json"
QA_FILE = "NuScenes_{split}_questions.json"
#: The devkit takes "train" and "val" for nuScenes' own scene lists; under this prefix it reads ours.
DEVKIT_SPLIT_PREFIX = "world_"


def write_map(root: Path, city: CityMap, scenery: Scenery) -> None:
    """Writes a city's map expansion and raster, unless the root has them."""
    expansion = root / "maps" / "expansion" / f"{city.name}.json"
    raster = root / "maps" / f"{city.name}.png"
    if not expansion.is_file():
        write_json(expansion, expansion_of(city, scenery.parking))
    if not raster.is_file():
        write_bytes(raster, encoded_raster(city))


def assemble_root(root: Path) -> list[str]:
    """Writes everything that speaks of all scenes, from the parts of those that are finished.

    Returns:
        Names of the scenes, in order.

    Raises:
        DataError: when no scene is finished, or a part is broken.
    """
    paths = sorted((root / PARTS).glob("scene-*.json"))
    if not paths:
        raise DataError(f"{root} has no finished scene; record some first")
    tables: dict[str, Table] = {name: [] for name in TABLES} | fixed_tables(root_rig(root))
    splits: dict[str, list[str]] = defaultdict(list)
    plans: dict[str, Row] = {}
    commands: dict[str, str] = {}
    signals: dict[str, Row | None] = {}
    scenes: dict[str, Row] = {}
    language = _Language()
    for path in paths:
        part = read_part(path)
        for name in SCENE_TABLES:
            tables[name] += part["tables"][name]
        splits[part["split"]].append(part["scene"])
        plans |= part["expert_plan"]
        commands |= part["route_command"]
        signals |= part.get("signal_ahead", {})
        scenes[part["scene"]] = part["info"]
        language.add(part["split"], part["language"])
    tables["map"] = map_table(tables["log"])
    for name, rows in tables.items():
        write_json(root / VERSION / f"{name}.json", rows)
    write_json(root / VERSION / "splits.json", devkit_splits(splits))
    write_json(root / PLAN_FILE, plans)
    write_json(root / COMMAND_FILE, commands)
    if signals:  # parts of older recordings do not tell them
        write_json(root / SIGNAL_FILE, signals)
    write_json(root / SCENES_FILE, scenes)
    language.write(root / LANGUAGE)
    for folder in (root, root / VERSION, root / LANGUAGE):
        remove_leftovers(folder)
    return list(scenes)


def devkit_splits(splits: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Scene names by split, each under its own name and once more under a name that the devkit leaves to us."""
    lists = {split: list(names) for split, names in sorted(splits.items())}
    return lists | {DEVKIT_SPLIT_PREFIX + split: names for split, names in lists.items()}


def read_part(path: Path) -> dict[str, Any]:
    """A scene's part. Raises DataError naming the file when it is broken."""
    try:
        part = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON file ({error}); delete it and record again") from error
    missing = {"scene", "split", "info", "tables", "expert_plan", "route_command", "language"} - set(part)
    if missing:
        raise DataError(f"{path} has no {', '.join(sorted(missing))}; delete it and record again")
    return part


class _Language:
    """Collects annotations of scenes into the files of the benchmarks."""

    def __init__(self) -> None:
        self._nu_x: dict[str, dict[str, Any]] = defaultdict(dict)
        self._questions: dict[str, list[Row]] = defaultdict(list)
        self._captions: dict[str, Any] = {}

    def add(self, split: str, annotations: Mapping[str, Any] | None) -> None:
        if annotations is None:
            return
        self._nu_x[split] |= annotations["nu_x"]
        self._captions |= annotations["tod3cap"]
        self._questions[split] += annotations["questions"]

    def write(self, folder: Path) -> None:
        for split, entries in sorted(self._nu_x.items()):
            write_json(folder / NU_X_FILE.format(split=split), entries)
        for split, questions in sorted(self._questions.items()):
            write_json(folder / QA_FILE.format(split=split), {"questions": questions})
        if self._nu_x:
            write_json(folder / TOD3CAP_FILE, self._captions)
