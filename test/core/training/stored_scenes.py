"""Roots of several small made-up scenes, and recipes of small pictures, for tests of stored frames and clips."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aln_p3_core.config import DriverConfig, get_recipe, with_overrides

# Helpers run under torchrun too, which knows their own folder alone.
sys.path.insert(0, str(Path(__file__).parents[1]))
from map_helpers import ExpansionWriter

SMALL_RECIPE = {"image.height": 64, "image.width": 96, "bev.rows": 10, "bev.columns": 10}

_SHARED = ("category", "attribute", "visibility", "sensor", "calibrated_sensor", "log", "map")
_PER_SCENE = ("scene", "sample", "sample_data", "ego_pose", "instance", "sample_annotation")


def small_recipe(**overrides: Any) -> DriverConfig:
    """The smallest recipe with pictures of 64 x 96 pixels; dots in names as two underscores."""
    return with_overrides(
        get_recipe("nano"), {**SMALL_RECIPE, **{k.replace("__", "."): v for k, v in overrides.items()}}
    )


def write_scenes(make_root: Callable[..., Path], count: int, samples: int = 5, **fields: Any) -> Path:
    """A root with `count` scenes, "scene-0001" and so on, alike but for their tokens and pictures' files. Their map is
    there and has no lines."""
    objects = [
        ("vehicle.car", lambda t: (110 + 8 * t, 52.0, 0.1), range(samples)),
        ("human.pedestrian.adult", lambda t: (112.0, 46 + t, 1.6), range(1, samples)),
    ]
    # Ahead at rising speed, in a slight turn: every field of the ego motion has something to tell.
    fields = {"ego": lambda t: (100 + 4 * t + t * t, 50 + 0.3 * t * t, 0.1 * t), "objects": objects, **fields}
    root = make_root(samples=samples, **fields)
    add_scenes(root, range(2, count + 1))
    ExpansionWriter().write(root)
    return root


def add_scenes(root: Path, numbers: range) -> None:
    """Copies the first scene of a made-up root."""
    folder = root / "v1.0-mini"
    tables = {name: json.loads((folder / f"{name}.json").read_text()) for name in (*_SHARED, *_PER_SCENE)}
    original = {name: [row for row in tables[name] if "#" not in row["token"]] for name in _PER_SCENE}
    own = {row["token"] for rows in original.values() for row in rows}
    for number in numbers:
        for name, rows in original.items():
            for row in rows:
                copy = {key: f"{value}#{number}" if _is_token(value, own) else value for key, value in row.items()}
                if name == "scene":
                    copy["name"] = f"scene-{number:04d}"
                if name == "sample_data":
                    copy["filename"] = row["filename"].replace("samples/", f"samples/{number}-")
                    shutil.copy(root / row["filename"], root / copy["filename"])
                tables[name].append(copy)
    for name in _PER_SCENE:
        (folder / f"{name}.json").write_text(json.dumps(tables[name]))


def _is_token(value: Any, tokens: set[str]) -> bool:
    return isinstance(value, str) and value in tokens
