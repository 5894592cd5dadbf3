"""TOD3Cap's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aln_p3_core.datasets.tod3cap import ObjectCaption, load_tod3cap
from aln_p3_core.errors import DataError

ROW: dict[str, Any] = {
    "attribute_caption": {"attribute_caption": "Orange car"},
    "depth_caption": {"depth": 16.39},
    "localization_caption": {"localization_caption": "behind the ego car", "x_offset": 0.1},
    "motion_caption": {"motion_caption": "standing still", "x_vel": 0.0, "y_vel": 0.0},
    "map_caption": {"map_caption": "in the car park"},
    "final_caption": "Orange car about 16 meters away behind the ego car is standing still in the car park",
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "final_caption_bbox_token.json"
    path.write_text(json.dumps(content))
    return path


def test_parts_and_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": ROW, "b": {"final_caption": "A car"}})
    found = load_tod3cap(path)
    parts = ("Orange car", 16.39, "behind the ego car", "standing still", "in the car park", ROW["final_caption"])
    assert found == {"a": ObjectCaption(*parts), "b": ObjectCaption("", None, "", "", "", "A car")}
    assert load_tod3cap(path, {"b", "c"}) == {"b": found["b"]}, "only what is asked for is kept"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**ROW, "final_caption": None}, "annotation a has None where the text 'final_caption' belongs"),
        ({"attribute_caption": ROW["attribute_caption"]}, "annotation a has nothing where the text 'final_caption'"),
        ({**ROW, "motion_caption": {"x_vel": 0.0}}, "annotation a has nothing where the text 'motion_caption'"),
        ({**ROW, "depth_caption": {"depth": "far"}}, "annotation a has no number in depth_caption.depth"),
        ({**ROW, "depth_caption": {"depth": float("nan")}}, "annotation a has the depth nan"),
        ("A car", "annotation a has nothing"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, row: object, told: str) -> None:
    path = written(tmp_path, {"sound": ROW, "a": row})
    with pytest.raises(DataError, match="copy the published file again") as error:
        load_tod3cap(path)
    assert told in str(error.value) and str(path) in str(error.value)
    assert set(load_tod3cap(path, {"sound"})) == {"sound"}, "entries that nobody asks for do not matter"
