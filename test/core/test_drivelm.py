"""DriveLM's file: a small one, and the real sample where it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_complete import shared_data

from aln_p3_core.datasets.drivelm import DriveLmQuestion, load_drivelm
from aln_p3_core.errors import DataError

TAG = "<c1,CAM_FRONT,10.5,20.0>"
FRAME: dict[str, Any] = {
    "key_object_infos": {TAG: {"Category": "Vehicle", "Status": None, "2d_bbox": [0, 1, 2, 3]}},
    "QA": {
        "perception": [{"Q": f"Does {TAG} stop?", "A": "Yes."}, {"Q": "Why?", "A": ""}, {"Q": "Where?", "A": None}],
        "behavior": [{"Q": "When?"}, {"Q": "What?", "A": f"It follows {TAG}.", "tag": [0]}],
    },
}


def written(tmp_path: Path, frame: object) -> Path:
    path = tmp_path / "v1_1_train_nus.json"
    path.write_text(json.dumps({"scene": {"scene_description": "It stops.", "key_frames": {"s1": frame}}}))
    return path


def test_questions_with_an_answer_and_tags_as_text(tmp_path: Path) -> None:
    expected = (DriveLmQuestion(f"Does {TAG} stop?", "Yes."), DriveLmQuestion("What?", f"It follows {TAG}."))
    assert load_drivelm(written(tmp_path, FRAME)) == {"s1": expected}


def test_the_validation_file_has_no_answers_and_gives_nothing(tmp_path: Path) -> None:
    asked = {topic: [{"Q": "Why?", "A": ""}] for topic in ("perception", "prediction", "planning", "behavior")}
    assert load_drivelm(written(tmp_path, {"QA": asked, "image_paths": {}})) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"QA": None}, "sample s1 has no QA"),
        ({"QA": {"poetry": []}}, "sample s1 has QA under 'poetry'"),
        ({"QA": {"planning": [{"A": "Yes."}]}}, "sample s1, planning question 0 has nothing where the text 'Q'"),
        ({"QA": {"planning": [{"Q": "Why?", "A": 3}]}}, "sample s1, planning question 0 has 3 where the text 'A'"),
        ({"QA": {"planning": ["Why?"]}}, "sample s1, planning question 0 has nothing where the text 'Q'"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = written(tmp_path, FRAME | change)
    with pytest.raises(DataError) as error:
        load_drivelm(path)
    assert told in str(error.value) and str(path) in str(error.value)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v1_0.json"
    path.write_text(json.dumps({"scene": {"key_frame": {}}}))
    with pytest.raises(DataError, match=r"version 1\.1"):
        load_drivelm(path)


def test_the_real_sample(shared_dir: Path) -> None:
    folder = shared_data(shared_dir / "data" / "language" / "drivelm")
    frames = load_drivelm(folder / "train_sample.json")
    assert len(frames) == 5 and sum(map(len, frames.values())) == 479
    assert any("<c1,CAM_FRONT," in asked.question for asked in next(iter(frames.values())))
    assert set(load_drivelm(folder / "test.json")) == set(frames)
