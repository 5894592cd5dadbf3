"""Which files texts are read from, by split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from words_helpers import write_spoken_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.training.text_files import files_of, text_files
from aln_p3_core.training.text_settings import TextSettings


def test_all_stands_for_every_split_that_has_a_file(make_root: Callable[..., Path], tmp_path: Path) -> None:
    root = write_spoken_scenes(make_root)
    dataset = NuScenesDataset(root)
    found = text_files(dataset, ("all",), TextSettings())
    assert [path.name for path in found["nu_x"]] == ["Nu_X_train.json", "Nu_X_val.json"]
    assert [path.name for path in found["tod3cap"]] == ["final_caption_bbox_token.json"] and found["drivelm"] == []
    assert found == text_files(dataset, ("train", "val"), TextSettings())
    (tmp_path / "train.json").write_text("{}")
    named = replace(TextSettings(), nu_x=(str(tmp_path / "{split}.json"),))
    assert text_files(dataset, ("all",), named)["nu_x"] == [tmp_path / "train.json"]
    with pytest.raises(DataError, match=r"val\.json is missing"):
        text_files(dataset, ("train", "val"), named)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.json is missing: get the published file"):
        files_of([str(tmp_path / "{split}.json")], ("all",), ("train", "val"))
    with pytest.raises(DataError, match=r"\{split\}\.json is missing"):  # without data no split is known
        files_of([str(tmp_path / "{split}.json")], ("all",))
    with pytest.raises(DataError, match=r"one\.json is missing"):
        files_of([str(tmp_path / "one.json")], ("all",), ("train",))
