"""Texts by frame: every object gets its own caption, and the control exchanges them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored_scenes import small_recipe
from words_helpers import write_spoken_scenes

from aln_p3_core.datasets.drivelm import DriveLmQuestion
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.training.agent_tokens import agent_annotations
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.text_library import TextLibrary, load_texts
from aln_p3_core.training.text_settings import TextSettings

SPLITS = ("train", "val")


@pytest.fixture
def root(make_root: Callable[..., Path]) -> Path:
    return write_spoken_scenes(make_root, train=1, val=1)


@pytest.fixture
def dataset(root: Path) -> NuScenesDataset:
    return NuScenesDataset(root)


@pytest.fixture
def store(dataset: NuScenesDataset, tmp_path: Path) -> FrameStore:
    return FrameStore.build(dataset, small_recipe(), tmp_path / "store", progress=False)


def test_each_target_agent_finds_the_annotation_that_it_is(dataset: NuScenesDataset, store: FrameStore) -> None:
    found = 0
    for index in range(len(store)):
        targets = dataset.targets(store.token_at(index))
        names = agent_annotations(dataset, store, index)
        assert len(names) == len(store.targets(index).agent_classes_A)
        for name, box in zip(names, store.targets(index).agent_boxes_A10, strict=True):
            center = targets.centers_model[targets.annotation_tokens.index(name)]
            np.testing.assert_allclose(box[[0, 1, 4]], center, atol=1e-4)
            found += 1
    assert found >= len(store)


def test_annotations_that_moved_are_told(dataset: NuScenesDataset, store: FrameStore) -> None:
    for row in dataset.nusc.sample_annotation:
        row["translation"][0] += 1.0
    with pytest.raises(DataError, match="annotates none"):
        agent_annotations(dataset, store, 0)


def test_every_frame_has_its_texts(dataset: NuScenesDataset, store: FrameStore) -> None:
    library = load_texts(dataset, store, SPLITS, TextSettings())
    assert len(library.explanations) == len(library.questions) == len(library.captions) == len(store)
    silent = [i for i, explanation in enumerate(library.explanations) if explanation is None]
    assert len(silent) == 1 and not library.questions[silent[0]]
    assert all(len(asked) == 2 for i, asked in enumerate(library.questions) if i not in silent)
    told = [caption for of_frame in library.captions for caption in of_frame]
    assert None not in told and len({caption.final for caption in told if caption}) == len(told)
    # Without a future the plan's end is not known.
    assert "" in library.commands and "turn left and accelerate" in library.commands


def test_captions_of_the_released_file_are_joined_from_their_parts(
    root: Path, dataset: NuScenesDataset, store: FrameStore
) -> None:
    path = root / "language" / "final_caption_bbox_token.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps({token: row | {"final_caption": None} for token, row in rows.items()}))
    library = load_texts(dataset, store, SPLITS, TextSettings())
    assert _captions(library) <= {f"{row['final_caption']} on the road" for row in rows.values()}
    assert len(_captions(library)) == sum(map(len, library.captions))


def test_files_are_named_or_found(root: Path, dataset: NuScenesDataset, store: FrameStore, tmp_path: Path) -> None:
    named = tmp_path / "Nu_X_train.json"
    token = store.token_at(0)
    named.write_text(json.dumps({token: {"narration": "it stops", "reasoning": "it is red"}}))
    settings = replace(TextSettings(), nu_x=(str(tmp_path / "Nu_X_{split}.json"),))
    library = load_texts(dataset, store, ("train",), settings)
    assert [e.narration for e in library.explanations if e is not None] == ["it stops"] and any(library.questions)
    with pytest.raises(DataError, match=r"Nu_X_val\.json is missing"):
        load_texts(dataset, store, SPLITS, settings)
    for path in (root / "language").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no text for any frame"):
        load_texts(dataset, store, SPLITS, TextSettings())


def test_drivelm_is_learnt_where_it_has_answers_and_may_lack_the_validation_file(
    dataset: NuScenesDataset, store: FrameStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"perception": [{"Q": "What moves?", "A": "A red car."}], "planning": [{"Q": "Why?", "A": ""}]}
    scenes = {"scene": {"key_frames": {store.token_at(0): {"QA": asked}}}}
    (tmp_path / "v1_1_train_nus.json").write_text(json.dumps(scenes))
    settings = replace(TextSettings(), drivelm=(str(tmp_path / "v1_1_{split}_nus.json"),))
    with caplog.at_level(logging.WARNING):
        library = load_texts(dataset, store, SPLITS, settings, "val")
    assert library.drivelm[0] == (DriveLmQuestion("What moves?", "A red car."),) and not any(library.drivelm[1:])
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'v1_1_val_nus.json'} is missing: validation does without it"
    ]
    with pytest.raises(DataError, match=r"v1_1_val_nus\.json is missing"):
        load_texts(dataset, store, SPLITS, settings)
    (tmp_path / "v1_1_train_nus.json").unlink()
    with pytest.raises(DataError, match=r"v1_1_train_nus\.json is missing"):
        load_texts(dataset, store, SPLITS, settings, "val")


def test_of_other_texts_a_missing_validation_file_is_an_error(
    dataset: NuScenesDataset, store: FrameStore, tmp_path: Path
) -> None:
    (tmp_path / "Nu_X_train.json").write_text("{}")
    settings = replace(TextSettings(), nu_x=(str(tmp_path / "Nu_X_{split}.json"),))
    with pytest.raises(DataError, match=r"Nu_X_val\.json is missing"):
        load_texts(dataset, store, SPLITS, settings, "val")


def _captions(library: TextLibrary) -> set[str]:
    return {caption.final for of_frame in library.captions for caption in of_frame if caption is not None}
