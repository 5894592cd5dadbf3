"""Language annotations of key frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aln_p3_core.errors import DataError
from aln_p3_ros.replay.language import LanguageAnnotations

FILES = {
    "nu_x": {"s1": {"narration": "it stops", "reasoning": "the light is red"}},
    "tod3cap": {"a1": {"final_caption": "black car ahead", "motion_caption": "moving"}, "a9": {"final_caption": "x"}},
    "nuscenes_qa": {"info": {}, "questions": [{"sample_token": "s1", "question": "how many cars?", "answer": "2"}]},
    "drivelm": {
        "scene": {"scene_description": "d", "key_frames": {"s1": {"QA": {"planning": [{"Q": "q", "A": "a"}]}}}}
    },
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    paths = {}
    for name, tree in FILES.items():
        path = tmp_path / f"{name}_renamed.json"
        path.write_text(json.dumps(tree))
        paths[name] = str(path)
    return paths


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nu_x", {"narration": "it stops", "reasoning": "the light is red"}),
        ("tod3cap", {"a1": {"final_caption": "black car ahead", "motion_caption": "moving"}}),
        ("nuscenes_qa", [{"sample_token": "s1", "question": "how many cars?", "answer": "2"}]),
        ("drivelm", {"planning": [{"Q": "q", "A": "a"}]}),
    ],
)
def test_each_format_is_told_by_its_structure(files, kind, expected):
    text = LanguageAnnotations([files[kind]]).text("s1", ["a1", "a2"], "scene")
    assert json.loads(text) == {"sample_token": "s1", kind: expected}


def test_formats_join_and_a_silent_frame_says_nothing(files):
    annotations = LanguageAnnotations(files.values())
    assert set(json.loads(annotations.text("s1", ["a1"], ""))) == {"sample_token", *FILES}
    assert annotations.text("s2", [], "a scene") is None


def test_the_scene_description_is_given_for_the_word_scene():
    assert json.loads(LanguageAnnotations(["scene"]).text("s2", [], "a turn"))["scene"] == "a turn"


def test_captions_without_their_sentence_are_told_as_well(tmp_path):
    entry = {"scene_id": "scene-0001", "attribute_caption": {"attribute_caption": "black car", "category": "car"}}
    path = tmp_path / "released.json"
    path.write_text(json.dumps({"a1": entry}))
    assert json.loads(LanguageAnnotations([str(path)]).text("s1", ["a1"], ""))["tod3cap"] == {"a1": entry}


@pytest.mark.parametrize("content", ["{", "[]", '{"a": {"b": 1}}', "{}"])
def test_a_file_of_no_known_kind_is_named(tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"odd\.json"):
        LanguageAnnotations([str(path)])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json"):
        LanguageAnnotations([str(tmp_path / "gone.json")])


def test_real_drivelm_file(shared_dir):
    path = shared_dir / "data" / "language" / "drivelm" / "train_sample.json"
    tree = json.loads(path.read_text())
    token = next(iter(next(iter(tree.values()))["key_frames"]))
    text = LanguageAnnotations([str(path)]).text(token, [], "")
    assert json.loads(text)["drivelm"]["planning"]
