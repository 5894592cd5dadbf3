"""Boxes that TOD3Cap's released code counts, among those of a key frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from consistency_helpers import made_plan

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.evaluation.language.said import SaidFrame, Saying
from aln_p3_core.evaluation.language.scores import score_language
from aln_p3_core.evaluation.language.tod3cap import IGNORED
from aln_p3_core.evaluation.language.truths import CaptionTruth, true_captions
from aln_p3_core.evaluation.sample_prediction import SamplePrediction


def at(x: float, y: float = 50.0) -> Callable[[float], tuple[float, float, float]]:
    return lambda seconds: (x, y, 0.3)


@pytest.fixture
def dataset(make_root: Callable[..., Path]) -> NuScenesDataset:
    """The car stands at (100, 50) and looks along x; who is near, too far for its class, racked, without a point."""
    once = range(1)
    objects = [
        ("vehicle.car", at(120), once), ("vehicle.car", at(160), once), ("human.pedestrian.adult", at(145), once),
        ("vehicle.bicycle", at(110, 55), once), ("static_object.bicycle_rack", at(110, 55), once),
        ("vehicle.car", at(112), once),
    ]  # fmt: skip
    root = make_root(samples=1, objects=objects)
    (root / "language").mkdir()
    said = {"ann-0-0": {"final_caption": "a near car"}, "ann-1-0": {"final_caption": "a far car"}}
    (root / "language" / "final_caption_bbox_token.json").write_text(json.dumps(said))
    return NuScenesDataset(root)


@pytest.fixture
def truth(dataset: NuScenesDataset) -> CaptionTruth:
    found = true_captions(dataset, {t: dataset.targets(t) for t in dataset.tokens}, dataset.tokens, "val")
    assert found is not None
    return found


def about(truth: CaptionTruth, row: int, name: str = "car") -> dict[str, Any]:
    """A detection at a true box."""
    boxes = truth.boxes
    return {"row": row, "class": name, "score": 0.9, "center": boxes.centers[row].tolist(),
            "size_lwh": boxes.sizes_lwh[row].tolist(), "heading": float(boxes.headings[row])}  # fmt: skip


def test_only_boxes_within_the_class_ranges_and_outside_of_racks_count(truth: CaptionTruth) -> None:
    assert list(truth.boxes.texts) == ["a near car", "a far car", IGNORED, IGNORED], "all with a point"
    assert list(truth.released.boxes.texts) == ["a near car"]
    stored = [truth.released.stored_row("sample-0", about(truth, row, name), f"said {row}")
              for row, name in enumerate(("car", "car", "pedestrian", "bicycle"))]  # fmt: skip
    found = truth.released.predicted({"sample-0": stored, "elsewhere": stored})
    assert list(found.texts) == ["said 0"] and list(found.samples) == ["sample-0"]
    for ours, true in ((found.centers, truth.released.boxes.centers), (found.headings, truth.released.boxes.headings),
                       (found.sizes_lwh, truth.released.boxes.sizes_lwh)):  # fmt: skip
        np.testing.assert_allclose(ours, true, atol=1e-9)
    np.testing.assert_allclose(found.centers, [[120, 50, 0.8]], atol=1e-9)
    assert len(truth.released.predicted({})) == 0


def test_the_released_form_leaves_out_what_the_other_counts(
    truth: CaptionTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("scores", "captions"):
        monkeypatch.setattr(f"aln_p3_core.evaluation.language.{module}.find_java", lambda: None)
    said = tuple(
        Saying("caption", "given", "Describe", text, False, None, about(truth, row))
        for row, text in ((0, "a near car"), (1, "a far car"))
    )
    frames = [SaidFrame("sample-0", "scene-0001", "straight", said)]
    plans = {"sample-0": SamplePrediction("sample-0", "scene-0001", made_plan(5.0))}
    scores = score_language(frames, "given", plans, {}, truth)
    assert [(found.name, found.kept, found.predictions) for found in scores.captions] == [
        ("m@0.25IoU_released", 1, 1), ("m@0.5IoU_released", 1, 1), ("m@0.25IoU_3d", 2, 2), ("m@0.5IoU_3d", 2, 2),
    ]  # fmt: skip
    assert score_language(frames, "given", plans, {}).captions == ()
