"""What is reached without a look, where there are training texts and where there are none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from consistency_helpers import made_agents, made_plan

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.evaluate import _Findings, _open_loop
from aln_p3_core.evaluation.language.priors import most_frequent, prior_texts, priors_of
from aln_p3_core.evaluation.language.said import SaidFrame, Saying
from aln_p3_core.evaluation.language.scores import LanguageScores, score_language
from aln_p3_core.evaluation.request import Request
from aln_p3_core.evaluation.sample_prediction import SamplePrediction

# Of the four frames of the two scenes: the first scene waits, the second drives, and once it waits.
SAID = ("it waits", "it waits", "it drives", "it waits")
ANSWERS = ("yes", "yes", "no", "no")


@pytest.fixture(autouse=True)
def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """METEOR takes seconds to start, and nothing here asks for it."""
    for module in ("scores", "captions"):
        monkeypatch.setattr(f"aln_p3_core.evaluation.language.{module}.find_java", lambda: None)


def write_texts(folder: Path, split: str, tokens: Sequence[str], said: Sequence[str], answers: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    told = {token: {"narration": text, "reasoning": "so"} for token, text in zip(tokens, said, strict=False)}
    rows = [
        {"split": split, "sample_token": token, "question": "Is it?", "answer": answer, "num_hop": 0,
         "template_type": "exist"}
        for token, answer in zip(tokens, answers, strict=False)
    ]  # fmt: skip
    (folder / f"Nu_X_{split}.json").write_text(json.dumps(told))
    (folder / f"NuScenes_{split}_questions.json").write_text(json.dumps({"questions": rows}))
    return folder


def scored(dataset: NuScenesDataset) -> LanguageScores:
    """Of somebody who says nothing about the four frames."""
    about = {"num_hop": 0, "template_type": "exist"}
    frames = [
        SaidFrame(
            token, dataset.scene_of(token), "straight",
            (
                Saying("explanation", "given", "Why?", "", False, f"Narration: {said}. Reasoning: so."),
                Saying("question", "given", "Is it?", "", False, answer, about),
            ),
        )
        for token, said, answer in zip(dataset.tokens, SAID, ANSWERS, strict=True)
    ]  # fmt: skip
    plans = [SamplePrediction(f.token, f.scene, made_plan(5.0), agents=made_agents()) for f in frames]
    return score_language(frames, "given", {plan.token: plan for plan in plans}, {})


def test_training_texts_come_first_and_may_lie_elsewhere(two_scenes: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    own = write_texts(tmp_path / "own", "val", dataset.tokens, SAID, ANSWERS)
    elsewhere = write_texts(tmp_path / "elsewhere", "train", ("x", "y", "z"), ("it drives", "it stops", "it drives"),
                            ("no", "no", "yes"))  # fmt: skip
    known = prior_texts(dataset, "val", own, elsewhere)
    assert (known.explanations.file, known.explanations.split) == (elsewhere / "Nu_X_train.json", "")
    found = priors_of(scored(dataset), known)
    assert list(found.explanations) == ["most frequent text of training", "true text of another frame"]
    rouge = found.explanations["most frequent text of training"]["narration"].sentences["rouge_l"]
    assert [value == 1.0 for value in rouge] == [False, False, True, False]
    assert found.questions["prior of type and hops"]["exist_0"].correct == 2
    assert known.explanations.note == known.questions.note == ""
    stored = found.to_json()
    assert stored["questions"]["prior of the question's words"]["Overall"] == {"correct": 2, "total": 4, "value": 0.5}
    assert stored["explanations"]["true text of another frame"]["joined"]["number"] == 4
    assert stored["files"]["questions"] == str(elsewhere / "NuScenes_train_questions.json")
    write_texts(own, "train", ("w",), ("it turns",), ("5",))
    beside = prior_texts(dataset, "val", own)
    assert beside.explanations.texts[0].narration == "it turns" and beside.questions.texts[0].answer == "5"
    assert prior_texts(dataset, "val", own, elsewhere) == known, "what is named counts"


def test_without_training_texts_other_scenes_tell(two_scenes: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    known = prior_texts(dataset, "val", write_texts(tmp_path / "own", "val", dataset.tokens, SAID, ANSWERS))
    scores = scored(dataset)
    said = most_frequent(known.explanations, ["scene-0001", "scene-0002", "elsewhere"])
    assert [text.narration for text in said] == ["it drives", "it waits", "it waits"]
    found = priors_of(scores, known)
    assert next(iter(found.explanations)) == "most frequent text, other scenes of val"
    # Whoever counted the own scene would be right in its every frame.
    assert found.questions["prior of type and hops, other scenes of val"]["Overall"].correct == 0
    assert "No training texts were found" in known.questions.note and "--train-texts" in known.explanations.note


def test_what_is_evaluated_is_no_training_text(two_scenes: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    own = write_texts(tmp_path / "own", "train", dataset.tokens, SAID, ANSWERS)
    for split in ("train", "mini_train"):  # the parts of mini have the files of the whole splits
        known = prior_texts(dataset, split, own)
        assert known.explanations.split == known.questions.split == split, "its own scene is left out"


def test_one_scene_alone_has_no_most_frequent_text(two_scenes: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    known = prior_texts(dataset, "val", write_texts(tmp_path / "own", "val", dataset.tokens[:2], SAID, ANSWERS))
    found = priors_of(scored(dataset), known)
    assert list(found.explanations) == ["true text of another frame"] and found.questions == {}
    assert "There is no row of what is most frequent" in known.explanations.note


def test_a_folder_without_training_texts_is_named(two_scenes: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    own = write_texts(tmp_path / "own", "val", dataset.tokens, SAID, ANSWERS)
    with pytest.raises(DataError, match=rf"{own} has no texts of a training: .*Nu_X_train\.json nor NuScenes_train"):
        prior_texts(dataset, "val", own, own)


def test_all_that_can_be_measured_includes_words_whose_texts_lie_elsewhere(two_scenes: Path, tmp_path: Path) -> None:
    own = write_texts(tmp_path / "own", "val", NuScenesDataset(two_scenes).tokens, SAID, ANSWERS)
    for texts, measured in ((None, []), (own, ["language"])):
        findings = _Findings()
        _open_loop(Request((), tmp_path, two_scenes, texts=texts, progress=False), two_scenes, (), ["language"],
                   findings, {})  # fmt: skip
        assert list(findings.results) == measured
        assert findings.card.get("texts") == (None if texts is None else str(own))
