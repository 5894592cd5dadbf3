"""A small study, and rows of it that no network trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml

from aln_p3_core.studies.rows import Row, SceneValues, scene_key
from aln_p3_core.studies.study_file import Study, parse_study

SMALL: dict[str, Any] = {
    "title": "A small study",
    "question": "Whether it works.",
    "roots": {"world": "out/world"},
    "training": {"recipe": "nano", "init": "nano", "data": ["world"], "settings": {"stages.0.steps": 2}},
    "evaluation": [{"split": "val", "data": "world", "suites": ["planning"]}],
    "variants": {
        "none": {"description": "as it is", "seeds": 3},
        "all": {"description": "with everything", "seeds": 3, "settings": {"losses.plan": 2.0}},
        "alone": {"description": "no words", "seeds": 2, "language": False},
    },
    "tests": {
        "primary": ["collision_vad", "qa_accuracy"],
        "secondary": ["l2_vad"],
        "split": "val",
        "reference": "none",
        "confirmatory": [["all", "none"]],
        "exploratory": [["alone", "none"]],
        "resamplings": 500,
    },
    "anchors": {"collision_vad": {"change": "-27 %", "source": "a paper"}},
}


def small_tree(**changes: Any) -> dict[str, Any]:
    """The tree of a study file with top entries changed, deep enough a copy to be changed further."""
    return json.loads(json.dumps(SMALL)) | changes


def small_study(**changes: Any) -> Study:
    """The study of `small_tree`."""
    return parse_study(yaml.safe_dump(small_tree(**changes), sort_keys=False), "small")


def made_up_rows(
    study: Study, effects: Mapping[str, float], *, scenes: int = 12, samples: int = 20, seed: int = 0
) -> tuple[list[Row], SceneValues]:
    """Rows with values by scene: scenes and seeds differ, pairs share both, `effects` of a variant are added."""
    rng = np.random.default_rng(seed)
    of_scene = 5 + rng.normal(0, 1.0, scenes)
    of_seed = rng.normal(0, 0.5, 9)
    rows: list[Row] = []
    by_scene: SceneValues = {}
    for variant in study.variants:
        for number in range(variant.seeds):
            noise = rng.normal(0, 0.1, scenes)
            values = of_scene + of_seed[number] + effects.get(variant.name, 0.0) + noise
            row = {
                "study": study.name, "study_hash": study.hash, "variant": variant.name, "seed": number, "split": "val",
                "command": "given", "state": "finished", "measures": {"collision_vad": float(values.mean())},
                "commit": "abc", "seconds": {"train": 10.0},
            }  # fmt: skip
            rows.append(row)
            sums = {f"scene-{i}": [float(value * samples), float(samples)] for i, value in enumerate(values)}
            by_scene[scene_key(row)] = {"collision_vad": sums}
    return rows, by_scene
