"""DriveLM's file: a small one, and the real sample where it is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aln_p3_core.datasets.drivelm import TOPICS, KeyObject, load_drivelm
from aln_p3_core.errors import DataError

FRAME: dict[str, Any] = {
    "key_object_infos": {"<c1,CAM_FRONT,10.5,20.0>": {"Category": "Vehicle", "Status": None, "2d_bbox": [0, 1, 2, 3]}},
    "QA": {"planning": [{"Q": "Should it stop?", "A": "Yes.", "tag": [0]}], "behavior": [{"Q": "What?", "A": ""}]},
}


def written(tmp_path: Path, frame: object) -> Path:
    path = tmp_path / "v1_1_train_nus.json"
    path.write_text(json.dumps({"scene": {"scene_description": "It stops.", "key_frames": {"s1": frame}}}))
    return path


def test_questions_and_objects(tmp_path: Path) -> None:
    frame = load_drivelm(written(tmp_path, FRAME))["s1"]
    assert (frame.scene_token, frame.description) == ("scene", "It stops.")
    assert [(q.topic, q.answer, q.metrics) for q in frame.questions] == [
        ("planning", "Yes.", (0,)),
        ("behavior", "", ()),
    ]
    assert frame.objects == (KeyObject("<c1,CAM_FRONT,10.5,20.0>", "Vehicle", "", "", (0.0, 1.0, 2.0, 3.0)),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"QA": None}, "sample s1 has no QA"),
        ({"QA": {"poetry": []}}, "sample s1 has QA under 'poetry'"),
        ({"QA": {"planning": [{"Q": "Why?"}]}}, "sample s1, planning question 0 has nothing where the text 'A'"),
        ({"key_object_infos": {"<c1>": {"2d_bbox": [1, 2]}}}, "sample s1, object <c1> is broken"),
        ({"key_object_infos": [1]}, "key_object_infos of sample s1"),
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
    folder = shared_dir / "data" / "language" / "drivelm"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    frames = load_drivelm(folder / "train_sample.json")
    topics = Counter(question.topic for frame in frames.values() for question in frame.questions)
    assert len(frames) == 5 and sum(topics.values()) == 479 and set(topics) == set(TOPICS)
    assert all(frame.objects and frame.description for frame in frames.values())
    metrics = {m for frame in load_drivelm(folder / "test.json").values() for q in frame.questions for m in q.metrics}
    assert metrics == {0, 1, 2}
