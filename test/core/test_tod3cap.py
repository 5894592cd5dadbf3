"""TOD3Cap's file: with the sentence, as the world writes it, and without, as it was released."""

from __future__ import annotations

import json
import logging
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from aln_p3_core.datasets.tod3cap import ObjectCaption, load_tod3cap
from aln_p3_core.errors import DataError

# The keys of an entry of the released file.
RELEASED: dict[str, Any] = {
    "scene_id": "scene-0001",
    "sample_token": "s",
    "cam_file": "samples/CAM_BACK/b.jpg",
    "2d_bbox": [1.0, 2.0, 3.0, 4.0],
    "3d_size": [1.9, 4.5, 1.6],
    "attribute_caption": {"attribute_caption": "Orange car", "category": "vehicle.car"},
    "depth_caption": {"depth": 16.39, "depth_caption": "not far away"},
    "localization_caption": {"localization_caption": "behind the ego car", "x_offset": 0.1},
    "motion_caption": {"motion_caption": "standing still", "x_vel": 0.0, "bev_vel": 0.0},
    "map_caption": {"map_caption": "in the car park"},
    "relation_caption": "none",
}
SENTENCE = "Orange car about 16 meters away behind the ego car is standing still in the car park"
ROW = {**RELEASED, "final_caption": "An orange car"}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "final_caption_bbox_token.json"
    path.write_text(json.dumps(content))
    return path


def without(*names: str, **parts: str) -> dict[str, Any]:
    """The released entry without some parts, and with other words in others."""
    row = {name: value for name, value in RELEASED.items() if name not in names}
    return row | {name: {**RELEASED[name], name: words} for name, words in parts.items()}


def test_parts_and_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": ROW, "b": {"final_caption": "A car"}})
    found = load_tod3cap(path)
    parts = ("Orange car", 16.39, "behind the ego car", "standing still", "in the car park", "An orange car")
    assert found == {"a": ObjectCaption(*parts), "b": ObjectCaption("", None, "", "", "", "A car")}
    assert load_tod3cap(path, {"b", "c"}) == {"b": found["b"]}, "only what is asked for is kept"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (RELEASED, SENTENCE),
        ({**RELEASED, "final_caption": None}, SENTENCE),
        ({**RELEASED, "final_caption": ""}, SENTENCE),
        ({**RELEASED, "depth_caption": {"depth": 2.5}}, SENTENCE.replace("16", "2")),
        (without(map_caption="none"), SENTENCE.removesuffix(" in the car park")),
        (without(map_caption=""), SENTENCE.removesuffix(" in the car park")),
        (without("map_caption"), SENTENCE.removesuffix(" in the car park")),
        (without(motion_caption="None "), SENTENCE.replace(" is standing still", "")),
        (without(attribute_caption=" "), SENTENCE.removeprefix("Orange car ")),
        (without("depth_caption", "localization_caption"), "Orange car is standing still in the car park"),
    ],
)
def test_without_a_sentence_the_parts_make_it(tmp_path: Path, row: object, sentence: str) -> None:
    assert load_tod3cap(written(tmp_path, {"a": row}))["a"].final == sentence


BROKEN = [
    ({**ROW, "final_caption": 3}, "annotation a has 3 where the text 'final_caption' belongs"),
    ({**ROW, "motion_caption": {"x_vel": 0.0}}, "annotation a has nothing where the text 'motion_caption'"),
    ({**ROW, "depth_caption": {"depth": "far"}}, "annotation a has no number in depth_caption.depth"),
    ({**ROW, "depth_caption": {"depth": float("nan")}}, "annotation a has the depth nan"),
    ({"depth_caption": {"depth": 3.0}}, "annotation a has no words"),
    ({"scene_id": "scene-0001"}, "annotation a has no words"),
    ("A car", "annotation a is no object with the parts of a caption"),
]


@pytest.mark.parametrize(("row", "told"), BROKEN)
def test_a_file_that_cannot_be_read_at_all_is_refused(tmp_path: Path, row: object, told: str) -> None:
    path = written(tmp_path, {"a": row, "b": row})
    with pytest.raises(DataError, match="copy the published file again") as error:
        load_tod3cap(path, {"c"})
    assert told in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(("row", "told"), BROKEN)
def test_a_broken_entry_is_left_out_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: object, told: str
) -> None:
    path = written(tmp_path, {"sound": ROW, "a": row, "b": row})
    with caplog.at_level(logging.WARNING):
        assert set(load_tod3cap(path)) == {"sound"}
        (record,) = caplog.records
        assert record.getMessage().startswith("2 captions cannot be read") and told in record.getMessage()
        caplog.clear()
        assert set(load_tod3cap(path, {"sound"})) == {"sound"}
    assert not caplog.records, "entries that nobody asks for do not matter"


def test_released_entries_do_not_stay_as_nested_objects(tmp_path: Path) -> None:
    path = written(tmp_path, {f"token-{number:027}": {**RELEASED, "2d_bbox": [number] * 4} for number in range(3000)})
    tracemalloc.start()
    found = load_tod3cap(path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 3000 and kept < 600 * 3000
    assert peak - 2 * path.stat().st_size < 800 * 3000, "beside the file's bytes and its text"
